/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The source of a program that computes requests: tells ours from others, and finds the version that a request asks for. Of an
 * agent's programs all behind the dispatcher, which does what does not depend on shapes.
 */
#ifndef INTRANSIT_SOURCE_H
#define INTRANSIT_SOURCE_H

#include "intransit_forward.h"

/* A word of a bucket that says what is wanted in its masked bits; 0 where there is none. */
static __always_inline __u64 intransit_in_bucket(__u32 at, __u64 mask, __u64 wanted)
{
	const struct intransit_bucket *bucket = bpf_map_lookup_elem(&models, &at);

	if (!bucket)
		return 0;
#pragma clang loop unroll(full)
	for (int i = 0; i < INTRANSIT_BUCKET_WORDS; i++) {
		__u64 word = *(const volatile __u64 *)&bucket->words[i];

		if ((word & mask) == wanted)
			return word;
	}
	return 0;
}

/*
 * The word of a version; 0 if it is not here. Not static, so that the verifier walks it once and by itself.
 * `key` is model id and the version asked for, above it; 0 asks for the current one.
 */
__attribute__((noinline)) __u64 intransit_held(__u32 key)
{
	const __u64 current = 1ULL << INTRANSIT_WORD_CURRENT_AT;
	__u64 mask = current | 0xffffffff, wanted = key, word;

	if (!(key >> 16)) {
		mask = current | INTRANSIT_WORD_MODEL_ID_MASK;
		wanted |= current;
	}
	word = intransit_in_bucket(key * INTRANSIT_BUCKET_FACTOR_0 >> (32 - INTRANSIT_BUCKET_BITS), mask, wanted);
	if (!word)
		word = intransit_in_bucket(key * INTRANSIT_BUCKET_FACTOR_1 >> (32 - INTRANSIT_BUCKET_BITS), mask,
					   wanted);
	return word;
}

static __always_inline __u64 intransit_held_for(const struct intransit_header *h)
{
	return intransit_held(bpf_ntohs(h->model_id) | (__u32)bpf_ntohs(h->model_version) << 16);
}

static __always_inline __u32 intransit_unknown(const struct intransit_header *h)
{
	__u32 id = bpf_ntohs(h->model_id);

	return bpf_map_lookup_elem(&model_ids, &id) ? INTRANSIT_UNKNOWN_VERSION | INTRANSIT_TELL :
						      INTRANSIT_UNKNOWN_MODEL;
}

/* Tells requests from all else. Only INTRANSIT_COMPUTED leaves headers whole in front of `end`. */
static __always_inline __u32 intransit_request(const struct intransit_packet *p, void *end)
{
	enum intransit_outcome outcome = intransit_parse(p, end);

	if (outcome != INTRANSIT_COMPUTED || (void *)(p + 1) > end)
		return outcome;
	if (bpf_ntohs(p->udp.len) < sizeof(p->udp) + INTRANSIT_HEADER_BYTES)
		return INTRANSIT_TRUNCATED | INTRANSIT_TELL;
	if (p->header.magic != bpf_htons(INTRANSIT_MAGIC) || p->header.header_version != INTRANSIT_HEADER_VERSION)
		return INTRANSIT_BAD_MAGIC | INTRANSIT_TELL;
	return p->header.kind == INTRANSIT_KIND_REQUEST ? INTRANSIT_COMPUTED : INTRANSIT_NOT_REQUEST;
}

/* Where an outcome carries what was found of the checksum. */
#define INTRANSIT_PARTIAL_FOUND 16

/*
 * Is the UDP checksum of a request absent, right, or partial: that of the pseudo-header alone, whose sender on this host left the
 * rest to its interface? All by arithmetic, and told in `held`: a branch would make the verifier walk the layers once for each.
 */
static __always_inline int intransit_sum_holds(const struct intransit_packet *p, __u64 *held)
{
	const __u64 pseudo = intransit_pseudo_sum(p, INTRANSIT_INPUTS);
	__u64 check = p->udp.check, rest, lack, absent, right, partial;

	rest = intransit_fold(pseudo + intransit_datagram_sum(p, INTRANSIT_INPUTS)) ^ 0xffff;
	lack = intransit_fold(pseudo) ^ check;
	/* So that the compiler makes no branches of what follows. */
	asm volatile("" : "+r"(check), "+r"(rest), "+r"(lack));
	absent = (check - 1) >> 63;
	right = (rest - 1) >> 63;
	partial = ((lack - 1) >> 63) & ~right;
	*held |= partial << INTRANSIT_WORD_PARTIAL_AT;
	return absent | right | partial;
}

/* Whether its slot may compute another one now. */
static __always_inline int intransit_within_budget(__u64 held)
{
	__u32 slot = INTRANSIT_WORD(held, SLOT);
	struct intransit_budget *b = bpf_map_lookup_elem(&budgets, &slot);
	__u64 now, due, next;

	if (!b || !b->interval)
		return 1;
	now = bpf_ktime_get_ns();
#pragma clang loop unroll(full)
	for (int i = 0; i < 4; i++) {
		due = *(volatile __u64 *)&b->due;
		if (due > now + b->burst)
			return 0;
		next = (due > now ? due : now) + b->interval;
		if (__sync_val_compare_and_swap(&b->due, due, next) == due)
			return 1;
	}
	/* Other CPUs were faster each time, within the budget all of them. */
	return 1;
}

/*
 * What depends on the shape of the model. The order is that of the P4 pipeline: a packet with several faults has one outcome.
 */
static __always_inline __u32 intransit_shape(struct intransit_packet *p, void *end, __u64 *held)
{
	const struct intransit_header *h = &p->header;
	__u32 state = INTRANSIT_WORD(*held, STATE), length = bpf_ntohs(p->udp.len), zone, *allowed;

	if (h->next_layer != INTRANSIT_FIRST_LAYER)
		return INTRANSIT_CURSOR_ELSEWHERE;
	if (state == INTRANSIT_OTHER_LAYERS)
		return INTRANSIT_FAILED | INTRANSIT_TELL;

	if (h->flags & bpf_htons(INTRANSIT_FLAG_UNSURE))
		return INTRANSIT_UNSURE;
	if (h->fragment_count != 1 || h->fragment_index != 0)
		return INTRANSIT_TENSOR_FRAGMENT;
	if (h->layer_count != INTRANSIT_LAYER_COUNT || h->element_type != INTRANSIT_INPUT_ELEMENT ||
	    h->element_count != bpf_htons(INTRANSIT_INPUTS))
		return INTRANSIT_BAD_SHAPE | INTRANSIT_TELL;
	if ((void *)p + INTRANSIT_PAYLOAD_AT + INTRANSIT_INPUTS > end ||
	    length < sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_INPUTS)
		return INTRANSIT_TRUNCATED | INTRANSIT_TELL;
	/* The frame may be longer than IP says: Ethernet pads. IP and UDP must agree. */
	if (length > sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_INPUTS)
		return INTRANSIT_OVERSIZED | INTRANSIT_TELL;
	if (bpf_ntohs(p->ip.tot_len) != sizeof(p->ip) + length)
		return (bpf_ntohs(p->ip.tot_len) < sizeof(p->ip) + length ? INTRANSIT_TRUNCATED :
									      INTRANSIT_OVERSIZED) |
		       INTRANSIT_TELL;
	zone = h->trust_zone;
	if (zone) {
		allowed = bpf_map_lookup_elem(&zones, &zone);
		if (!allowed || !*allowed)
			return INTRANSIT_ZONE_REFUSED | INTRANSIT_TELL;
	}
	if (!intransit_sum_holds(p, held))
		return INTRANSIT_BAD_CHECKSUM | INTRANSIT_TELL;
	if (state != INTRANSIT_READY)
		return INTRANSIT_FAILED;
	return intransit_agent && INTRANSIT_WORD(*held, LIMITED) && !intransit_within_budget(*held) ? INTRANSIT_SHED :
												    INTRANSIT_COMPUTED;
}

/*
 * The same with the bit of `held` that it found out, above the outcome. Not static: its ways are walked once and by themselves, where
 * else the verifier would come to the layers from more than one of them.
 */
__attribute__((noinline)) __u32 intransit_check(struct xdp_md *ctx, __u64 held)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 outcome;

	if ((void *)(p + 1) > end)
		return INTRANSIT_FAILED;
	outcome = intransit_shape(p, end, &held);
	return outcome | (__u32)INTRANSIT_WORD(held, PARTIAL) << INTRANSIT_PARTIAL_FOUND;
}

/* Without an agent the program does all of it alone. */
static __always_inline __u32 intransit_classify(struct intransit_packet *p, void *end, __u64 *held)
{
	__u32 outcome = intransit_request(p, end);

	if (outcome != INTRANSIT_COMPUTED || (void *)(p + 1) > end)
		return outcome;
	if (p->header.next_layer != INTRANSIT_FIRST_LAYER)
		return INTRANSIT_CURSOR_ELSEWHERE;
	*held = intransit_held_for(&p->header);
	return *held ? INTRANSIT_COMPUTED : intransit_unknown(&p->header);
}

/* With one, the dispatcher has handed over what it found. */
static __always_inline __u32 intransit_take(struct intransit_packet *p, void *end, __u64 *held)
{
	__u32 zero = 0;
	const __u64 *word = bpf_map_lookup_elem(&handed, &zero);

	if (!word || (void *)(p + 1) > end)
		return INTRANSIT_FAILED;
	*held = *word;
	return INTRANSIT_COMPUTED;
}

static __always_inline __u32 intransit_source(struct xdp_md *ctx, __u64 *held)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 outcome = intransit_agent ? intransit_take(p, end, held) : intransit_classify(p, end, held);

	if (outcome != INTRANSIT_COMPUTED)
		return outcome;
	outcome = intransit_check(ctx, *held);
	*held |= (__u64)(outcome >> INTRANSIT_PARTIAL_FOUND) << INTRANSIT_WORD_PARTIAL_AT;
	return outcome & ((1 << INTRANSIT_PARTIAL_FOUND) - 1);
}

#endif
