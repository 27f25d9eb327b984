/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup, layers 0..6 of 6
 *
 * layer 0 bags: embedding -> int8[2x2x2]
 * layer 1 depthwise: conv2d -> int8[2x2x2]
 * layer 2 activation: lut -> uint8[2x2x2]
 * layer 3 turned: transpose -> uint8[2x2x2]
 * layer 4 framed: pad -> uint8[2x3x3]
 * layer 5 mean: averagePool -> uint8[2x2x2]
 *
 * Made by intransit. Build: clang -O2 -g -target bpf -mcpu=v3 -c program.c
 */
#include <linux/types.h>

#define INTRANSIT_PORT 18858
#define INTRANSIT_FIRST_LAYER 0
#define INTRANSIT_NEXT_LAYER 6
#define INTRANSIT_LAYER_COUNT 6
#define INTRANSIT_INPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_INPUTS 6
#define INTRANSIT_OUTPUT_ELEMENT INTRANSIT_ELEMENT_UINT8
#define INTRANSIT_OUTPUTS 8
#define INTRANSIT_SLOTS 16
#define INTRANSIT_SCRATCH_BYTES 104
#define INTRANSIT_RESULT_AT 96

#include "intransit_xdp.h"
#include "intransit_lanes.h"

struct intransit_weights {
	__s8 layer0_table[32] __attribute__((aligned(8))); /* 5 rows of 4, and room for 3 */
	__u64 layer0_multiplier[1] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer0_offset[1] __attribute__((aligned(8))); /* likewise */
	__u64 layer1_start[2] __attribute__((aligned(8))); /* what the sums begin with */
	__s8 layer1_weights[8] __attribute__((aligned(8))); /* 4 of each output */
	__u64 layer1_multiplier[2] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer1_offset[2] __attribute__((aligned(8))); /* likewise */
	__u64 layer1_pivot[2] __attribute__((aligned(8))); /* below which the source has a second line */
	__u64 layer1_below[2] __attribute__((aligned(8))); /* what is added there */
	__u8 layer2_table[256] __attribute__((aligned(8))); /* of unsigned activations */
	__u64 layer5_multiplier[4] __attribute__((aligned(8))); /* of the requantisation */
	__u64 layer5_offset[4] __attribute__((aligned(8))); /* likewise */
	__u64 layer5_ties[4] __attribute__((aligned(8))); /* what an odd result loses, so that ties go to even */
};

/* Versions of the weights side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_weights);
} weights SEC(".maps");

/* bags: embedding */
static __always_inline void layer0(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
	int at_to = 0, x_to = 0, y_to = 0;
#pragma clang loop unroll(disable)
	for (int b = 0; b < 2; b++) {
#pragma clang loop unroll(disable)
	for (int j = 0; j < 4; j += 4) {
		const __u8 *key = from0 + 0 + b * 3;
		__s64 sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;

#pragma clang loop unroll(disable)
		for (int k = 0; k < 3; k++, key += 1) {
			__u64 row = (__u32)key[0];
			__s64 known = intransit_sign((__s64)row - 5);
			const __s8 *entries = w->layer0_table + j;

			INTRANSIT_OPAQUE(row);
			row &= 7;
			INTRANSIT_OPAQUE(entries);
			entries += row * 4;
			sum0 += entries[0] & known;
			sum1 += entries[1] & known;
			sum2 += entries[2] & known;
			sum3 += entries[3] & known;
		}
		to[at_to] = intransit_clamp(((sum0) * (__s64)w->layer0_multiplier[0] + (__s64)w->layer0_offset[0]) >> 40, -128, 127) - -128;
		at_to += 2;
		if (++x_to == 2) {
			x_to = 0;
			at_to += 2;
			if (++y_to == 2) {
				y_to = 0;
				at_to += -11;
			}
		}
		to[at_to] = intransit_clamp(((sum1) * (__s64)w->layer0_multiplier[0] + (__s64)w->layer0_offset[0]) >> 40, -128, 127) - -128;
		at_to += 2;
		if (++x_to == 2) {
			x_to = 0;
			at_to += 2;
			if (++y_to == 2) {
				y_to = 0;
				at_to += -11;
			}
		}
		to[at_to] = intransit_clamp(((sum2) * (__s64)w->layer0_multiplier[0] + (__s64)w->layer0_offset[0]) >> 40, -128, 127) - -128;
		at_to += 2;
		if (++x_to == 2) {
			x_to = 0;
			at_to += 2;
			if (++y_to == 2) {
				y_to = 0;
				at_to += -11;
			}
		}
		to[at_to] = intransit_clamp(((sum3) * (__s64)w->layer0_multiplier[0] + (__s64)w->layer0_offset[0]) >> 40, -128, 127) - -128;
		at_to += 2;
		if (++x_to == 2) {
			x_to = 0;
			at_to += 2;
			if (++y_to == 2) {
				y_to = 0;
				at_to += -11;
			}
		}
	}
	}
}

/* depthwise: conv2d, 4 taps, 2 outputs; one multiply a weight */
static __always_inline void layer1(const __u8 *from, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 2; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 2; px++) {
		const __u8 *in = from + 0 + py * 6 + px * 2;
		__u8 *out = to + 0 + py * 4 + px * 2;

#pragma clang loop unroll(disable)
	for (int group = 0; group < 2; group++, in += 1, out += 1) {
	{
		const struct intransit_weights *here = w;

		INTRANSIT_OPAQUE(here);
		const __s8 *k = here->layer1_weights + group * 4 + 0;
		const __u64 *multiplier = here->layer1_multiplier + group * 1 + 0, *offset = here->layer1_offset + group * 1 + 0, *pivot = here->layer1_pivot + group * 1 + 0, *below = here->layer1_below + group * 1 + 0;
		__s64 sum = *(here->layer1_start + group * 1 + 0);

#pragma clang loop unroll(full)
		for (int s = 0; s < 2; s++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 2; t++) {
			__u64 v = in[s * 6 + t * 2];
			sum += (__s64)v * k[(s * 2 + t)];
			INTRANSIT_OPAQUE(sum);
		}
		out[0] = intransit_clamp((__s64)(intransit_two_lines(sum, multiplier[0], offset[0], pivot[0], below[0])) >> 3, -128, 127) - -128;
	}
	}
	}
}

/* activation: lut */
static __always_inline void layer2(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll_count(4)
	for (int i = 0; i < 8; i++) {
		int at0 = i;

		to[i] = w->layer2_table[from0[at0]];
	}
}

/* turned: transpose */
static __always_inline void layer3(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int i0 = 0; i0 < 2; i0++)
#pragma clang loop unroll_count(4)
	for (int i1 = 0; i1 < 4; i1++) {
		to[0 + i0 * 1 + i1 * 2] = from0[0 + i0 * 4 + i1 * 1];
		asm volatile("" : : : "memory");
	}
}

/* framed: pad */
static __always_inline void layer4(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll_count(8)
	for (int i = 0; i < 4; i++) {
		((__u64 *)to)[i] = 0x0000000000000000ULL;
		asm volatile("" : : : "memory");
	}
#pragma clang loop unroll(disable)
	for (int i0 = 0; i0 < 2; i0++)
#pragma clang loop unroll(disable)
	for (int i1 = 0; i1 < 2; i1++)
#pragma clang loop unroll_count(4)
	for (int i2 = 0; i2 < 2; i2++) {
		to[12 + i0 * 1 + i1 * 8 + i2 * 2] = from0[0 + i0 * 1 + i1 * 4 + i2 * 2];
		asm volatile("" : : : "memory");
	}
}

/* mean: averagePool */
static __always_inline void layer5(const __u8 *from0, __u8 *to, const struct intransit_weights *w)
{
#pragma clang loop unroll(disable)
	for (int py = 0; py < 2; py++)
#pragma clang loop unroll(disable)
	for (int px = 0; px < 2; px++)
#pragma clang loop unroll(disable)
	for (int c = 0; c < 2; c++) {
		const __u8 *in = from0 + 0 + py * 16 + px * 4 + c;
		__s64 sum = 0;
#pragma clang loop unroll(full)
		for (int r = 0; r < 2; r++)
#pragma clang loop unroll(full)
		for (int t = 0; t < 2; t++) {
			int at = r * 8 + t * 2;
			sum += in[at];
		}
		to[0 + py * 4 + px * 2 + c] = intransit_clamp(intransit_to_even((sum - 0) * (__s64)w->layer5_multiplier[py * 2 + px] + (__s64)w->layer5_offset[py * 2 + px], 2, 1, w->layer5_ties[py * 2 + px]), 0, 255) - 0;
	}
}

static __always_inline int intransit_infer(const __u8 *payload, __u8 *bytes, __u32 slot)
{
	const struct intransit_weights *w = bpf_map_lookup_elem(&weights, &slot);
	
	if (!w)
		return -1;
	#pragma clang loop unroll_count(8)
	for (int i = 0; i < 3; i++) { /* border of value 1 */
		((__u64 *)(bytes + 8))[i] = 0x8383838383838383ULL;
		asm volatile("" : : : "memory");
	}
	for (int c = 0; c < 6; c++)
		for (int y = 0; y < 1; y++)
			for (int x = 0; x < 1; x++) {
				bytes[0 + y * 6 + x * 6 + c] = payload[(c * 1 + y) * 1 + x];
				asm volatile("" : : : "memory");
			}
	layer0(bytes + 0, bytes + 8, w);
	layer1(bytes + 8, bytes + 32, w);
	layer2(bytes + 32, bytes + 40, w);
	layer3(bytes + 40, bytes + 48, w);
	layer4(bytes + 48, bytes + 56, w);
	layer5(bytes + 56, bytes + 88, w);
	for (int c = 0; c < 2; c++)
		for (int p = 0; p < 4; p++)
			bytes[96 + c * 4 + p] = bytes[88 + p * 2 + c];
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
