/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting bits, for layers whose weights are -1, 0 and 1. BPF has no instruction for it: bits are added up in fields of two,
 * four and eight bits of the word, and those of several words together as far as they fit a field.
 */
#ifndef INTRANSIT_BITS_H
#define INTRANSIT_BITS_H

#include <linux/types.h>

#include "intransit_lanes.h"

/* Bit `at` of each of eight bytes, that of the first byte lowest. No two of the products that are added share a bit. */
static __always_inline __u64 intransit_gather_bits(__u64 bytes, const int at)
{
	return (bytes >> at & 0x0101010101010101ULL) * 0x0102040810204080ULL >> 56;
}

/* The bits of each field of four: 0..4. */
static __always_inline __u64 intransit_nibble_counts(__u64 v)
{
	v -= v >> 1 & 0x5555555555555555ULL;
	return (v & 0x3333333333333333ULL) + (v >> 2 & 0x3333333333333333ULL);
}

/* Sums of fields of four bits, in bytes. */
static __always_inline __u64 intransit_byte_counts(__u64 nibbles)
{
	return (nibbles & 0x0f0f0f0f0f0f0f0fULL) + (nibbles >> 4 & 0x0f0f0f0f0f0f0f0fULL);
}

/* Sums of bytes, in fields of sixteen bits. */
static __always_inline __u64 intransit_wide_counts(__u64 bytes)
{
	return (bytes & 0x00ff00ff00ff00ffULL) + (bytes >> 8 & 0x00ff00ff00ff00ffULL);
}

/* The sum of the fields, up to 65535. */
static __always_inline __u64 intransit_total(__u64 wide)
{
	return wide * 0x0001000100010001ULL >> 48;
}

/* 1 where count < limit, else 0; opaque, or clang would make a branch of it. */
static __always_inline __u64 intransit_is_below(__u64 count, __u64 limit)
{
	__u64 below = count - limit;

	INTRANSIT_OPAQUE(below);
	below >>= 63;
	INTRANSIT_OPAQUE(below);
	return below;
}

#endif
