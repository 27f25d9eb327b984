import { describe, expect, it } from 'vitest';
import {
  type Feature,
  type ProbeHost,
  type ProbeResult,
  probeAll,
  probeBtf,
  probeClang,
  probeXdpLink,
  thisHost,
} from '../../src/bpf/index.ts';
import { bindLibbpf, libbpf } from '../../src/bpf/native.ts';
import { describeWith, failure, loading } from './support.ts';

const coded = (code: string) => Object.assign(new Error(code), { code });

/** This machine with some parts replaced. */
const host = (parts: Partial<ProbeHost>): ProbeHost => ({ ...thisHost, ...parts });

/** libbpf with some functions replaced. */
const withLibbpf = (parts: object): ProbeHost => host({ libbpf: () => ({ ...libbpf(), ...parts }) });

const answers = (results: readonly ProbeResult[]) =>
  Object.fromEntries(results.map((r) => [r.feature, r.answer])) as Record<Feature, ProbeResult['answer']>;

describe('every machine', () => {
  it('gets an answer with a reason for each feature, and a remedy unless it is supported', async () => {
    const results = await probeAll();
    expect(results.map((r) => r.feature)).toEqual([
      'libbpf',
      'privilege',
      'xdp-program',
      'jit',
      'per-cpu-array',
      'bpf-loop',
      'btf',
      'xdp-link',
      'clang',
    ]);
    for (const result of results) {
      expect(result.reason).not.toBe('');
      expect(result.remedy === undefined).toBe(result.answer === 'supported');
    }
  });
});

describe('a machine without libbpf', () => {
  it('gets a typed error with the remedy', async () => {
    expect(await failure(() => bindLibbpf('libbpf-nonexistent.so.1'))).toMatchObject({
      code: 'bpf-libbpf-missing',
      message: expect.stringContaining('libbpf-nonexistent.so.1 does not load'),
      remedy: expect.stringContaining('apt-get install libbpf1'),
    });
  });

  it('is told that the library is missing, and that the kernel was not tried', async () => {
    const results = await probeAll(host({ libbpf: () => bindLibbpf('libbpf-nonexistent.so.1') }));
    expect(answers(results)).toMatchObject({
      libbpf: 'unsupported',
      'xdp-program': 'unknown',
      jit: 'unknown',
    });
    expect(results[0]?.remedy).toContain('apt-get install libbpf1');
  });
});

describeWith(['libbpf'], 'a machine with libbpf', () => {
  it('does not know more without permission', async () => {
    const results = answers(await probeAll(withLibbpf({ programLoad: () => -1 })));
    expect(results).toMatchObject({
      privilege: 'unsupported',
      'xdp-program': 'unknown',
      jit: 'unknown',
      'bpf-loop': 'unknown',
    });
  });

  it('may have a kernel without XDP', async () => {
    const results = answers(await probeAll(withLibbpf({ programLoad: () => -22, probeMapType: () => 1 })));
    expect(results).toMatchObject({ privilege: 'unknown', 'xdp-program': 'unsupported', jit: 'unknown' });
  });

  it('may have a kernel without a map type or helper, or one that does not tell', async () => {
    const parts = { probeMapType: () => 0, probeHelper: () => -95, programLoad: () => -22 };
    const results = await probeAll(withLibbpf(parts));
    expect(answers(results)).toMatchObject({ 'per-cpu-array': 'unsupported', 'bpf-loop': 'unknown' });
    expect(results.find((r) => r.feature === 'bpf-loop')?.reason).toContain('EOPNOTSUPP');
  });
});

describeWith(loading, 'this machine, with root', () => {
  it('has what the tests ran on', async () => {
    expect(answers(await probeAll())).toMatchObject({ privilege: 'supported', 'per-cpu-array': 'supported' });
  });

  it('may interpret programs', async () => {
    const infoByFd = () => 0;
    const results = answers(await probeAll(withLibbpf({ infoByFd })));
    expect(['supported', 'unsupported']).toContain(results.jit);
  });
});

describe("the kernel's types", () => {
  const reading = (readFile: ProbeHost['readFile']) => host({ readFile });
  const failing = (code: string) =>
    reading(() => {
      throw coded(code);
    });

  it('are there, are not there, or cannot be read', () => {
    expect(probeBtf(reading(() => Buffer.from('\0xdp_md\0'))).answer).toBe('supported');
    expect(probeBtf(failing('ENOENT'))).toMatchObject({ answer: 'unsupported', remedy: expect.any(String) });
    expect(probeBtf(failing('EACCES'))).toMatchObject({ answer: 'unknown', reason: 'EACCES' });
  });

  it('tell whether there are XDP links', () => {
    expect(probeXdpLink(reading(() => Buffer.from('\0bpf_xdp_link\0'))).answer).toBe('supported');
    expect(probeXdpLink(reading(() => Buffer.from('\0bpf_xdp_linked\0'))).answer).toBe('unsupported');
    expect(probeXdpLink(failing('ENOENT')).answer).toBe('unknown');
  });
});

describe('clang', () => {
  const running = (run: (args: readonly string[]) => Promise<string>) =>
    host({ run: (_, args) => run(args) });
  const version = 'Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu\n';

  it('is there, with its BPF target', async () => {
    const run = async ([arg]: readonly string[]) =>
      arg === '--version' ? version : '    bpf   - BPF (host endian)\n';
    const result = await probeClang(running(run));
    expect(result).toEqual({ feature: 'clang', answer: 'supported', reason: 'Debian clang version 14.0.6' });
  });

  it('is there without it', async () => {
    const run = async ([arg]: readonly string[]) =>
      arg === '--version' ? version : '    x86-64 - 64-bit X86\n';
    expect(await probeClang(running(run))).toMatchObject({ answer: 'unsupported' });
  });

  it('is missing, or fails', async () => {
    const missing = await probeClang(thisHost, 'clang-of-the-future');
    expect(missing).toMatchObject({ answer: 'unsupported', reason: 'no command "clang-of-the-future"' });
    const failing = await probeClang(running(() => Promise.reject(new Error('killed'))));
    expect(failing).toMatchObject({ answer: 'unknown', reason: 'killed' });
  });
});
