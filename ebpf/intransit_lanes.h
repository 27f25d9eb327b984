/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arithmetic on packed lanes: a 64-bit word holds several sums side by side, the lowest lane in the lowest bits.
 *
 * Everything here is free of branches. The verifier walks both sides of every branch, so a clamp with an `if` doubles
 * its work for each neuron; and a mispredicted one costs more than all the masks.
 */
#ifndef INTRANSIT_LANES_H
#define INTRANSIT_LANES_H

#include <linux/types.h>

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

/* Keeps the compiler from seeing through a value: it would turn masks back into branches, and shifts into multiplies. */
#define INTRANSIT_OPAQUE(v) asm volatile("" : "+r"(v))

/*
 * All ones below the sign bit in each lane whose sign bit is set, else zero.
 * sign: bit of the sign within the lane; ones: 1 in the lowest bit of each lane.
 */
static __always_inline __u64 intransit_lane_mask(__u64 v, const int sign, const __u64 ones)
{
	__u64 high = v & (ones << sign);
	__u64 low = high >> sign;

	INTRANSIT_OPAQUE(low);
	return high - low;
}

/*
 * Clamps every lane to [0, top]: lanes come in as 2^sign + x, x a two's complement number of `sign` bits and a sign.
 * top holds 2^sign + the limit in each lane. The result too has the sign bit set in each lane: whoever takes a lane out
 * masks it off, or counts on it.
 */
static __always_inline __u64 intransit_clamp_lanes(__u64 v, __u64 top, const int sign, const __u64 ones)
{
	__u64 room;

	v &= intransit_lane_mask(v, sign, ones);
	room = top - v;
	room &= intransit_lane_mask(room, sign, ones);
	return top - room;
}

/* The lane at a bit position, `bits` wide; the topmost lane has nothing above it to mask. */
static __always_inline __u64 intransit_lane(__u64 v, const int at, const int bits)
{
	v >>= at;
	return at + bits >= 64 ? v : v & ((1ULL << bits) - 1);
}

/* All ones where x < 0, else zero. Opaque on both sides: clang knows what a shifted difference is, and what a mask is. */
static __always_inline __s64 intransit_sign(__s64 x)
{
	INTRANSIT_OPAQUE(x);
	x >>= 63;
	INTRANSIT_OPAQUE(x);
	return x;
}

/* x < 0 ? 0 : x */
static __always_inline __s64 intransit_at_least_zero(__s64 x)
{
	return x & ~intransit_sign(x);
}

/* Clamps x to [min, max]. */
static __always_inline __s64 intransit_clamp(__s64 x, const __s64 min, const __s64 max)
{
	x = intransit_at_least_zero(x - min);
	return max - intransit_at_least_zero(max - min - x);
}

/* v * multiplier + offset, and `part` more where v < pivot: a line on each side, as rounding half away from zero needs. */
static __always_inline __u64 intransit_two_lines(__u64 v, __u64 multiplier, __u64 offset, __u64 pivot, __u64 part)
{
	__u64 below = v - pivot;

	INTRANSIT_OPAQUE(below);
	below >>= 63;
	/* A product and no mask: a mask that meets a known number makes the verifier follow both of its values. */
	INTRANSIT_OPAQUE(below);
	return v * multiplier + offset + below * part;
}

/* scaled >> shift, less `part` before where that ends in the bit `odd`: so a tie, sent up before, goes to the even number. */
static __always_inline __s64 intransit_to_even(__u64 scaled, int shift, __u64 odd, __u64 part)
{
	__u64 off = (scaled >> shift) & 1;

	INTRANSIT_OPAQUE(off);
	/* 1 where the bit is `odd`; a product and no mask, as above. */
	off ^= 1 ^ odd;
	return (__s64)(scaled - off * part) >> shift;
}

/* The larger of two. */
static __always_inline __s64 intransit_max(__s64 a, __s64 b)
{
	return a + intransit_at_least_zero(b - a);
}

#endif
