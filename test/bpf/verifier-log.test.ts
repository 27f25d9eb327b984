import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseVerifierRefusal, parseVerifierStats } from '../../src/bpf/index.ts';

/** Recorded on kernel 6.18; of the two longest, the ends of the logs. */
const logs = join(import.meta.dirname, 'fixtures', 'logs');
const read = (name: string) => readFileSync(join(logs, `${name}.log`), 'utf8');

describe('the summary of a recorded log', () => {
  it.each([
    [
      'out-of-bounds',
      'invalid access to packet, off=3 size=1, R1(id=0,off=3,r=0); R1 offset is outside of the packet, ' +
        'at instruction 1, out-of-bounds.bpf.c:9 `return data[3];` (2 instructions processed)',
      'compare the pointer with data_end before the access',
    ],
    [
      'loop-callback',
      'invalid access to packet, off=0 size=1, R3(id=1,off=0,r=0); R3 offset is outside of the packet, ' +
        'at instruction 16, loop-callback.bpf.c:5 `state->sum += state->data[i];` (16 instructions processed)',
      'compare the pointer with data_end before the access',
    ],
    [
      'global-function',
      "R1 invalid mem access 'mem_or_null', at instruction 6, global-function.bpf.c:3 " +
        '`__attribute__((noinline)) int relu(int *x) { return *x; }` (7 instructions processed)',
      'compare the pointer with NULL before the access',
    ],
    [
      'null-value',
      "R0 invalid mem access 'map_value_or_null', at instruction 7, null-value.bpf.c:12 `*value += 1;` " +
        '(7 instructions processed)',
      'compare the pointer with NULL before the access',
    ],
    [
      'map-index',
      'invalid access to map value, value_size=64 off=127 size=1; R0 max value is outside of the allowed memory range, ' +
        'at instruction 13, map-index.bpf.c:14 `return value->w[ctx->rx_queue_index & 127];` (13 instructions processed)',
      'bound the index by the size of the value, with a comparison or a mask',
    ],
    [
      'unbounded',
      'math between pkt pointer and register with unbounded min value is not allowed, ' +
        'at instruction 7, unbounded.bpf.c:7 `__u8 *p = data + skip;` (8 instructions processed)',
      'bound the offset, with a comparison or a mask',
    ],
    [
      'combined-stack',
      'combined stack size of 2 calls is 640. Too large (104 instructions processed)',
      'keep large data in a per-CPU map: the stack has 512 bytes over a chain of calls',
    ],
    [
      'infinite-loop',
      'infinite loop detected at insn 1, at instruction 1, infinite-loop.bpf.c:5 ' +
        '`while (1) { asm volatile("%0 = 1" : "=r"(x)); if (x != 1) break; }` (10 instructions processed)',
      'give the loop a constant bound, or use bpf_loop',
    ],
    [
      'too-large',
      'BPF program is too large. Processed 1000001 insn, at instruction 11 (1000001 instructions processed)',
      'use fewer branches, and bpf_loop for large loops',
    ],
    [
      'too-complex',
      'The sequence of 8193 jumps is too complex, at instruction 20, too-complex.bpf.c:10 ' +
        '`if (data[j] > i) sum += data[j] * 3;` (107008 instructions processed)',
      'use fewer branches, and bpf_loop for large loops',
    ],
    [
      'wrong-helper',
      'program of this type cannot use helper bpf_skb_change_type#32, at instruction 1, wrong-helper.bpf.c:3 ' +
        '`SEC("xdp") int prog(struct xdp_md *ctx) { return bpf_skb_change_type(ctx, 1); }` (2 instructions processed)',
      'use a helper that XDP programs may call',
    ],
  ])('%s', (name, summary, remedy) => {
    expect(parseVerifierRefusal(read(name))).toMatchObject({ summary, remedy });
  });
});

describe('the log of a verifier', () => {
  it('gives the parts of the summary', () => {
    expect(parseVerifierRefusal(read('out-of-bounds'))).toMatchObject({
      instruction: 1,
      source: { text: 'return data[3];', file: 'out-of-bounds.bpf.c', line: 9 },
      processedInstructions: 2,
    });
  });

  it('has source lines without a place before kernel 6.9', () => {
    const log = read('out-of-bounds').replace(/ @ \S+$/gm, '');
    expect(parseVerifierRefusal(log)).toMatchObject({ source: { text: 'return data[3];' } });
    expect(parseVerifierRefusal(log)?.summary).toContain('at instruction 1 `return data[3];` (2 ');
  });

  it('has states with flags and ids on older kernels', () => {
    const log = `func#0 @0
0: R1=ctx(id=0,off=0,imm=0) R10=fp0
0: (61) r1 = *(u32 *)(r1 +0)
 R1_w=pkt(id=0,off=0,r=0,imm=0) R10=fp0 fp-8_w=mmmmmmmm
from 3 to 5: R0_rw=inv1 R1=pkt(id=0,off=0,r=0,imm=0) R10=fp0
5: (71) r0 = *(u8 *)(r1 +0)
invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)
R1 offset is outside of the packet
processed 5 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;
    expect(parseVerifierRefusal(log)?.summary).toBe(
      'invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0); R1 offset is outside of the packet, ' +
        'at instruction 5 (5 instructions processed)',
    );
  });

  it('explains the reason behind an empty line on the newest kernels', () => {
    const explained = `0: (95) exit
R0 !read_ok

Verification failed: Unreadable register

Reason:
  R0 holds nothing on this path.

processed 1 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;
    expect(parseVerifierRefusal(explained)?.reason).toBe('R0 !read_ok');
  });

  it('names the line of a long loop once, far above the reason', () => {
    const turn = '7: (0f) r5 += r4                      ; R4=28 R5=pkt(r=64)\n';
    const log = `; for (;;) @ long.bpf.c:12\n${turn.repeat(20_000)}BPF program is too large. Processed 1000001 insn\n`;
    expect(parseVerifierRefusal(log)?.source).toEqual({ text: 'for (;;)', file: 'long.bpf.c', line: 12 });
  });

  it('is cut where a source line is long', () => {
    const log = `; ${'x'.repeat(500)} @ a.c:1\n0: (95) exit\nR0 !read_ok\n`;
    expect(parseVerifierRefusal(log)?.source?.text).toBe(`${'x'.repeat(120)}...`);
  });

  it('holds no reason but statistics for an accepted program', () => {
    const log =
      'verification time 41 usec\nstack depth 16+0\n' +
      'processed 14 insns (limit 1000000) max_states_per_insn 0 total_states 1 peak_states 1 mark_read 0\n';
    expect(parseVerifierRefusal(log)).toBeUndefined();
    expect(parseVerifierStats(log)).toEqual({
      verifiedInstructions: 14,
      stackBytes: [16, 0],
      verificationUs: 41,
    });
  });

  it('may be empty', () => {
    expect(parseVerifierRefusal('')).toBeUndefined();
    expect(parseVerifierStats('')).toBeUndefined();
  });
});
