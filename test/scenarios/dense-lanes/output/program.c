/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dense-lanes, layers 0..3 of 3
 *
 * layer 0 hidden: dense -> int8[7]
 * layer 1 logits: dense -> int8[3]
 * layer 2 verdict: argmax -> uint8[2]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 3
#define INTRANSIT_LAYER_COUNT 3
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 6
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_OUTPUTS 2
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 32
#define INTRANSIT_RESULT_AT 24
#define INTRANSIT_VERDICT 1

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__u64 layer0_start[3] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer0_top[3] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer0_weights[18] __attribute__((aligned(8))); /* 6 taps of each block of words (3) */
	__u64 layer0_multiplier[7] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[7] __attribute__((aligned(8))); /* likewise */
	__u64 layer1_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer1_top[1] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer1_weights[7] __attribute__((aligned(8))); /* 7 taps of each block of words (1) */
	__u64 layer1_multiplier[3] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer1_offset[3] __attribute__((aligned(8))); /* likewise */
};

/* Versions of the weights side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_weights);
} weights SEC(".maps");

/* hidden: dense, 6 taps, 7 outputs; 3 lanes of 21 bits, 3 words */
static __always_inline void layer0(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __u64 *start = w->layer0_start + 0, *k = w->layer0_weights + 0;
		const __u64 *multiplier = w->layer0_multiplier + 0, *offset = w->layer0_offset + 0;
		const __u64 *top = w->layer0_top + 0;
		__u64 a0 = start[0], a1 = start[1], a2 = start[2];

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			a0 += v * k[t * 3 + 0]; asm volatile("" : "+r"(a0) : : "memory");
			a1 += v * k[t * 3 + 1]; asm volatile("" : "+r"(a1) : : "memory");
			a2 += v * k[t * 3 + 2]; asm volatile("" : "+r"(a2) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 20, 0x40000200001ULL);
		to[0] = (intransit_lane(a0, 0, 20) * multiplier[0] + offset[0]) >> 40;
		to[1] = (intransit_lane(a0, 21, 20) * multiplier[1] + offset[1]) >> 40;
		to[2] = (intransit_lane(a0, 42, 22) * multiplier[2] + offset[2]) >> 40;
		a1 = intransit_clamp_lanes(a1, top[1], 20, 0x40000200001ULL);
		to[3] = (intransit_lane(a1, 0, 20) * multiplier[3] + offset[3]) >> 40;
		to[4] = (intransit_lane(a1, 21, 20) * multiplier[4] + offset[4]) >> 40;
		to[5] = (intransit_lane(a1, 42, 22) * multiplier[5] + offset[5]) >> 40;
		a2 = intransit_clamp_lanes(a2, top[2], 20, 0x40000200001ULL);
		to[6] = (intransit_lane(a2, 0, 20) * multiplier[6] + offset[6]) >> 40;
	}
}

/* logits: dense, 7 taps, 3 outputs; 3 lanes of 21 bits, 1 words */
static __always_inline void layer1(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __u64 *start = w->layer1_start + 0, *k = w->layer1_weights + 0;
		const __u64 *multiplier = w->layer1_multiplier + 0, *offset = w->layer1_offset + 0;
		const __u64 *top = w->layer1_top + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int t = 0; t < 7; t++) {
			__u64 v = from[t];
			a0 += v * k[t * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 20, 0x40000200001ULL);
		to[0] = (intransit_lane(a0, 0, 20) * multiplier[0] + offset[0]) >> 40;
		to[1] = (intransit_lane(a0, 21, 20) * multiplier[1] + offset[1]) >> 40;
		to[2] = (intransit_lane(a0, 42, 22) * multiplier[2] + offset[2]) >> 40;
	}
}

/* verdict: argmax */
static __always_inline void layer2(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
	__s64 best = -512 * 65536, second = best;

#pragma clang loop unroll_count(4)
	for (int i = 0; i < 3; i++) {
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
	layer0(payload, bytes + 8, w);
	layer1(bytes + 8, bytes + 16, w);
	layer2(bytes + 16, bytes + 24, w);
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
