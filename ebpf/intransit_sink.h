/* SPDX-License-Identifier: Apache-2.0 */
/* The sink of a program that answers requests: what becomes of the output, or of a packet that is not computed. */
#ifndef INTRANSIT_SINK_H
#define INTRANSIT_SINK_H

#include "intransit_forward.h"

/* Room in front of a packet: XDP_PACKET_HEADROOM less what the kernel keeps there of a packet under way. */
#define INTRANSIT_HEADROOM 192

/* Sends the packet back where it came from. */
static __always_inline void intransit_turn_round(struct intransit_packet *p)
{
	__u8 mac[ETH_ALEN];
	__be32 ip = p->ip.saddr;
	__be16 port = p->udp.source;

	__builtin_memcpy(mac, p->eth.h_source, ETH_ALEN);
	__builtin_memcpy(p->eth.h_source, p->eth.h_dest, ETH_ALEN);
	__builtin_memcpy(p->eth.h_dest, mac, ETH_ALEN);
	p->ip.saddr = p->ip.daddr;
	p->ip.daddr = ip;
	p->udp.source = p->udp.dest;
	p->udp.dest = port;
}

/* What a request for a version that is here was not computed for. */
static __always_inline int intransit_refuse(struct xdp_md *ctx, __u32 outcome, __u64 held)
{
	struct intransit_slot_counts *counts = held ? intransit_slot_counts_of(held) : NULL;

	if (counts) {
		if (outcome == INTRANSIT_UNSURE)
			counts->unsure += 1;
		else if (outcome == INTRANSIT_SHED)
			counts->shed += 1;
		else
			counts->refused += 1;
	}
	return intransit_pass(ctx, outcome);
}

/*
 * The verdict is no answer: the input goes on as it came, and says so. A checksum of the pseudo-header alone does not know of
 * the flag yet.
 */
static __always_inline int intransit_leave_unsure(struct xdp_md *ctx, __u64 held)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	struct intransit_slot_counts *counts = intransit_slot_counts_of(held);
	__u16 sum;

	if ((void *)(p + 1) > (void *)(long)ctx->data_end)
		return intransit_pass(ctx, INTRANSIT_FAILED);
	p->header.flags |= bpf_htons(INTRANSIT_FLAG_UNSURE);
	if (p->udp.check && !INTRANSIT_WORD(held, PARTIAL)) {
		sum = ~intransit_fold((__u64)(__u16)~p->udp.check + bpf_htons(INTRANSIT_FLAG_UNSURE));
		p->udp.check = sum ? sum : 0xffff;
	}
	if (counts)
		counts->unsure += 1;
	return intransit_pass(ctx, INTRANSIT_UNSURE);
}

/*
 * Makes the frame as long as the answer; whatever padding it carried is gone. Where it fails the frame may have got padding,
 * and is otherwise as it was.
 */
static __always_inline int intransit_resize(struct xdp_md *ctx)
{
	int more = INTRANSIT_PAYLOAD_AT + INTRANSIT_OUTPUTS - (int)(ctx->data_end - ctx->data);

	if (!more || !bpf_xdp_adjust_tail(ctx, more))
		return 0;
#if INTRANSIT_OUTPUTS > INTRANSIT_INPUTS
	/* Packets on their way through a veth or the generic hook have little room behind, but always some in front. */
	if (more > 0) {
		__u32 front = more < INTRANSIT_HEADROOM ? more : INTRANSIT_HEADROOM;
		const __u16 *from;
		__u16 *to;

		if (more > front && bpf_xdp_adjust_tail(ctx, more - front))
			return -1;
		/* The verifier must see the bound, which clang knows and would not say again. */
		asm volatile("" : "+r"(front));
		front &= 0xff;
		if (bpf_xdp_adjust_head(ctx, -(int)front))
			return -1;
		to = (void *)(long)ctx->data;
		from = (void *)to + front;
		if ((void *)to + INTRANSIT_PAYLOAD_AT > (void *)(long)ctx->data_end ||
		    (void *)from + INTRANSIT_PAYLOAD_AT > (void *)(long)ctx->data_end)
			return -1;
#pragma clang loop unroll(full)
		for (int i = 0; i < INTRANSIT_PAYLOAD_AT / 2; i++)
			to[i] = from[i];
		return 0;
	}
#endif
	return -1;
}

/*
 * Makes the request its answer: activations, cursor, lengths and checksums. `outputs` are unsigned activations.
 * Nothing is changed before all that can fail has been done.
 */
static __always_inline int intransit_answer(struct xdp_md *ctx, const __u8 *outputs, __u64 held)
{
	const __u8 low = INTRANSIT_OUTPUT_ELEMENT == INTRANSIT_ELEMENT_INT8 ? 0x80 : 0;
	/* The sign of two bytes is in the second. */
	const __u8 high = INTRANSIT_OUTPUT_ELEMENT == INTRANSIT_ELEMENT_INT16 ? 0x80 : low;
	struct intransit_slot_counts *counts;
	struct intransit_packet *p;
	__u32 turn_round;
	__u16 old_length, sum;
	__u8 *payload;

#ifdef INTRANSIT_VERDICT
	/* Class and margin. */
	if (outputs[1] < INTRANSIT_WORD(held, THRESHOLD))
		return intransit_leave_unsure(ctx, held);
#endif
	if (intransit_resize(ctx))
		return intransit_pass(ctx, INTRANSIT_FAILED);
	p = (void *)(long)ctx->data;
	payload = (void *)p + INTRANSIT_PAYLOAD_AT;
	if ((void *)(payload + INTRANSIT_OUTPUTS) > (void *)(long)ctx->data_end)
		return intransit_pass(ctx, INTRANSIT_FAILED);

#pragma clang loop unroll_count(16)
	for (int i = 0; i < INTRANSIT_OUTPUTS; i++)
		payload[i] = outputs[i] ^ (i & 1 ? high : low);

	p->header.next_layer = INTRANSIT_NEXT_LAYER;
	p->header.kind = INTRANSIT_NEXT_LAYER == INTRANSIT_LAYER_COUNT ? INTRANSIT_KIND_RESULT : INTRANSIT_KIND_REQUEST;
	p->header.element_type = INTRANSIT_OUTPUT_ELEMENT;
	p->header.element_count = bpf_htons(INTRANSIT_OUTPUTS);
	p->header.model_version = bpf_htons(INTRANSIT_WORD(held, MODEL_VERSION));
	turn_round = INTRANSIT_NEXT_LAYER == INTRANSIT_LAYER_COUNT &&
		     p->header.flags & bpf_htons(INTRANSIT_FLAG_TURN_ROUND);
	if (turn_round)
		intransit_turn_round(p);

	/* RFC 1624: one 16-bit word of the IPv4 header changes, the total length. */
	old_length = p->ip.tot_len;
	p->ip.tot_len = bpf_htons(INTRANSIT_PAYLOAD_AT + INTRANSIT_OUTPUTS - sizeof(struct ethhdr));
	p->ip.check = ~intransit_fold((__u64)(__u16)~p->ip.check + (__u16)~old_length + p->ip.tot_len);
	p->udp.len = bpf_htons(sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_OUTPUTS);
	if (p->udp.check) {
		p->udp.check = 0;
		sum = ~intransit_fold(intransit_pseudo_sum(p, INTRANSIT_OUTPUTS) +
				      intransit_datagram_sum(p, INTRANSIT_OUTPUTS));
		p->udp.check = sum ? sum : 0xffff;
	}
	intransit_count(INTRANSIT_COMPUTED);
	counts = intransit_slot_counts_of(held);
	if (counts)
		counts->computed += 1;
	return turn_round ? XDP_TX : intransit_send(ctx);
}

#endif
