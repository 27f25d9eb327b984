/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conv-pool, layers 0..4 of 4
 *
 * layer 0 conv: conv2d -> uint8[2x4x4]
 * layer 1 pool: maxPool -> uint8[2x2x2]
 * layer 2 fc: dense -> int8[2]
 * layer 3 class: argmax -> uint8[2]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 4
#define INTRANSIT_LAYER_COUNT 4
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 16
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_OUTPUTS 2
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 96
#define INTRANSIT_RESULT_AT 88
#define INTRANSIT_VERDICT 1

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__u64 layer0_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer0_top[1] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer0_weights[9] __attribute__((aligned(8))); /* 9 taps of each block of words (1) */
	__u64 layer0_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[2] __attribute__((aligned(8))); /* likewise */
	__u64 layer2_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer2_top[1] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer2_weights[8] __attribute__((aligned(8))); /* 8 taps of each block of words (1) */
	__u64 layer2_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer2_offset[2] __attribute__((aligned(8))); /* likewise */
};

/* Versions of the weights side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_weights);
} weights SEC(".maps");

/* conv: conv2d, 9 taps, 2 outputs; 2 lanes of 32 bits, 1 words */
static __always_inline void layer0(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 4; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 4; px++) {
		const __u8 *in = from + 0 + py * 6 + px * 1;
		__u8 *out = to + 0 + py * 8 + px * 2;

	{
		const struct intransit_weights *here = w;

		INTRANSIT_OPAQUE(here);
		const __u64 *start = here->layer0_start + 0, *k = here->layer0_weights + 0;
		const __u64 *multiplier = here->layer0_multiplier + 0, *offset = here->layer0_offset + 0;
		const __u64 *top = here->layer0_top + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int s = 0; s < 3; s++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 3; t++) {
			__u64 v = in[s * 6 + t];
			a0 += v * k[(s * 3 + t) * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 31, 0x100000001ULL);
		out[0] = (intransit_lane(a0, 0, 31) * multiplier[0] + offset[0]) >> 40;
		out[1] = (intransit_lane(a0, 32, 32) * multiplier[1] + offset[1]) >> 40;
	}
	}
}

/* pool: maxPool */
static __always_inline void layer1(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 2; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 2; px++)
#pragma clang loop unroll(disable)
	for (int c = 0; c < 2; c++) {
		const __u8 *in = from0 + 0 + py * 16 + px * 4 + c;
		__s64 most = 0;
#pragma clang loop unroll(full)
		for (int r = 0; r < 2; r++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 2; t++) {
			int at = r * 8 + t * 2;
			most = intransit_max(most, in[at]);
		}
		to[0 + py * 4 + px * 2 + c] = most;
	}
}

/* fc: dense, 8 taps, 2 outputs; 2 lanes of 32 bits, 1 words */
static __always_inline void layer2(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __u64 *start = w->layer2_start + 0, *k = w->layer2_weights + 0;
		const __u64 *multiplier = w->layer2_multiplier + 0, *offset = w->layer2_offset + 0;
		const __u64 *top = w->layer2_top + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int t = 0; t < 8; t++) {
			__u64 v = from[t];
			a0 += v * k[t * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 31, 0x100000001ULL);
		to[0] = (intransit_lane(a0, 0, 31) * multiplier[0] + offset[0]) >> 40;
		to[1] = (intransit_lane(a0, 32, 32) * multiplier[1] + offset[1]) >> 40;
	}
}

/* class: argmax */
static __always_inline void layer3(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
	__s64 best = -512 * 65536, second = best;

#pragma clang loop unroll_count(4)
	for (int i = 0; i < 2; i++) {
		__s64 key = ((__s64)from0[i] << 16) + (0xffff - i);
		__s64 most = intransit_max(best, key);

		second = intransit_max(second, best + key - most);
		best = most;
	}
	to[0] = 0xffff - (best & 0xffff);
	to[1] = intransit_clamp((best >> 16) - (second >> 16), 0, 255);
}

static __always_inline int intransit_infer(const __u8 *payload, __u8 *bytes, __u32 slot)
{
	const struct intransit_weights *w = bpf_map_lookup_elem(&weights, &slot);
	
	if (!w)
		return -1;
	#pragma clang loop unroll_count(8)
	for (int i = 0; i < 5; i++) { /* border of value 0 */
		((__u64 *)(bytes + 0))[i] = 0x0303030303030303ULL;
		asm volatile("" : : : "memory");
	}
	#pragma clang loop unroll(disable)
	for (int y = 0; y < 4; y++) {
	#pragma clang loop unroll_count(4)
		for (int x = 0; x < 4; x++) {
			(bytes + 7 + y * 6)[x] = (payload + y * 4)[x];
			asm volatile("" : : : "memory");
		}
	}
	layer0(bytes + 0, bytes + 40, w);
	layer1(bytes + 40, bytes + 72, w);
	layer2(bytes + 72, bytes + 80, w);
	layer3(bytes + 80, bytes + 88, w);
	return 0;
}

#ifndef INTRANSIT_BENCH
SEC("xdp")
int intransit(struct xdp_md *ctx)
{
	struct intransit_packet *packet;
	struct intransit_scratch *s;
	__u32 outcome, zero = 0;
	__u64 held = 0;

	outcome = intransit_source(ctx, &held);
	if (outcome != INTRANSIT_COMPUTED)
		return intransit_refuse(ctx, outcome, held);
	packet = (void *)(long)ctx->data;
	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || (void *)packet + INTRANSIT_PAYLOAD_AT + INTRANSIT_INPUTS > (void *)(long)ctx->data_end ||
	    intransit_infer((const __u8 *)packet + INTRANSIT_PAYLOAD_AT, s->bytes,
			    INTRANSIT_WORD(held, SLOT) % INTRANSIT_PROGRAM_SLOTS))
		return intransit_refuse(ctx, INTRANSIT_FAILED, held);
	return intransit_answer(ctx, s->bytes + INTRANSIT_RESULT_AT, held);
}
#else
/* The layers alone, on the same bytes of the packet, or on rows of it in turn: what the benchmark times. */
#ifndef INTRANSIT_BENCH_ROWS
#define INTRANSIT_BENCH_ROWS 1 /* a power of two */
#endif

SEC("xdp")
int intransit(struct xdp_md *ctx)
{
	__u8 *packet = (void *)(long)ctx->data;
	const __u8 *row = packet + INTRANSIT_PAYLOAD_AT;
	struct intransit_scratch *s;
	__u32 zero = 0;

	s = bpf_map_lookup_elem(&scratch, &zero);
	if (!s || row + INTRANSIT_INPUTS > (const __u8 *)(long)ctx->data_end)
		return XDP_ABORTED;
	if (INTRANSIT_BENCH_ROWS > 1) {
		/* The number of the run stands where a packet has an address that nothing here reads. */
		row += ((*(__u32 *)packet)++ & (INTRANSIT_BENCH_ROWS - 1)) * INTRANSIT_INPUTS;
		if (row + INTRANSIT_INPUTS > (const __u8 *)(long)ctx->data_end)
			return XDP_ABORTED;
	}
	return intransit_infer(row, s->bytes, 0) ? XDP_ABORTED : XDP_DROP;
}
#endif

char LICENSE[] SEC("license") = "Dual BSD/GPL";
