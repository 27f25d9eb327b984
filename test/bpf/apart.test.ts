import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { programPolicy } from '../../src/agent/program-policy.ts';
import { xdpManifest } from '../../src/backends/xdp/artifact.ts';
import type { ProgramConfig } from '../../src/backends/xdp/device-config.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { planXdp } from '../../src/backends/xdp/plan.ts';
import { checkObject, type Loader, openObjectApart, startLoader } from '../../src/bpf/index.ts';
import { EBPF_DIR } from '../../src/paths.ts';
import { compileBpf } from '../../src/toolchain/clang.ts';
import { smallModel } from '../controller/files.ts';
import { testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';

const folder = testFolder();
const { plan } = planXdp(smallModel(), { weights: 'runtime' });
const policy = programPolicy({ slots: 16, manifest: xdpManifest(plan!) as ProgramConfig['manifest'] });
const options = { name: 'intransit', policy, globals: { intransit_agent: 1 } };

async function compiled(name: string, source: string): Promise<Buffer> {
  const [from, to] = [join(folder, `${name}.c`), join(folder, `${name}.o`)];
  writeFileSync(from, source);
  await compileBpf(from, to, { includeDirs: [EBPF_DIR] });
  return readFileSync(to);
}

const HEAD = '#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n';
const TAIL = 'char LICENSE[] SEC("license") = "GPL";\n';

/** A copy with some bytes changed. */
const changed = (elf: Buffer, at: number, byte: number): Buffer => {
  const copy = Buffer.from(elf);
  copy[at] = byte;
  return copy;
};

describeWith(loading, 'objects of others', () => {
  let elf: Buffer;
  const ours = async (): Promise<Buffer> => {
    elf ??= await compiled('program', emitXdp(plan!));
    return elf;
  };
  let loader: Loader | undefined;
  afterAll(() => loader?.end());

  it('loads a program of ours, by a process that is nobody', async () => {
    const object = await openObjectApart(await ours(), options);
    expect(object.programs.get('intransit')!.info()).toMatchObject({ type: 6 });
    expect(object.maps.get('weights')?.info.maxEntries).toBe(16);
    expect(object.programs.get('intransit')!.verifiedInstructions).toBeGreaterThan(100);
    object.maps.get('zones')!.update(3, 1);
    object.close();
    expect(() => object.programs.get('intransit')!.fd).toThrow('closed');
    loader = startLoader();
    expect(await loader.load(await ours(), options)).toMatchObject({ ok: true });
    const status = readFileSync(`/proc/${loader.pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m);
    // NET_ADMIN, PERFMON, BPF.
    expect(status).toMatch(/^CapEff:\s+000000c000001000$/m);
    expect(status).toMatch(/^CapPrm:\s+000000c000001000$/m);
  }, 120_000);

  it('refuses helpers, sections and symbols that no program of ours has, before libbpf reads them', async () => {
    const bytes = await ours();
    const call = bytes.indexOf(Buffer.of(0x85, 0, 0, 0, 1, 0, 0, 0));
    const refused = (elf: Buffer) => () => checkObject(elf, policy);
    // bpf_trace_printk, bpf_probe_read_kernel, a function of the kernel.
    expect(refused(changed(bytes, call + 4, 6))).toThrow('calls helper 6');
    expect(refused(changed(bytes, call + 4, 113))).toThrow('calls helper 113');
    expect(refused(changed(bytes, call + 1, 0x20))).toThrow('function 1 of the kernel');
    expect(refused(changed(bytes, bytes.lastIndexOf('license\0'), 0x4c))).toThrow('section "License"');
    expect(refused(bytes.subarray(0, bytes.length - 40))).toThrow('cut off');
    expect(refused(Buffer.from('\x7fELF'))).toThrow('no 64-bit little-endian ELF file');
    const two = await compiled(
      'two',
      `${HEAD}SEC("xdp") int intransit(void *c) { return 1; }\nSEC("xdp") int other(void *c) { return 2; }\n${TAIL}`,
    );
    expect(refused(two)).toThrow(
      'must have the programs intransit, intransit_dispatch, not ["intransit","other"]',
    );
  }, 120_000);

  it('refuses maps that are others, or would be pinned, before they are made', async () => {
    const map = (name: string, more: string) =>
      `struct { __uint(type, BPF_MAP_TYPE_ARRAY); __uint(max_entries, 256); __type(key, __u32); __type(value, __u32); ${more} } ${name} SEC(".maps");\n`;
    const program = (name: string, more: string) =>
      `${HEAD}${map(name, more)}SEC("xdp") int intransit(void *c) { __u32 k = 0; return bpf_map_lookup_elem(&${name}, &k) ? 1 : 2; }\nSEC("xdp") int intransit_dispatch(void *c) { return 2; }\n${TAIL}`;
    const pinned = await compiled('pinned', program('zones', '__uint(pinning, LIBBPF_PIN_BY_NAME);'));
    const other = await compiled('other', program('mine', ''));
    loader ??= startLoader();
    const { load } = loader;
    const answer = (elf: Buffer) => load(elf, options);
    expect(await answer(pinned)).toMatchObject({
      ok: false,
      message: expect.stringContaining('would pin map'),
    });
    expect(await answer(other)).toMatchObject({ ok: false, message: expect.stringContaining('"mine"') });
    expect(await answer(await ours())).toMatchObject({ ok: true });
  }, 120_000);

  it('hears a long refusal to its end, also when it has not listened for a while', async () => {
    const long = await compiled(
      'long',
      emitXdp(plan!).replace(
        'return intransit_refuse(ctx, outcome, held);',
        `{
          for (int i = 0; i < 8000; i++) { held += i; __asm__ volatile("" : "+r"(held)); }
          return *(volatile int *)(long)held;
        }`,
      ),
    );
    loader ??= startLoader();
    const answer = loader.load(long, options);
    await new Promise((resolve) => setImmediate(resolve));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    const told = await answer;
    expect(told).toMatchObject({ ok: false, message: expect.stringContaining('intransit') });
    // More than a pipe holds.
    expect(JSON.stringify(told).length).toBeGreaterThan(300_000);
    expect(await loader.load(await ours(), options)).toMatchObject({ ok: true });
  }, 120_000);

  it('outlives what kills the loader', async () => {
    loader ??= startLoader();
    const dying = loader;
    loader = undefined;
    process.kill(dying.pid, 'SIGSEGV');
    await expect(dying.load(await ours(), options)).rejects.toThrow(
      'the loader died of the object (SIGSEGV)',
    );
    const r = random(8);
    const outcomes = { loaded: 0, refused: 0, died: 0 };
    for (let i = 0; i < 60; i++) {
      const mutant = changed(await ours(), r.int(0, (await ours()).length - 1), r.int(0, 255));
      try {
        checkObject(mutant, policy);
        loader ??= startLoader();
        outcomes[(await loader.load(mutant, options)).ok ? 'loaded' : 'refused']++;
      } catch (error) {
        const died = String(error).includes('the loader died');
        outcomes[died ? 'died' : 'refused']++;
        if (died) loader = undefined;
      }
    }
    expect(outcomes.loaded + outcomes.refused + outcomes.died).toBe(60);
    expect(outcomes.loaded).toBeGreaterThan(0);
  }, 240_000);
});
