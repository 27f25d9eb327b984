/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every program shares: telling our packets from others, and turning a request into its answer. A program
 * defines the shapes before it includes this file:
 *
 *   INTRANSIT_PORT             UDP destination port of requests
 *   INTRANSIT_FIRST_LAYER      index of the first layer that the program computes
 *   INTRANSIT_NEXT_LAYER       index of the first layer that it leaves to others
 *   INTRANSIT_LAYER_COUNT      layers of the whole model
 *   INTRANSIT_INPUT_ELEMENT    element type, and
 *   INTRANSIT_INPUTS           count of the activations that come in
 *   INTRANSIT_OUTPUT_ELEMENT   likewise of those that
 *   INTRANSIT_OUTPUTS          go out
 *   INTRANSIT_SCRATCH_BYTES    bytes that the layers use between them
 */
#ifndef INTRANSIT_XDP_H
#define INTRANSIT_XDP_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "intransit_wire.h"

#define INTRANSIT_SLOTS 2
#define INTRANSIT_OUTER_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define INTRANSIT_PAYLOAD_AT (INTRANSIT_OUTER_BYTES + INTRANSIT_HEADER_BYTES)

/* Which version of the weights a slot holds. */
struct intransit_slot {
	__u16 model_id;
	__u16 model_version;
	__u32 valid;
};

struct intransit_scratch {
	__u8 bytes[INTRANSIT_SCRATCH_BYTES];
} __attribute__((aligned(8)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_SLOTS);
	__type(key, __u32);
	__type(value, struct intransit_slot);
} slots SEC(".maps");

/* The slot for packets that ask for version 0, the current one. One write flips it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} active SEC(".maps");

/* Trust zone -> non-zero where this device may compute. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} zones SEC(".maps");

/* Packets by verdict. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, INTRANSIT_VERDICTS);
	__type(key, __u32);
	__type(value, __u64);
} verdicts SEC(".maps");

/* Activations between layers: the stack has 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_scratch);
} scratch SEC(".maps");

struct intransit_weights;

/* What the body of a loop over a layer's outputs works on. */
struct intransit_loop {
	const struct intransit_weights *weights;
	const __u8 *from;
	__u8 *to;
};

struct intransit_packet {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct intransit_header header;
} __attribute__((packed));

/* Counts the verdict; the packet goes on to the host's stack, or on its way. */
static __always_inline int intransit_pass(__u32 verdict)
{
	__u64 *count = bpf_map_lookup_elem(&verdicts, &verdict);

	if (count)
		*count += 1;
	return XDP_PASS;
}

/* Whether a slot holds some version of the packet's model. */
static __always_inline int intransit_holds(const struct intransit_slot *held, const struct intransit_header *h)
{
	return held && held->valid && held->model_id == bpf_ntohs(h->model_id);
}

/* Tells ours from others. Only INTRANSIT_COMPUTED leaves the slot set, and the packet whole in front of `end`. */
static __always_inline enum intransit_verdict intransit_classify(struct intransit_packet *p, void *end, __u32 *slot)
{
	const struct intransit_header *h = &p->header;
	const struct intransit_slot *held;
	const __u32 *current, *allowed;
	__u32 zero = 0, one = 1, zone, length;

	if ((void *)p + INTRANSIT_OUTER_BYTES > end || p->eth.h_proto != bpf_htons(ETH_P_IP) || p->ip.version != 4 ||
	    p->ip.protocol != IPPROTO_UDP)
		return INTRANSIT_FOREIGN;
	if (p->ip.ihl != 5)
		return p->ip.ihl > 5 ? INTRANSIT_IP_OPTIONS : INTRANSIT_TRUNCATED;
	if (p->ip.frag_off & bpf_htons(0x3fff))
		return INTRANSIT_IP_FRAGMENT;
	if (p->udp.dest != bpf_htons(INTRANSIT_PORT))
		return INTRANSIT_FOREIGN;
	length = bpf_ntohs(p->udp.len);
	if ((void *)(p + 1) > end || length < sizeof(p->udp) + INTRANSIT_HEADER_BYTES)
		return INTRANSIT_TRUNCATED;
	if (h->magic != bpf_htons(INTRANSIT_MAGIC) || h->header_version != INTRANSIT_HEADER_VERSION)
		return INTRANSIT_BAD_MAGIC;
	if (h->kind != INTRANSIT_KIND_REQUEST)
		return INTRANSIT_NOT_REQUEST;

	/* Version 0 is whatever is current; any other is looked for in both slots. */
	current = bpf_map_lookup_elem(&active, &zero);
	if (!current)
		return INTRANSIT_FAILED;
	*slot = *current & (INTRANSIT_SLOTS - 1);
	held = bpf_map_lookup_elem(&slots, slot);
	if (!intransit_holds(held, h)) {
		if (!h->model_version)
			return INTRANSIT_UNKNOWN_MODEL;
		*slot ^= one;
		held = bpf_map_lookup_elem(&slots, slot);
		if (!intransit_holds(held, h))
			return INTRANSIT_UNKNOWN_MODEL;
		if (held->model_version != bpf_ntohs(h->model_version))
			return INTRANSIT_UNKNOWN_VERSION;
	} else if (h->model_version && held->model_version != bpf_ntohs(h->model_version)) {
		*slot ^= one;
		held = bpf_map_lookup_elem(&slots, slot);
		if (!intransit_holds(held, h) || held->model_version != bpf_ntohs(h->model_version))
			return INTRANSIT_UNKNOWN_VERSION;
	}

	if (h->next_layer != INTRANSIT_FIRST_LAYER)
		return INTRANSIT_CURSOR_ELSEWHERE;
	if (h->fragment_count != 1 || h->fragment_index != 0)
		return INTRANSIT_TENSOR_FRAGMENT;
	if (h->layer_count != INTRANSIT_LAYER_COUNT || h->element_type != INTRANSIT_INPUT_ELEMENT ||
	    h->element_count != bpf_htons(INTRANSIT_INPUTS))
		return INTRANSIT_BAD_SHAPE;
	if ((void *)p + INTRANSIT_PAYLOAD_AT + INTRANSIT_INPUTS > end ||
	    length < sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_INPUTS)
		return INTRANSIT_TRUNCATED;
	/* The frame may be longer than IP says: Ethernet pads. IP and UDP must agree. */
	if (length > sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_INPUTS)
		return INTRANSIT_OVERSIZED;
	if (bpf_ntohs(p->ip.tot_len) != sizeof(p->ip) + length)
		return bpf_ntohs(p->ip.tot_len) < sizeof(p->ip) + length ? INTRANSIT_TRUNCATED : INTRANSIT_OVERSIZED;
	zone = h->trust_zone;
	allowed = bpf_map_lookup_elem(&zones, &zone);
	if (!allowed || !*allowed)
		return INTRANSIT_ZONE_REFUSED;
	return INTRANSIT_COMPUTED;
}

/* Folds a sum of 32-bit words into the 16-bit one's complement sum (RFC 1071). */
static __always_inline __u16 intransit_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* UDP checksum of an answer (RFC 768): the length is known, so this is straight code. */
static __always_inline __u16 intransit_udp_checksum(const struct intransit_packet *p)
{
	const __u32 bytes = sizeof(p->udp) + INTRANSIT_HEADER_BYTES + INTRANSIT_OUTPUTS;
	const __u32 *words = (const void *)p + INTRANSIT_OUTER_BYTES - sizeof(p->udp);
	const __u8 *tail = (const __u8 *)words + (bytes & ~3u);
	__u64 sum = (__u64)p->ip.saddr + p->ip.daddr + bpf_htons(IPPROTO_UDP) + bpf_htons(bytes);
	__u16 folded;

#pragma clang loop unroll_count(16)
	for (__u32 i = 0; i < bytes / 4; i++)
		sum += words[i];
	if (bytes & 2)
		sum += *(const __u16 *)tail;
	if (bytes & 1)
		sum += tail[bytes & 2];
	folded = ~intransit_fold(sum);
	return folded ? folded : 0xffff;
}

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

/*
 * Makes the request its answer: activations, cursor, lengths and checksums. `outputs` are unsigned activations.
 * Nothing is changed before all that can fail has been done.
 */
static __always_inline int intransit_answer(struct xdp_md *ctx, const __u8 *outputs, __u32 slot)
{
	const __u8 sign = INTRANSIT_OUTPUT_ELEMENT == INTRANSIT_ELEMENT_INT8 ? 0x80 : 0;
	const struct intransit_slot *held = bpf_map_lookup_elem(&slots, &slot);
	struct intransit_packet *p;
	__u32 delta, turn_round;
	__u16 old_length;
	__u8 *payload;

	/* The frame may carry padding; the answer carries none. */
	delta = INTRANSIT_PAYLOAD_AT + INTRANSIT_OUTPUTS - (__u32)(ctx->data_end - ctx->data);
	if (!held || (delta && bpf_xdp_adjust_tail(ctx, (int)delta)))
		return intransit_pass(INTRANSIT_FAILED);
	p = (void *)(long)ctx->data;
	payload = (void *)p + INTRANSIT_PAYLOAD_AT;
	if ((void *)(payload + INTRANSIT_OUTPUTS) > (void *)(long)ctx->data_end)
		return intransit_pass(INTRANSIT_FAILED);

#pragma clang loop unroll_count(16)
	for (int i = 0; i < INTRANSIT_OUTPUTS; i++)
		payload[i] = outputs[i] ^ sign;

	p->header.next_layer = INTRANSIT_NEXT_LAYER;
	p->header.kind = INTRANSIT_NEXT_LAYER == INTRANSIT_LAYER_COUNT ? INTRANSIT_KIND_RESULT : INTRANSIT_KIND_REQUEST;
	p->header.element_type = INTRANSIT_OUTPUT_ELEMENT;
	p->header.element_count = bpf_htons(INTRANSIT_OUTPUTS);
	p->header.model_version = bpf_htons(held->model_version);
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
		p->udp.check = intransit_udp_checksum(p);
	}
	intransit_pass(INTRANSIT_COMPUTED);
	return turn_round ? XDP_TX : XDP_PASS;
}

#endif
