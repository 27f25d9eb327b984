import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { openObject, VerifierError } from '../../src/bpf/index.ts';
import { describeWith, failure, fixture, fixtureObject, loading } from './support.ts';

const packet = Buffer.alloc(64, 7);

describeWith(loading, 'an object', () => {
  const object = fixtureObject('rewrite');

  it('has programs and maps by the names of the source', () => {
    expect(object().name).toBe('rewrite');
    expect([...object().programs.keys()]).toEqual(['rewrite', 'grow']);
    expect([...object().maps.keys()].sort()).toEqual(
      ['.data', '.rodata', 'blocks', 'devices', 'many', 'odd_sized', 'prefixes', 'seen', 'totals'].sort(),
    );
  });

  it('tells what the verifier walked', () => {
    const program = object().program('rewrite');
    expect(program.verifiedInstructions).toBeGreaterThan(10);
    expect(program.stats?.stackBytes).toEqual([expect.any(Number)]);
    const { id, tag, translatedBytes } = program.info();
    expect(id).toBeGreaterThan(0);
    expect(tag).toMatch(/^[0-9a-f]{16}$/);
    expect(translatedBytes % 8).toBe(0);
  });

  it('names what it has where a name is unknown', async () => {
    expect(await failure(() => object().program('rewrit'))).toMatchObject({
      code: 'bpf-unknown-name',
      message: 'BPF object "rewrite" has no program "rewrit"',
      remedy: 'use one of its programs: rewrite, grow',
    });
    expect((await failure(() => object().map('total'))).code).toBe('bpf-unknown-name');
  });

  it('loads from bytes, with a name of its own', async () => {
    using other = await openObject(await readFile(await fixture('rewrite')), { name: 'my.model-2' });
    expect(other.name).toBe('my.model-2');
    expect(other.map('.rodata').info.valueSize).toBe(16);
  });

  it('takes global variables of every section, by name', async () => {
    const globals = { gain: 10, wide: 2n ** 63n + 5n, offset: new Uint8Array([9, 0, 0, 0]) };
    using other = await openObject(await fixture('rewrite'), { globals });
    expect(other.program('rewrite').testRun({ packet }).packet[14]).toBe(7 + 10 + 5);
    expect(other.program('grow').testRun({ packet }).packet.length).toBe(64 + 9);
  });

  it.each([
    [{ gan: 1 }, 'bpf-unknown-name', 'gain'],
    [{ gain: 256 }, 'bpf-bad-argument', 'value'],
    [{ gain: 1.5 }, 'bpf-bad-argument', 'value'],
    [{ gain: new Uint8Array(2) }, 'bpf-bad-argument', 'value'],
  ])('refuses the globals %o', async (globals, code, help) => {
    const error = await failure(
      openObject(await fixture('rewrite'), { globals: globals as Record<string, number> }),
    );
    expect(error.code).toBe(code);
    expect(error.remedy).toContain(help);
  });

  it('closes once and for all', async () => {
    const other = await openObject(await fixture('rewrite'));
    const program = other.program('rewrite');
    const map = other.map('blocks');
    other.close();
    other.close();
    for (const use of [
      () => program.testRun({ packet }),
      () => program.info(),
      () => map.lookup(0),
      () => map.fd,
    ]) {
      expect(await failure(use)).toMatchObject({
        code: 'bpf-closed',
        message: 'BPF object "rewrite" is closed',
      });
    }
  });

  it('loads beside others, without blocking the event loop', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const refused = failure(openObject(await fixture('too-large')));
    const others = await Promise.all(
      ['rewrite', 'rewrite', 'count-udp'].map(async (n) => openObject(await fixture(n))),
    );
    for (const other of others) other.close();
    await refused;
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
});

describeWith(loading, 'a refused object', () => {
  it('is a verifier error with program, place and whole log', async () => {
    const error = await failure(openObject(await fixture('out-of-bounds')));
    expect(error).toBeInstanceOf(VerifierError);
    expect(error).toMatchObject({
      code: 'bpf-verifier',
      program: 'careless',
      remedy: 'compare the pointer with data_end before the access',
      processedInstructions: expect.any(Number),
      instruction: expect.any(Number),
    });
    expect(error.message).toContain(
      'the kernel\'s verifier refused program "careless": invalid access to packet',
    );
    expect(error.message).toContain('`return data[3];`');
    expect(error.message).not.toContain('\n');
    expect(error.log).toContain('(71) r0 = *(u8 *)(r1 +3)');
    expect(error.log).toContain('processed 2 insns');
  });

  it('is found too large after a million instructions, with a log that ends in the reason', async () => {
    const error = await failure(openObject(await fixture('too-large')));
    expect(error).toMatchObject({
      program: 'endless',
      remedy: 'use fewer branches, and bpf_loop for large loops',
    });
    expect((error as VerifierError).processedInstructions).toBeGreaterThan(1_000_000);
    expect(error.log).toContain('too large');
  });

  it('may fail before the verifier: libbpf says where', async () => {
    const error = await failure(openObject(await fixture('bad-map')));
    expect(error).toMatchObject({ code: 'bpf-load', errnoName: 'EINVAL' });
    expect(error.message).toContain("map 'wide_keyed': failed to create");
    expect(error.log).toContain("failed to load object 'bad-map'".replace('-', '_'));
  });

  it('may be no object at all', async () => {
    const text = await failure(openObject(Buffer.from('no ELF file, but some text'), { name: 'text' }));
    expect(text).toMatchObject({ code: 'bpf-object-invalid' });
    expect(text.message).toContain('not a proper ELF object');
    const cut = (await readFile(await fixture('rewrite'))).subarray(0, 500);
    expect(await failure(openObject(cut))).toMatchObject({ code: 'bpf-object-invalid' });
    expect(await failure(openObject(new Uint8Array(0)))).toMatchObject({ code: 'bpf-object-invalid' });
    const absent = await failure(openObject('/nonexistent/x.bpf.o'));
    expect(absent).toMatchObject({ code: 'bpf-object-invalid', remedy: 'compile it first (compileBpf)' });
  });
});
