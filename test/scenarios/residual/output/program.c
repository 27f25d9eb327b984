/* SPDX-License-Identifier: Apache-2.0 */
/*
 * residual, layers 0..4 of 4
 *
 * layer 0 a: conv2d -> int8[2x3x3]
 * layer 1 b: conv2d -> int8[2x3x3]
 * layer 2 sum: add -> int8[2x3x3]
 * layer 3 out: requantise -> uint8[2x3x3]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 4
#define INTRANSIT_LAYER_COUNT 4
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 18
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_OUTPUTS 18
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 208
#define INTRANSIT_RESULT_AT 184

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__u64 layer0_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer0_top[1] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer0_weights[18] __attribute__((aligned(8))); /* 18 taps of each block of words (1) */
	__u64 layer0_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[2] __attribute__((aligned(8))); /* likewise */
	__u64 layer0_ties[2] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
	__u64 layer1_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer1_top[1] __attribute__((aligned(8))); /* largest sum that matters */
	__u64 layer1_weights[18] __attribute__((aligned(8))); /* 18 taps of each block of words (1) */
	__u64 layer1_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer1_offset[2] __attribute__((aligned(8))); /* likewise */
	__u64 layer1_ties[2] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
	__u64 layer2_multiplier[2] __attribute__((aligned(8))); /* of either input */
	__u64 layer2_offset[1] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer3_multiplier[1] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer3_offset[1] __attribute__((aligned(8))); /* likewise */
	__u64 layer3_ties[1] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
};

/* Versions of the weights side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_weights);
} weights SEC(".maps");

/* a: conv2d, 18 taps, 2 outputs; 2 lanes of 32 bits, 1 words */
static __always_inline void layer0(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 3; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 3; px++) {
		const __u8 *in = from + 0 + py * 10 + px * 2;
		__u8 *out = to + 12 + py * 10 + px * 2;

	{
		const struct intransit_weights *here = w;

		INTRANSIT_OPAQUE(here);
		const __u64 *start = here->layer0_start + 0, *k = here->layer0_weights + 0;
		const __u64 *multiplier = here->layer0_multiplier + 0, *offset = here->layer0_offset + 0, *ties = here->layer0_ties + 0;
		const __u64 *top = here->layer0_top + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int s = 0; s < 3; s++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = in[s * 10 + t];
			a0 += v * k[(s * 6 + t) * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 31, 0x100000001ULL);
		out[0] = intransit_to_even(intransit_lane(a0, 0, 31) * multiplier[0] + offset[0], 40, 1, ties[0]);
		out[1] = intransit_to_even(intransit_lane(a0, 32, 32) * multiplier[1] + offset[1], 40, 1, ties[1]);
	}
	}
}

/* b: conv2d, 18 taps, 2 outputs; 2 lanes of 32 bits, 1 words */
static __always_inline void layer1(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 3; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 3; px++) {
		const __u8 *in = from + 0 + py * 10 + px * 2;
		__u8 *out = to + 0 + py * 6 + px * 2;

	{
		const struct intransit_weights *here = w;

		INTRANSIT_OPAQUE(here);
		const __u64 *start = here->layer1_start + 0, *k = here->layer1_weights + 0;
		const __u64 *multiplier = here->layer1_multiplier + 0, *offset = here->layer1_offset + 0, *ties = here->layer1_ties + 0;
		const __u64 *top = here->layer1_top + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int s = 0; s < 3; s++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = in[s * 10 + t];
			a0 += v * k[(s * 6 + t) * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		a0 = intransit_clamp_lanes(a0, top[0], 31, 0x100000001ULL);
		out[0] = intransit_to_even(intransit_lane(a0, 0, 31) * multiplier[0] + offset[0], 40, 1, ties[0]);
		out[1] = intransit_to_even(intransit_lane(a0, 32, 32) * multiplier[1] + offset[1], 40, 1, ties[1]);
	}
	}
}

/* sum: add */
static __always_inline void layer2(const __u8 *from0, const __u8 *from1, __u8 *to, const struct intransit_weights *w)
{
	int at0 = 12, x0 = 0, y0 = 0;
	int at1 = 0, x1 = 0, y1 = 0;
	int at_to = 0, x_to = 0, y_to = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < 18; i++) {
		to[at_to] = intransit_clamp((((__s64)from0[at0] - 124) * (__s64)w->layer2_multiplier[0] + ((__s64)from1[at1] - 124) * (__s64)w->layer2_multiplier[1] + (__s64)w->layer2_offset[0]) >> 9, -128, 127) - -128;
		at0 += 2;
		if (++x0 == 3) {
			x0 = 0;
			at0 += 4;
			if (++y0 == 3) {
				y0 = 0;
				at0 += -29;
			}
		}
		at1 += 2;
		if (++x1 == 3) {
			x1 = 0;
			at1 += 0;
			if (++y1 == 3) {
				y1 = 0;
				at1 += -17;
			}
		}
		at_to += 2;
		if (++x_to == 3) {
			x_to = 0;
			at_to += 0;
			if (++y_to == 3) {
				y_to = 0;
				at_to += -17;
			}
		}
	}
}

/* out: requantise */
static __always_inline void layer3(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll_count(4)
	for (int i = 0; i < 18; i++) {
		int at0 = i;

		to[i] = intransit_clamp(intransit_to_even(((__s64)from0[at0] - 128) * (__s64)w->layer3_multiplier[0] + (__s64)w->layer3_offset[0], 1, 1, w->layer3_ties[0]), 0, 255) - 0;
	}
}

static __always_inline int intransit_infer(const __u8 *payload, __u8 *bytes, __u32 slot)
{
	const struct intransit_weights *w = bpf_map_lookup_elem(&weights, &slot);
	
	if (!w)
		return -1;
	#pragma clang loop unroll_count(8)
	for (int i = 0; i < 7; i++) { /* border of value 1 */
		((__u64 *)(bytes + 56))[i] = 0x7c7c7c7c7c7c7c7cULL;
		asm volatile("" : : : "memory");
	}
	for (int c = 0; c < 2; c++)
		for (int y = 0; y < 3; y++)
			for (int x = 0; x < 3; x++) {
				bytes[12 + y * 10 + x * 2 + c] = payload[(c * 3 + y) * 3 + x];
				asm volatile("" : : : "memory");
			}
	layer0(bytes + 0, bytes + 56, w);
	layer1(bytes + 56, bytes + 112, w);
	layer2(bytes + 56, bytes + 112, bytes + 136, w);
	layer3(bytes + 136, bytes + 160, w);
	for (int c = 0; c < 2; c++)
		for (int p = 0; p < 9; p++)
			bytes[184 + c * 9 + p] = bytes[160 + p * 2 + c];
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
