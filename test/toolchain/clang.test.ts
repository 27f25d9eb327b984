import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { CompileError } from '../../src/bpf/index.ts';
import { compileBpf, compileError, systemIncludes } from '../../src/toolchain/clang.ts';
import { CACHE_VARIABLE } from '../../src/toolchain/compile-cache.ts';
import { describeWith, failure, scratch } from '../bpf/support.ts';

let count = 0;

/** Compiles a text. @returns the path of the object */
async function compile(source: string, options: Parameters<typeof compileBpf>[2] = {}): Promise<string> {
  const path = join(scratch, `source-${count++}.bpf.c`);
  const object = path.replace(/c$/, 'o');
  writeFileSync(path, source);
  await compileBpf(path, object, options);
  return object;
}

const HEAD = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n';

describeWith(['clang'], 'compileBpf', () => {
  it('writes an object, with flags and folders of its own', async () => {
    writeFileSync(join(scratch, 'own.h'), '#define OWN LANES\n');
    const source = `${HEAD}#include "own.h"\nSEC("xdp") int f(struct xdp_md *ctx) { return OWN; }\n`;
    const object = await compile(source, { includeDirs: [scratch], flags: ['-DLANES=3'] });
    expect(existsSync(object)).toBe(true);
  });

  it('names the first error and its place; the log has them all', async () => {
    const source = `${HEAD}int f(void) {\n  return wat;\n}\nint g(void) { return huh; }\n`;
    const error = await failure(compile(source));
    expect(error).toBeInstanceOf(CompileError);
    expect(error).toMatchObject({ code: 'bpf-compile', line: 4, file: expect.stringContaining('.bpf.c') });
    expect(error.message).toMatch(
      /clang refused .*\.bpf\.c: .*\.bpf\.c:4: use of undeclared identifier 'wat'$/,
    );
    expect(error.log).toContain('huh');
  });

  it('takes warnings for errors', async () => {
    const error = await failure(compile('static int unused(void) { return 1; }\n'));
    expect(error.message).toContain('unused function');
  });

  it('says what to install where a header is missing', async () => {
    const error = await failure(compile('#include <bpf/bpf_nonexistent.h>\n'));
    expect(error.remedy).toContain('libbpf-dev');
  });

  it('says what to do where the stack overflows', async () => {
    const source = `${HEAD}SEC("xdp") int f(struct xdp_md *ctx) {
  volatile __u64 row[100];
  for (int i = 0; i < 100; i++) row[i] = ctx->rx_queue_index + i;
  return row[ctx->rx_queue_index & 63];
}\n`;
    const error = await failure(compile(source));
    expect(error).toMatchObject({ code: 'bpf-compile', remedy: expect.stringContaining('per-CPU map') });
    expect(error.message).toContain('stack limit');
  });

  it('leaves no object behind a failure', async () => {
    const source = join(scratch, 'broken.bpf.c');
    const object = join(scratch, 'broken.bpf.o');
    writeFileSync(source, 'int f(void) { return ; oops }\n');
    await failure(compileBpf(source, object));
    expect(existsSync(object)).toBe(false);
  });

  it('reports a source or a folder that is not there', async () => {
    const absent = await failure(compileBpf('/nonexistent/x.bpf.c', join(scratch, 'x.o')));
    expect(absent.message).toMatch(/no such file or directory: '\/nonexistent\/x.bpf.c'/);
    const source = join(scratch, 'fine.bpf.c');
    writeFileSync(source, 'int x = 1;\n');
    expect((await failure(compileBpf(source, '/nonexistent/x.o'))).message).toContain(
      'unable to open output file',
    );
  });

  it('can be given up', async () => {
    const error = await failure(compile('int x = 1;\n', { signal: AbortSignal.abort() }));
    expect(error).toMatchObject({ code: 'bpf-compile' });
  });
});

describe('where a folder for the output is named', () => {
  const before = process.env[CACHE_VARIABLE];
  afterEach(() => {
    process.env[CACHE_VARIABLE] = before;
  });

  it('clang runs once for sources, flags and headers', async () => {
    const folder = join(scratch, 'once');
    mkdirSync(join(folder, 'headers'), { recursive: true });
    process.env[CACHE_VARIABLE] = join(folder, 'kept');
    // Stands in for clang: counts its calls, and gives the source for an object.
    const clang = join(folder, 'clang');
    const script =
      'echo run >> "$0.calls"; while [ $# -gt 1 ]; do case $1 in -o) out=$2;; -c) in=$2;; esac; shift; done; cat "$in" > "$out"';
    writeFileSync(clang, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const [source, object, header] = ['a.c', 'a.o', 'headers/h.h'].map((name) => join(folder, name));
    const made = async (text: string, flags: readonly string[] = [], included = '') => {
      writeFileSync(source!, text);
      writeFileSync(header!, included);
      await compileBpf(source!, object!, { clang, includeDirs: [join(folder, 'headers')], flags });
      const calls = readFileSync(`${clang}.calls`, 'utf8').split('\n').length - 1;
      return [readFileSync(object!, 'utf8'), calls];
    };
    expect(await made('int x;')).toEqual(['int x;', 1]);
    expect(await made('int y;')).toEqual(['int y;', 2]);
    expect(await made('int x;')).toEqual(['int x;', 2]);
    expect(await made('int x;', ['-DLANES=3'])).toEqual(['int x;', 3]);
    expect(await made('int x;', [], '#define A')).toEqual(['int x;', 4]);
    expect(await made('int x;')).toEqual(['int x;', 4]);
    process.env[CACHE_VARIABLE] = '';
    expect(await made('int x;')).toEqual(['int x;', 5]);
  });
});

describe('without clang', () => {
  it('names the package', async () => {
    const error = await failure(compile('int x = 1;\n', { clang: 'clang-of-the-future' }));
    expect(error).toMatchObject({
      code: 'bpf-clang-missing',
      remedy: expect.stringContaining('apt-get install clang'),
    });
    expect(error.message).toContain('clang-of-the-future does not start');
    expect((await failure(compile('int x = 1;\n', { clang: scratch }))).code).toBe('bpf-clang-missing');
  });

  it('reads errors with and without a place', () => {
    const backend =
      'error: unable to create target: \'No available targets are compatible with triple "bpf"\'\n';
    expect(compileError('x.c', backend)).toMatchObject({ remedy: expect.stringContaining('BPF target') });
    const fatal = "x.c:1:10: fatal error: 'asm/types.h' file not found\n#include <asm/types.h>\n";
    expect(compileError('x.c', fatal)).toMatchObject({
      message: "clang refused x.c: x.c:1: 'asm/types.h' file not found",
      remedy: expect.stringContaining('linux-libc-dev'),
    });
    expect(compileError('x.c', '', new Error('Command failed')).message).toBe(
      'clang refused x.c: Command failed',
    );
  });

  it('adds system headers where the machine keeps them by architecture', () => {
    expect(systemIncludes('mips')).toEqual([]);
  });
});
