/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs of flow mode share: flows to their places, and what becomes of each packet. Beyond
 * intransit_flow_packet.h a program defines before it includes this file:
 *
 *   INTRANSIT_FLOW_OUTCOMES      how many outcomes there are
 *   INTRANSIT_FLOW_BUCKETS       places of flows by INTRANSIT_FLOW_PLACES: a power of two
 *   INTRANSIT_FLOW_KEEP          how long a flow without a packet is safe from others, in units of the clock
 *   INTRANSIT_FLOW_CLOCK_NS      nanoseconds of a unit of the clock
 *   INTRANSIT_FLOW_FEATURES      inputs of the model
 *   INTRANSIT_FLOW_FEATURE_WORDS words of eight features that a test run is told
 *   INTRANSIT_SCRATCH_BYTES      bytes that the layers use between them
 *   INTRANSIT_FLOW_KEPT          state that is copied from its place to be read: numbers, at least 1
 *   INTRANSIT_FLOW_SET           if the model is one of several of the host
 *   INTRANSIT_FLOW_PER_PACKET    if it is for packets whose flow has found no place
 *   INTRANSIT_FLOW_AT_END        if flows are classified at their ends; then also
 *   INTRANSIT_FLOW_TCP_CLOSE     1 where FIN of both ends or a RST is one
 *
 * and `struct intransit_flow_state`, what a place keeps.
 */
#ifndef INTRANSIT_FLOW_H
#define INTRANSIT_FLOW_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "intransit_flow_packet.h"

#define INTRANSIT_SLOTS 2

/* Flows that one hash leads to. */
#define INTRANSIT_FLOW_PLACES 4

/* Whether this is a test run, which is given arrivals and tells features. Set before loading. */
const volatile __u32 intransit_flow_test = 0;

/*
 * Whether a larger model may be asked about flows. Set before loading; where it is 0 the verifier drops that code.
 */
const volatile __u32 intransit_flow_asks = 0;
/* Of the hash: a start, and a factor for each half of a word of a key. More than any key has. */
#define INTRANSIT_FLOW_SECRETS 16

/*
 * Unknown to those who choose addresses: else they could choose them to collide. Set before loading, to random numbers; these are
 * the first digits of pi, for whoever loads the program by hand.
 */
const volatile __u64 intransit_flow_secrets[INTRANSIT_FLOW_SECRETS] = {
	0x243f6a8885a308d3ULL, 0x13198a2e03707344ULL, 0xa4093822299f31d0ULL, 0x082efa98ec4e6c89ULL,
	0x452821e638d01377ULL, 0xbe5466cf34e90c6cULL, 0xc0ac29b7c97c50ddULL, 0x3f84d5b5b5470917ULL,
	0x9216d5d98979fb1bULL, 0xd1310ba698dfb5acULL, 0x2ffd72dbd01adfb7ULL, 0xb8e1afed6a267e96ULL,
	0xba7c9045f12c7f99ULL, 0x24a19947b3916cf7ULL, 0x0801f2e2858efc16ULL, 0x636920d871574e69ULL,
};

enum intransit_flow_word {
	INTRANSIT_FLOW_TEST_TIME = 0, /* in: the arrival in ns */
	INTRANSIT_FLOW_TEST_LENGTH = 1, /* in: bytes of the frame on the wire, if more than there are; else 0 */
	INTRANSIT_FLOW_TEST_RESULT = 2, /* out: outcome, class << 8, margin << 16, 1 << 24 with a verdict */
	INTRANSIT_FLOW_TEST_FEATURES = 3, /* out: eight features each */
	INTRANSIT_FLOW_TEST_PLACE = INTRANSIT_FLOW_TEST_FEATURES + INTRANSIT_FLOW_FEATURE_WORDS, /* out: of the flow */
	/* Where flows are classified at their ends. */
	INTRANSIT_FLOW_TEST_GONE, /* out: verdict of a flow that was found over, or 0; then its features */
	INTRANSIT_FLOW_TEST_GONE_FEATURES,
	INTRANSIT_FLOW_TEST_WORDS = INTRANSIT_FLOW_TEST_GONE_FEATURES + INTRANSIT_FLOW_FEATURE_WORDS,
};

/*
 * A bucket: the flows that one hash leads to. What a search reads is together; the lock holds for all of it. A tag is the
 * upper half of a flow's hash, 0 where there is none.
 */
struct intransit_flow_bucket {
	struct bpf_spin_lock lock;
	__u32 generation; /* counts flows that began here */
	__u32 tags[INTRANSIT_FLOW_PLACES];
	__u64 seen[INTRANSIT_FLOW_PLACES]; /* time of the last packet */
	__u64 unused;
	struct intransit_flow_state places[INTRANSIT_FLOW_PLACES];
} __attribute__((aligned(64)));

/* For mapping, so that it begins with a page, and each bucket with a line of the cache. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INTRANSIT_FLOW_BUCKETS);
	__type(key, __u32);
	__type(value, struct intransit_flow_bucket);
} flows SEC(".maps");

#ifdef INTRANSIT_FLOW_AT_END
/* A flow as it was at its end, and the time of its last packet. */
struct intransit_flow_ended {
	struct intransit_flow_state state;
	__u64 seen;
};
#endif

/* One packet's work: its fields, features and activations. The stack has 512 bytes. */
struct intransit_flow_work {
	struct intransit_flow_packet packet;
	__u64 before[INTRANSIT_FLOW_KEPT];
	__u64 after[INTRANSIT_FLOW_KEPT];
	__u8 features[(INTRANSIT_FLOW_FEATURES + 7) / 8 * 8] __attribute__((aligned(8)));
	__u8 bytes[INTRANSIT_SCRATCH_BYTES] __attribute__((aligned(8)));
#ifdef INTRANSIT_FLOW_AT_END
	struct intransit_flow_ended ended[2]; /* the one that a packet found over, and its own */
#endif
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_work);
} work SEC(".maps");

/*
 * Packets by outcome; then flows that began, those that made room for them, and those that were classified without a packet; then those
 * that a larger model was asked about, had its answer, had it too late, and those that there was no budget for.
 */
struct intransit_flow_counts {
	__u64 outcomes[INTRANSIT_FLOW_OUTCOMES];
	__u64 begun;
	__u64 evicted;
	__u64 ended;
	__u64 asked;
	__u64 answered;
	__u64 overdue;
	__u64 shed;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_counts);
} flow_counts SEC(".maps");

/* The slot of the weights: one word, so that a change is seen whole. One that there is not: no weights are ready. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_model SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INTRANSIT_FLOW_TEST_WORDS);
	__type(key, __u32);
	__type(value, __u64);
} flow_test SEC(".maps");

#ifdef INTRANSIT_FLOW_SET
enum intransit_flow_next {
	INTRANSIT_FLOW_OTHERS = 0, /* packets that the model is not for */
	INTRANSIT_FLOW_NO_PLACE = 1, /* packets whose flow has found no place */
};

/* Programs of the other models of the host. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* Classes have numbers among those of all models. */
#define INTRANSIT_FLOW_CLASS(class) intransit_flow_classes_of[(class) & 0xff]
#define INTRANSIT_FLOW_HAND_ON(ctx, which) bpf_tail_call(ctx, &next, which)
#else
#define INTRANSIT_FLOW_CLASS(class) (class)
#define INTRANSIT_FLOW_HAND_ON(ctx, which)
#endif

struct intransit_weights;

/* What the body of a loop over a layer's outputs works on. */
struct intransit_loop {
	const struct intransit_weights *weights;
	const void *from;
	void *to;
};

/*
 * A verdict as a place keeps it, from the highest bit: the generation of the flow (32 bits), whether a larger model has given it,
 * whether one was asked, whether the flow's client is the higher end, whether there is a verdict, margin and class (8 bits each).
 */
#define INTRANSIT_FLOW_ANSWERED (1ULL << 19)
#define INTRANSIT_FLOW_ASKED (1ULL << 18)
#define INTRANSIT_FLOW_SWAPPED_AT 17
#define INTRANSIT_FLOW_KNOWN (1ULL << 16)
#define INTRANSIT_FLOW_VERDICT (2 * INTRANSIT_FLOW_KNOWN - 1)

#ifndef INTRANSIT_FLOW_PER_PACKET
/* What a larger model says of a flow. */
struct intransit_flow_answered {
	__u64 place; /* bucket << 8 and the place in it */
	__u64 verdict; /* as the flow had it when it was asked about */
	__u8 class, margin; /* by the model's own numbers */
};

#define INTRANSIT_FLOW_ANSWER_TRIES 8

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_answered);
} flow_answer SEC(".maps");
#endif

/* Arithmetic without branches on numbers below 2^63. */

static __always_inline __u64 intransit_flow_less(__u64 a, __u64 b)
{
	__u64 d = a - b;

	asm volatile("" : "+r"(d));
	return d >> 63;
}

/* All ones where `truth` is 1, else zero. */
static __always_inline __u64 intransit_flow_mask(__u64 truth)
{
	__u64 mask = -truth;

	asm volatile("" : "+r"(mask));
	return mask;
}

static __always_inline __u64 intransit_flow_equal(__u64 a, __u64 b)
{
	__u64 d = a ^ b;

	d = (d | -d) >> 63;
	asm volatile("" : "+r"(d));
	return d ^ 1;
}

/* a - b, or 0 where that is less. */
static __always_inline __u64 intransit_flow_minus(__u64 a, __u64 b)
{
	__s64 d = a - b, sign = d;

	asm volatile("" : "+r"(sign));
	sign >>= 63;
	asm volatile("" : "+r"(sign));
	return d & ~sign;
}

static __always_inline __u64 intransit_flow_min(__u64 a, __u64 b)
{
	return a - intransit_flow_minus(a, b);
}

static __always_inline __u64 intransit_flow_max(__u64 a, __u64 b)
{
	return a + intransit_flow_minus(b, a);
}

/* truth ? a : b, `truth` 0 or 1. */
static __always_inline __u64 intransit_flow_choose(__u64 truth, __u64 a, __u64 b)
{
	return b ^ ((a ^ b) & intransit_flow_mask(truth));
}

/* 1 where the packet goes from the higher end to the lower: by address, then by port. */
static __always_inline __u64 intransit_flow_is_higher(const struct intransit_flow_packet *p, const int ipv6)
{
	__u64 ports = intransit_flow_less(p->port_destination, p->port_source);

	if (!ipv6)
		return intransit_flow_less(p->destination[0] << 16 | p->port_destination,
					   p->source[0] << 16 | p->port_source);
	if (p->source[0] != p->destination[0])
		return p->source[0] > p->destination[0];
	if (p->source[1] != p->destination[1])
		return p->source[1] > p->destination[1];
	return ports;
}

/*
 * The `index`-th word of a key, each half times a secret factor: two keys, whatever they are, have the same sum by no more
 * than a chance of 2^-33 over the secrets.
 */
static __always_inline __u64 intransit_flow_mix(__u64 hash, __u64 word, const __u32 index)
{
	return hash + (__u32)word * intransit_flow_secrets[2 * index + 1] +
	       (word >> 32) * intransit_flow_secrets[2 * index + 2];
}

/* One-to-one, so that all bits of the sum matter to the lowest. */
static __always_inline __u64 intransit_flow_spread(__u64 hash)
{
	hash = (hash ^ hash >> 32) * 0x9fb21c651e98df25ULL;
	return hash ^ hash >> 32;
}

static __always_inline __u64 *intransit_flow_test_word(__u32 at)
{
	return bpf_map_lookup_elem(&flow_test, &at);
}

/* The arrival in units of the clock. */
static __always_inline __u64 intransit_flow_now(void)
{
	__u64 *given = intransit_flow_test ? intransit_flow_test_word(INTRANSIT_FLOW_TEST_TIME) : NULL;

	return (given ? *given : bpf_ktime_get_ns()) / INTRANSIT_FLOW_CLOCK_NS;
}

/* Bytes of the frame on the wire: in a test run a frame may have been cut. */
static __always_inline __u32 intransit_flow_wire_length(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;
	__u64 *given = intransit_flow_test ? intransit_flow_test_word(INTRANSIT_FLOW_TEST_LENGTH) : NULL;

	return given && *given > length ? (__u32)*given : length;
}

/* Tells a test run the features. @at: enum intransit_flow_word */
static __always_inline void intransit_flow_tell(const struct intransit_flow_work *c, __u32 at)
{
	const __u64 *words = (const __u64 *)c->features;

	for (__u32 i = 0; i < sizeof(c->features) / 8; i++) {
		__u64 *word = intransit_flow_test_word(at + i);

		if (word)
			*word = words[i];
	}
}

static __always_inline struct intransit_flow_counts *intransit_flow_counters(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&flow_counts, &zero);
}

/*
 * Begins to load a bucket's head and the place that a flow takes if it is free, so that both come from memory at once: under the
 * lock one would be waited for after the other.
 */
static __always_inline void intransit_flow_fetch(const struct intransit_flow_bucket *b, __u64 home)
{
	const volatile __u8 *head = (const volatile __u8 *)b->tags;
	const volatile __u8 *place = (const volatile __u8 *)&b->places[home & (INTRANSIT_FLOW_PLACES - 1)];

	(void)*head;
#pragma clang loop unroll(full)
	for (__u32 at = 0; at < sizeof(b->places[0]); at += 64)
		(void)place[at];
}

/* Of a bucket whose places are all taken by others: the one whose last packet is longest ago, a free one before all. */
static __always_inline __u32 intransit_flow_oldest(const struct intransit_flow_bucket *b)
{
	__u64 least = b->seen[0], at = 0;

#pragma clang loop unroll(full)
	for (__u64 i = 1; i < INTRANSIT_FLOW_PLACES; i++) {
		__u64 older = intransit_flow_less(b->seen[i], least);

		least = intransit_flow_choose(older, b->seen[i], least);
		at = intransit_flow_choose(older, i, at);
	}
	return at & (INTRANSIT_FLOW_PLACES - 1);
}

#ifdef INTRANSIT_FLOW_AT_END
#define INTRANSIT_FLOW_FIN 1
#define INTRANSIT_FLOW_SYN 2
#define INTRANSIT_FLOW_RST 4
#define INTRANSIT_FLOW_ACK 16
/* `finished` of a flow from here on: its packets are late. */
#define INTRANSIT_FLOW_FINISHED 3

/* What a sweep goes over: buckets from one on, of each the places of a mask; all flows, or those that are over. */
struct intransit_flow_range {
	__u32 from, count, places, all;
};

/* Buckets of one run at most. */
#define INTRANSIT_FLOW_SWEPT 64

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_range);
} flow_range SEC(".maps");

/* A packet that may begin a connection where another has ended. */
static __always_inline int intransit_flow_is_opening(const struct intransit_flow_packet *p)
{
	return (p->tcp_flags & (INTRANSIT_FLOW_SYN | INTRANSIT_FLOW_ACK)) == INTRANSIT_FLOW_SYN;
}

/* Which ends say with a packet that they have sent all, as bits; both where a connection is reset. */
static __always_inline __u32 intransit_flow_finishing(const struct intransit_flow_packet *p, __u64 reply)
{
	if (!INTRANSIT_FLOW_TCP_CLOSE)
		return 0;
	if (p->tcp_flags & INTRANSIT_FLOW_RST)
		return INTRANSIT_FLOW_FINISHED;
	return p->tcp_flags & INTRANSIT_FLOW_FIN ? 1U << (reply & 1) : 0;
}

/* Copies a flow out of its place, under the lock. No memcpy: of large states it would be a call. */
static __always_inline void intransit_flow_keep(struct intransit_flow_ended *to, const struct intransit_flow_state *from,
						__u64 seen)
{
	volatile __u64 *words = (volatile __u64 *)&to->state;
	const volatile __u64 *of = (const volatile __u64 *)from;

	for (__u32 i = 0; i < sizeof(*from) / 8; i++)
		words[i] = of[i];
	to->seen = seen;
}
#endif

#endif
