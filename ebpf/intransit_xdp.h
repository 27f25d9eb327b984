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
 *   INTRANSIT_VERDICT          only if the last layer of the model is among them and makes class and margin
 *
 * It behaves as p4/intransit_pipeline.p4 does, but for packets that no table has a way for: a switch drops them, a host
 * takes them itself (XDP_PASS), or it would lose its ARP and its ssh.
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

#include "intransit_ways.h"
#include "intransit_wire.h"

#define INTRANSIT_SLOTS 2
#define INTRANSIT_OUTER_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define INTRANSIT_PAYLOAD_AT (INTRANSIT_OUTER_BYTES + INTRANSIT_HEADER_BYTES)

/* Room in front of a packet: XDP_PACKET_HEADROOM less what the kernel keeps there of a packet under way. */
#define INTRANSIT_HEADROOM 192

/*
 * Whether this is the data plane of an agent: it then forwards by its tables and tells of refused requests. Set before
 * loading; where it is 0 the verifier drops that code, and the program costs nothing more.
 */
const volatile __u32 intransit_agent = 0;

/*
 * The versions that are here, each one word, read and written as a whole, so that nobody sees half of one:
 * model id (16 bits), version (16), slot of the weights (8), threshold (8), state (8). First those that are asked for by
 * number, then the one that is current, which is what version 0 means.
 */
#define INTRANSIT_CURRENT 2
#define INTRANSIT_VERSIONS 3

enum intransit_state {
	INTRANSIT_NO_ENTRY = 0,
	INTRANSIT_READY = 1,
	INTRANSIT_OTHER_LAYERS = 2, /* the entry was made for another program */
	INTRANSIT_NO_WEIGHTS = 3, /* the slot lacks some layer's, or they are being written */
};

struct intransit_steer_key {
	__u16 model_id;
	__u8 next_layer;
	__u8 unused;
};

struct intransit_lpm_key {
	__u32 prefix;
	__be32 destination;
};

/* A request that was refused for what is in it; numbers in the byte order of the host. */
struct intransit_refusal {
	__u8 verdict;
	__u8 next_layer;
	__u8 trust_zone;
	__u8 unused;
	__u16 model_id;
	__u16 model_version;
	__u32 source;
};

/* Beside a verdict: the controller may want to hear of it. */
#define INTRANSIT_TELL 0x100

/* In the word of a version, above its state: the request's UDP checksum is one of the pseudo-header alone. */
#define INTRANSIT_PARTIAL_BIT 63
#define INTRANSIT_PARTIAL (1ULL << INTRANSIT_PARTIAL_BIT)

struct intransit_scratch {
	__u8 bytes[INTRANSIT_SCRATCH_BYTES];
} __attribute__((aligned(8)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, INTRANSIT_VERSIONS);
	__type(key, __u32);
	__type(value, __u64);
} models SEC(".maps");

/* Models of which some version is meant to be here: tells an unknown version from an unknown model. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} model_ids SEC(".maps");

/* Trust zone -> non-zero where this device may compute. Zone 0 is any. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} zones SEC(".maps");

/* Next layer of a model -> the way to a device that computes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct intransit_steer_key);
	__type(value, struct intransit_way);
} steer SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct intransit_lpm_key);
	__type(value, struct intransit_way);
} ipv4_lpm SEC(".maps");

/* Whether anybody wants to hear of refused requests, and what there is to tell. Full, it takes no more. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} telling SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536); /* whole pages, on machines with large ones too */
} refused SEC(".maps");

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

static __always_inline void intransit_count(__u32 verdict)
{
	__u64 *count = bpf_map_lookup_elem(&verdicts, &verdict);

	if (count)
		*count += 1;
}

static __always_inline __u64 intransit_word(__u32 at)
{
	const volatile __u64 *word = bpf_map_lookup_elem(&models, &at);

	return word ? *word : 0;
}

static __always_inline __u32 intransit_state_of(__u64 word)
{
	return word >> 48;
}

/* The word of the version that the packet asks for; 0 if it is not here. */
static __always_inline __u64 intransit_held(const struct intransit_header *h)
{
	__u32 id = bpf_ntohs(h->model_id), key = id | (__u32)bpf_ntohs(h->model_version) << 16;
	__u64 word;

	if (!h->model_version) {
		word = intransit_word(INTRANSIT_CURRENT);
		return (word & 0xffff) == id ? word : 0;
	}
	word = intransit_word(0);
	if ((__u32)word == key && intransit_state_of(word))
		return word;
	word = intransit_word(1);
	return (__u32)word == key ? word : 0;
}

/* Whether what follows Ethernet is ours, up to the end of our header. INTRANSIT_COMPUTED: it is. */
static __always_inline enum intransit_verdict intransit_parse(const struct intransit_packet *p, void *end)
{
	if ((void *)p + INTRANSIT_OUTER_BYTES > end || p->eth.h_proto != bpf_htons(ETH_P_IP) || p->ip.version != 4 ||
	    p->ip.protocol != IPPROTO_UDP)
		return INTRANSIT_FOREIGN;
	if (p->ip.ihl != 5)
		return p->ip.ihl > 5 ? INTRANSIT_IP_OPTIONS : INTRANSIT_TRUNCATED;
	if (p->ip.frag_off & bpf_htons(0x3fff))
		return INTRANSIT_IP_FRAGMENT;
	if (p->udp.dest != bpf_htons(INTRANSIT_PORT))
		return INTRANSIT_FOREIGN;
	return (void *)(p + 1) > end ? INTRANSIT_TRUNCATED : INTRANSIT_COMPUTED;
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

/* What the pseudo-header adds to a UDP checksum (RFC 768), of so many activations. */
static __always_inline __u64 intransit_pseudo_sum(const struct intransit_packet *p, __u32 activations)
{
	return (__u64)p->ip.saddr + p->ip.daddr + bpf_htons(IPPROTO_UDP) +
	       bpf_htons(sizeof(p->udp) + INTRANSIT_HEADER_BYTES + activations);
}

/* The same of UDP header, our header and activations, in words of 32 bits. The length is known, so this is straight code. */
static __always_inline __u64 intransit_datagram_sum(const struct intransit_packet *p, __u32 activations)
{
	const __u32 bytes = sizeof(p->udp) + INTRANSIT_HEADER_BYTES + activations;
	const __u32 *words = (const void *)p + INTRANSIT_OUTER_BYTES - sizeof(p->udp);
	const __u8 *tail = (const __u8 *)words + (bytes & ~3u);
	__u64 sum = 0;

#pragma clang loop unroll_count(16)
	for (__u32 i = 0; i < bytes / 4; i++)
		sum += words[i];
	if (bytes & 2)
		sum += *(const __u16 *)tail;
	if (bytes & 1)
		sum += tail[bytes & 2];
	return sum;
}

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
	*held |= partial << INTRANSIT_PARTIAL_BIT;
	return absent | right | partial;
}

/*
 * Tells ours from others. Only INTRANSIT_COMPUTED leaves the packet whole in front of `end`, and the word of its version
 * in `held`. The order is that of the P4 pipeline: a packet with several faults has one verdict.
 */
static __always_inline __u32 intransit_classify(struct intransit_packet *p, void *end, __u64 *held)
{
	const struct intransit_header *h = &p->header;
	enum intransit_verdict verdict = intransit_parse(p, end);
	__u32 state, zone, length, *allowed;

	if (verdict != INTRANSIT_COMPUTED || (void *)(p + 1) > end)
		return verdict;
	length = bpf_ntohs(p->udp.len);
	if (length < sizeof(p->udp) + INTRANSIT_HEADER_BYTES)
		return INTRANSIT_TRUNCATED | INTRANSIT_TELL;
	if (h->magic != bpf_htons(INTRANSIT_MAGIC) || h->header_version != INTRANSIT_HEADER_VERSION)
		return INTRANSIT_BAD_MAGIC | INTRANSIT_TELL;
	if (h->kind != INTRANSIT_KIND_REQUEST)
		return INTRANSIT_NOT_REQUEST;
	if (h->next_layer != INTRANSIT_FIRST_LAYER)
		return INTRANSIT_CURSOR_ELSEWHERE;

	*held = intransit_held(h);
	state = intransit_state_of(*held);
	if (!state) {
		__u32 id = bpf_ntohs(h->model_id);

		return bpf_map_lookup_elem(&model_ids, &id) ? INTRANSIT_UNKNOWN_VERSION | INTRANSIT_TELL :
							      INTRANSIT_UNKNOWN_MODEL;
	}
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
	return state == INTRANSIT_READY ? INTRANSIT_COMPUTED : INTRANSIT_FAILED;
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

/* A time to live that is one less, in a checksum (RFC 1624): it is the high byte of its word. */
static __always_inline void intransit_hop(struct intransit_packet *p)
{
	p->ip.ttl -= 1;
	p->ip.check = ~intransit_fold((__u64)(__u16)~p->ip.check + bpf_htons(0xfeff));
}

/*
 * Where the packet goes: the way to its next layer, to its destination, across from its port, or up to the host. Not
 * static, so that the verifier walks it once and by itself.
 */
__attribute__((noinline)) int intransit_forward(struct xdp_md *ctx)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 interface = ctx->ingress_ifindex;
	const struct intransit_way *port = bpf_map_lookup_elem(&ports, &interface), *way = NULL;

	if (!port)
		return XDP_PASS;
	if (intransit_parse(p, end) == INTRANSIT_COMPUTED && (void *)(p + 1) <= end &&
	    p->header.magic == bpf_htons(INTRANSIT_MAGIC) && p->header.kind == INTRANSIT_KIND_REQUEST) {
		struct intransit_steer_key key = { .model_id = bpf_ntohs(p->header.model_id),
						   .next_layer = p->header.next_layer };

		way = bpf_map_lookup_elem(&steer, &key);
	}
	if (!way && (void *)p + sizeof(p->eth) + sizeof(p->ip) <= end && p->eth.h_proto == bpf_htons(ETH_P_IP)) {
		struct intransit_lpm_key key = { .prefix = 32, .destination = p->ip.daddr };

		way = bpf_map_lookup_elem(&ipv4_lpm, &key);
	}
	if (!way)
		way = port;
	switch (way->kind) {
	case INTRANSIT_NO_WAY:
		return XDP_PASS;
	case INTRANSIT_ROUTE:
		if ((void *)p + sizeof(p->eth) + sizeof(p->ip) > end || p->ip.ttl <= 1)
			return XDP_DROP;
		__builtin_memcpy(p->eth.h_source, way->source_mac, ETH_ALEN);
		__builtin_memcpy(p->eth.h_dest, way->destination_mac, ETH_ALEN);
		intransit_hop(p);
		break;
	case INTRANSIT_CROSS:
		break;
	default:
		return XDP_DROP;
	}
	return intransit_to_port(way->port);
}

/* Tells the controller of a refused request, if it wants to hear of it. */
__attribute__((noinline)) int intransit_tell(struct xdp_md *ctx, __u32 verdict)
{
	const struct intransit_packet *p = (void *)(long)ctx->data;
	__u32 zero = 0, *on = bpf_map_lookup_elem(&telling, &zero);
	struct intransit_refusal refusal = {};

	if (!on || !*on || (void *)(p + 1) > (void *)(long)ctx->data_end)
		return 0;
	refusal.verdict = verdict;
	refusal.next_layer = p->header.next_layer;
	refusal.trust_zone = p->header.trust_zone;
	refusal.model_id = bpf_ntohs(p->header.model_id);
	refusal.model_version = bpf_ntohs(p->header.model_version);
	refusal.source = bpf_ntohl(p->ip.saddr);
	bpf_ringbuf_output(&refused, &refusal, sizeof(refusal), BPF_RB_NO_WAKEUP);
	return 0;
}

static __always_inline int intransit_send(struct xdp_md *ctx)
{
	return intransit_agent ? intransit_forward(ctx) : XDP_PASS;
}

/* Counts the verdict; the packet goes on its way as it is, or to the host's stack. */
static __always_inline int intransit_pass(struct xdp_md *ctx, __u32 verdict)
{
	intransit_count(verdict & (INTRANSIT_TELL - 1));
	if (intransit_agent && verdict & INTRANSIT_TELL)
		intransit_tell(ctx, verdict & (INTRANSIT_TELL - 1));
	return intransit_send(ctx);
}

/*
 * The verdict is no answer: the input goes on as it came, and says so. A checksum of the pseudo-header alone does not know of
 * the flag yet.
 */
static __always_inline int intransit_leave_unsure(struct xdp_md *ctx, __u64 held)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	__u16 sum;

	if ((void *)(p + 1) > (void *)(long)ctx->data_end)
		return intransit_pass(ctx, INTRANSIT_FAILED);
	p->header.flags |= bpf_htons(INTRANSIT_FLAG_UNSURE);
	if (p->udp.check && !(held & INTRANSIT_PARTIAL)) {
		sum = ~intransit_fold((__u64)(__u16)~p->udp.check + bpf_htons(INTRANSIT_FLAG_UNSURE));
		p->udp.check = sum ? sum : 0xffff;
	}
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
	const __u8 sign = INTRANSIT_OUTPUT_ELEMENT == INTRANSIT_ELEMENT_INT8 ? 0x80 : 0;
	struct intransit_packet *p;
	__u32 turn_round;
	__u16 old_length, sum;
	__u8 *payload;

#ifdef INTRANSIT_VERDICT
	/* Class and margin. */
	if (outputs[1] < (__u8)(held >> 40))
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
		payload[i] = outputs[i] ^ sign;

	p->header.next_layer = INTRANSIT_NEXT_LAYER;
	p->header.kind = INTRANSIT_NEXT_LAYER == INTRANSIT_LAYER_COUNT ? INTRANSIT_KIND_RESULT : INTRANSIT_KIND_REQUEST;
	p->header.element_type = INTRANSIT_OUTPUT_ELEMENT;
	p->header.element_count = bpf_htons(INTRANSIT_OUTPUTS);
	p->header.model_version = bpf_htons((__u16)(held >> 16));
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
	return turn_round ? XDP_TX : intransit_send(ctx);
}

#endif
