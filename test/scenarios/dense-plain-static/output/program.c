/* SPDX-License-Identifier: Apache-2.0 */
/*
 * two-layers, layers 0..2 of 2
 *
 * layer 0 hidden: dense -> uint8[5]
 * layer 1 logits: dense -> int8[3]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 2
#define INTRANSIT_LAYER_COUNT 2
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 6
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_INT8
#define INTRANSIT_OUTPUTS 3
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 24
#define INTRANSIT_RESULT_AT 16

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__u64 layer0_start[5] __attribute__((aligned(8))); /* what the sums begin with */
	__s8 layer0_weights[30] __attribute__((aligned(8))); /* 6 of each output */
	__u64 layer0_multiplier[5] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[5] __attribute__((aligned(8))); /* likewise */
	__u64 layer0_ties[5] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
	__u64 layer1_start[3] __attribute__((aligned(8))); /* what the sums begin with */
	__s8 layer1_weights[15] __attribute__((aligned(8))); /* 5 of each output */
	__u64 layer1_multiplier[3] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer1_offset[3] __attribute__((aligned(8))); /* likewise */
	__u64 layer1_ties[3] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
};

static const struct intransit_weights weights SEC(".rodata") = {
	.layer0_start = {
		0xffffffffffffffecULL, 0xfffffffffffffff6ULL, 0x0ULL, 0xaULL, 0x14ULL,
	},
	.layer0_weights = {
		-7, -4, -1, 2, 5, -7, 0, 3,
		6, -6, -3, 0, 7, -5, -2, 1,
		4, 7, -1, 2, 5, -7, -4, -1,
		6, -6, -3, 0, 3, 6,
	},
	.layer0_multiplier = {
		0xa3cULL, 0xa3dULL, 0xa3dULL, 0xa3cULL, 0xa3dULL,
	},
	.layer0_offset = {
		0x20a2dULL, 0x20718ULL, 0x2093eULL, 0x20a2dULL, 0x20862ULL,
	},
	.layer0_ties = {
		0xa3cULL, 0xa3dULL, 0xa3dULL, 0xa3cULL, 0xa3dULL,
	},
	.layer1_start = {
		0xffffffffffffffecULL, 0xfffffffffffffff6ULL, 0x0ULL,
	},
	.layer1_weights = {
		-7, -4, -1, 2, 5, 0, 3, 6,
		-6, -3, 7, -5, -2, 1, 4,
	},
	.layer1_multiplier = {
		0xa3dULL, 0xa3dULL, 0xa3dULL,
	},
	.layer1_offset = {
		0xfffffffffffb03f5ULL, 0xfffffffffffb051eULL, 0xfffffffffffb0631ULL,
	},
	.layer1_ties = {
		0xa3dULL, 0xa3dULL, 0xa3dULL,
	},
};

/* hidden: dense, 6 taps, 5 outputs; one multiply a weight */
static __always_inline void layer0(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __s8 *k = w->layer0_weights + 0;
		const __u64 *multiplier = w->layer0_multiplier + 0, *offset = w->layer0_offset + 0, *ties = w->layer0_ties + 0;
		__s64 sum = *(w->layer0_start + 0);

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[0] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 18, 1, ties[0]), 0, 255) - 0;
	}
	{
		const __s8 *k = w->layer0_weights + 6;
		const __u64 *multiplier = w->layer0_multiplier + 1, *offset = w->layer0_offset + 1, *ties = w->layer0_ties + 1;
		__s64 sum = *(w->layer0_start + 1);

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[1] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 18, 1, ties[0]), 0, 255) - 0;
	}
	{
		const __s8 *k = w->layer0_weights + 12;
		const __u64 *multiplier = w->layer0_multiplier + 2, *offset = w->layer0_offset + 2, *ties = w->layer0_ties + 2;
		__s64 sum = *(w->layer0_start + 2);

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[2] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 18, 1, ties[0]), 0, 255) - 0;
	}
	{
		const __s8 *k = w->layer0_weights + 18;
		const __u64 *multiplier = w->layer0_multiplier + 3, *offset = w->layer0_offset + 3, *ties = w->layer0_ties + 3;
		__s64 sum = *(w->layer0_start + 3);

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[3] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 18, 1, ties[0]), 0, 255) - 0;
	}
	{
		const __s8 *k = w->layer0_weights + 24;
		const __u64 *multiplier = w->layer0_multiplier + 4, *offset = w->layer0_offset + 4, *ties = w->layer0_ties + 4;
		__s64 sum = *(w->layer0_start + 4);

#pragma clang loop unroll(full)
		for (int t = 0; t < 6; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[4] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 18, 1, ties[0]), 0, 255) - 0;
	}
}

/* logits: dense, 5 taps, 3 outputs; one multiply a weight */
static __always_inline void layer1(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __s8 *k = w->layer1_weights + 0;
		const __u64 *multiplier = w->layer1_multiplier + 0, *offset = w->layer1_offset + 0, *ties = w->layer1_ties + 0;
		__s64 sum = *(w->layer1_start + 0);

#pragma clang loop unroll(full)
		for (int t = 0; t < 5; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[0] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 17, 0, ties[0]), -128, 127) - -128;
	}
	{
		const __s8 *k = w->layer1_weights + 5;
		const __u64 *multiplier = w->layer1_multiplier + 1, *offset = w->layer1_offset + 1, *ties = w->layer1_ties + 1;
		__s64 sum = *(w->layer1_start + 1);

#pragma clang loop unroll(full)
		for (int t = 0; t < 5; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[1] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 17, 0, ties[0]), -128, 127) - -128;
	}
	{
		const __s8 *k = w->layer1_weights + 10;
		const __u64 *multiplier = w->layer1_multiplier + 2, *offset = w->layer1_offset + 2, *ties = w->layer1_ties + 2;
		__s64 sum = *(w->layer1_start + 2);

#pragma clang loop unroll(full)
		for (int t = 0; t < 5; t++) {
			__u64 v = from[t];
			sum += (__s64)v * k[t];
			INTRANSIT_OPAQUE(sum);
		}
		to[2] = intransit_clamp(intransit_to_even(sum * multiplier[0] + offset[0], 17, 0, ties[0]), -128, 127) - -128;
	}
}

static __always_inline int intransit_infer(const __u8 *payload, __u8 *bytes, __u32 slot)
{
	const struct intransit_weights *w = &weights;
	
	layer0(payload, bytes + 8, w);
	layer1(bytes + 8, bytes + 16, w);
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
