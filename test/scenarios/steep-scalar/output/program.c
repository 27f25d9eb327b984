/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steep-scalar, layers 0..1 of 1
 *
 * layer 0 layer0: dense -> int8[2]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 1
#define INTRANSIT_LAYER_COUNT 1
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 2
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_INT8
#define INTRANSIT_OUTPUTS 2
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 16
#define INTRANSIT_RESULT_AT 8

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__u64 layer0_start[1] __attribute__((aligned(8))); /* what the sums begin with */
	__u64 layer0_weights[2] __attribute__((aligned(8))); /* 2 taps of each block of words (1) */
	__u64 layer0_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[2] __attribute__((aligned(8))); /* likewise */
};

/* Versions of the weights side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_weights);
} weights SEC(".maps");

/* layer0: dense, 2 taps, 2 outputs; 2 lanes of 32 bits, 1 words */
static __always_inline void layer0(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
	{
		const __u64 *start = w->layer0_start + 0, *k = w->layer0_weights + 0;
		const __u64 *multiplier = w->layer0_multiplier + 0, *offset = w->layer0_offset + 0;
		__u64 a0 = start[0];

#pragma clang loop unroll(full)
		for (int t = 0; t < 2; t++) {
			__u64 v = from[t];
			a0 += v * k[t * 1 + 0]; asm volatile("" : "+r"(a0) : : "memory");
		}

		to[0] = intransit_clamp((__s64)(intransit_lane(a0, 0, 32) * multiplier[0] + offset[0]) >> 0, -128, 127) - -128;
		to[1] = intransit_clamp((__s64)(intransit_lane(a0, 32, 32) * multiplier[1] + offset[1]) >> 0, -128, 127) - -128;
	}
}

static __always_inline int intransit_infer(const __u8 *payload, __u8 *bytes, __u32 slot)
{
	const struct intransit_weights *w = bpf_map_lookup_elem(&weights, &slot);
	
	if (!w)
		return -1;
	layer0(payload, bytes + 8, w);
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
