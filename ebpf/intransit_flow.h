/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs of flow mode share: ordinary packets to fields, flows to their places, and what becomes of each packet. A
 * program defines before it includes this file:
 *
 *   INTRANSIT_FLOW_...           the outcomes of packets, from 0 (see intransit_flow_end)
 *   INTRANSIT_FLOW_OUTCOMES      how many
 *   INTRANSIT_FLOW_BUCKETS       places of flows by INTRANSIT_FLOW_PLACES: a power of two
 *   INTRANSIT_FLOW_KEEP          how long a flow without a packet is safe from others, in units of the clock
 *   INTRANSIT_FLOW_CLOCK_NS      nanoseconds of a unit of the clock
 *   INTRANSIT_FLOW_PAYLOAD       payload bytes that features read, 0 if none
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
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INTRANSIT_SLOTS 2

/* Flows that one hash leads to. */
#define INTRANSIT_FLOW_PLACES 4

#define INTRANSIT_FLOW_MOST_TAGS 4
#define INTRANSIT_FLOW_MOST_EXTENSIONS 8
/* Beyond all that the extension headers walked can take: tells the verifier that offsets stay within a packet. */
#define INTRANSIT_FLOW_MOST_OFFSET 0x5fff

/* Whether this is a test run, which is given arrivals and tells features. Set before loading. */
const volatile __u32 intransit_flow_test = 0;
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
	/* Where flows are classified at their ends. */
	INTRANSIT_FLOW_TEST_PLACE = INTRANSIT_FLOW_TEST_FEATURES + INTRANSIT_FLOW_FEATURE_WORDS, /* out: of the flow */
	INTRANSIT_FLOW_TEST_GONE, /* out: verdict of a flow that was found over, or 0; then its features */
	INTRANSIT_FLOW_TEST_GONE_FEATURES,
	INTRANSIT_FLOW_TEST_WORDS = INTRANSIT_FLOW_TEST_GONE_FEATURES + INTRANSIT_FLOW_FEATURE_WORDS,
};

/* The fields of a packet, as numbers. Addresses of IPv4 are in the first words alone. */
struct intransit_flow_packet {
	__u64 source[2], destination[2];
	__u32 frame_length, ip_length;
	__u16 vlan_id, ip_header, port_source, port_destination, tcp_window, payload_length;
	__u16 network; /* where the IP header begins */
	__u8 ip_version, ip_service, ip_ttl, ip_protocol, tcp_flags, icmp_type, icmp_code;
	__u8 transport_header; /* bytes of the TCP, UDP or ICMP header */
#if INTRANSIT_FLOW_PAYLOAD > 0
	__u8 payload[INTRANSIT_FLOW_PAYLOAD];
#endif
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

/* Packets by outcome; then flows that began, those that made room for them, and those that were classified without a packet. */
struct intransit_flow_counts {
	__u64 outcomes[INTRANSIT_FLOW_OUTCOMES];
	__u64 begun;
	__u64 evicted;
	__u64 ended;
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
 * A verdict as a place keeps it, from the highest bit: the generation of the flow (32 bits), whether its client is the higher
 * end, whether there is a verdict, margin and class (8 bits each).
 */
#define INTRANSIT_FLOW_SWAPPED_AT 17
#define INTRANSIT_FLOW_KNOWN (1ULL << 16)
#define INTRANSIT_FLOW_VERDICT (2 * INTRANSIT_FLOW_KNOWN - 1)

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

/* Parsing. Each step gives INTRANSIT_FLOW_CLASSIFIED to go on, or why the packet has no flow. */

/* A protocol that stands for a packet within the packet: IPv4, IPv6, GRE. */
static __always_inline int intransit_flow_is_tunnel(__u32 protocol)
{
	return protocol == 4 || protocol == 41 || protocol == 47;
}

/* Hop-by-hop, routing, destination options, authentication, mobility, HIP, shim6. */
static __always_inline int intransit_flow_is_extension(__u32 next)
{
	return next == 0 || next == 43 || next == 60 || next == 51 || next == 135 || next == 139 || next == 140;
}

static __always_inline __u16 intransit_flow_be16(const __u8 *at)
{
	return bpf_ntohs(*(const __u16 *)at);
}

static __always_inline __u32 intransit_flow_be32(const __u8 *at)
{
	return bpf_ntohl(*(const __u32 *)at);
}

static __always_inline __u64 intransit_flow_be64(const __u8 *at)
{
	return (__u64)intransit_flow_be32(at) << 32 | intransit_flow_be32(at + 4);
}

/* h: the header behind IP; room: bytes from there on, by the IP length. */
static __always_inline __u32 intransit_flow_transport(const __u8 *h, const __u8 *end, __u32 room, __u32 protocol,
						      struct intransit_flow_packet *p)
{
	__u32 header;

	asm volatile("" : "+r"(h));
	p->ip_protocol = protocol;
	p->port_source = p->port_destination = p->tcp_window = 0;
	p->tcp_flags = p->icmp_type = p->icmp_code = 0;
	if (protocol == 6) {
		if (room < 20 || h + 20 > end)
			return INTRANSIT_FLOW_DAMAGED;
		header = (h[12] >> 4) * 4;
		if (header < 20 || header > room)
			return INTRANSIT_FLOW_DAMAGED;
		p->tcp_flags = h[13];
		p->tcp_window = intransit_flow_be16(h + 14);
	} else if (protocol == 17) {
		header = 8;
		if (room < 8 || h + 8 > end)
			return INTRANSIT_FLOW_DAMAGED;
	} else if (protocol == 1 || protocol == 58) {
		header = 4;
		if (room < 4 || h + 4 > end)
			return INTRANSIT_FLOW_DAMAGED;
		p->icmp_type = h[0];
		p->icmp_code = h[1];
	} else {
		return intransit_flow_is_tunnel(protocol) ? INTRANSIT_FLOW_TUNNEL : INTRANSIT_FLOW_FOREIGN;
	}
	if (protocol == 6 || protocol == 17) {
		p->port_source = intransit_flow_be16(h);
		p->port_destination = intransit_flow_be16(h + 2);
	}
	p->payload_length = room - header;
	p->transport_header = header;
	return INTRANSIT_FLOW_CLASSIFIED;
}

/* h: the IPv4 header, of which 20 bytes are there; room: bytes from there to the end of the frame on the wire. */
static __always_inline __u32 intransit_flow_ipv4(const __u8 *h, const __u8 *end, __u32 room, __u32 header,
						 struct intransit_flow_packet *p)
{
	__u32 length = intransit_flow_be16(h + 2);

	if (length < header || length > room || h + header > end)
		return INTRANSIT_FLOW_DAMAGED;
	/* More fragments, or an offset. */
	if (intransit_flow_be16(h + 6) & 0x3fff)
		return INTRANSIT_FLOW_FRAGMENT;
	p->ip_version = 4;
	p->ip_length = length;
	p->ip_header = header;
	p->ip_service = h[1];
	p->ip_ttl = h[8];
	p->source[0] = intransit_flow_be32(h + 12);
	p->destination[0] = intransit_flow_be32(h + 16);
	p->source[1] = p->destination[1] = 0;
	return intransit_flow_transport(h + header, end, length - header, h[9], p);
}

static __always_inline __u32 intransit_flow_ipv6(const __u8 *h, const __u8 *end, __u32 room,
						 struct intransit_flow_packet *p)
{
	__u32 header = 40, length, next;

	if (h + 40 > end || h[0] >> 4 != 6)
		return INTRANSIT_FLOW_DAMAGED;
	length = 40 + intransit_flow_be16(h + 4);
	if (length > room)
		return INTRANSIT_FLOW_DAMAGED;
	next = h[6];
	for (int count = 0; count < INTRANSIT_FLOW_MOST_EXTENSIONS + 1 && intransit_flow_is_extension(next); count++) {
		const __u8 *extension = h + header;
		__u32 units;

		/* One pointer for all: the verifier knows no other way that they have the same bounds. */
		asm volatile("" : "+r"(extension));
		if (count == INTRANSIT_FLOW_MOST_EXTENSIONS)
			return INTRANSIT_FLOW_FOREIGN;
		if (extension + 2 > end)
			return INTRANSIT_FLOW_DAMAGED;
		units = extension[1];
		units = next == 51 ? (units + 2) * 4 : (units + 1) * 8;
		next = extension[0];
		header += units;
		asm volatile("" : "+r"(header));
		if (header > INTRANSIT_FLOW_MOST_OFFSET || header > length || h + header > end)
			return INTRANSIT_FLOW_DAMAGED;
	}
	if (next == 44)
		return INTRANSIT_FLOW_FRAGMENT;
	p->ip_version = 6;
	p->ip_length = length;
	p->ip_header = header;
	p->ip_service = intransit_flow_be16(h) >> 4;
	p->ip_ttl = h[7];
	p->source[0] = intransit_flow_be64(h + 8);
	p->source[1] = intransit_flow_be64(h + 16);
	p->destination[0] = intransit_flow_be64(h + 24);
	p->destination[1] = intransit_flow_be64(h + 32);
	return intransit_flow_transport(h + header, end, length - header, next, p);
}

static __always_inline int intransit_flow_is_vlan(__u32 type)
{
	return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/*
 * Any frame: VLAN tags, options, IPv6. Not static, so that the verifier walks it once and by itself.
 * p->frame_length is known, the frame's length on the wire.
 */
__attribute__((noinline)) int intransit_flow_parse_any(struct xdp_md *ctx, struct intransit_flow_packet *p)
{
	const __u8 *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	__u32 at = 12, type, header, wire;

	if (!p || data + 14 > end)
		return INTRANSIT_FLOW_DAMAGED;
	wire = p->frame_length;
	p->vlan_id = 0;
	type = intransit_flow_be16(data + at);
	for (int count = 0; count < INTRANSIT_FLOW_MOST_TAGS + 1 && intransit_flow_is_vlan(type); count++) {
		if (count == INTRANSIT_FLOW_MOST_TAGS)
			return INTRANSIT_FLOW_FOREIGN;
		if (data + at + 4 > end)
			return INTRANSIT_FLOW_DAMAGED;
		if (count == 0)
			p->vlan_id = intransit_flow_be16(data + at + 2) & 0xfff;
		at += 4;
		if (data + at + 2 > end)
			return INTRANSIT_FLOW_DAMAGED;
		type = intransit_flow_be16(data + at);
	}
	at += 2;
	p->network = at;
	wire = wire > at ? wire - at : 0;
	data += at;
	if (type == ETH_P_IPV6)
		return intransit_flow_ipv6(data, end, wire, p);
	if (type != ETH_P_IP)
		return INTRANSIT_FLOW_FOREIGN;
	if (data + 20 > end)
		return INTRANSIT_FLOW_DAMAGED;
	header = (data[0] & 15) * 4;
	if (data[0] >> 4 != 4 || header < 20)
		return INTRANSIT_FLOW_DAMAGED;
	return intransit_flow_ipv4(data, end, wire, header, p);
}

#if INTRANSIT_FLOW_PAYLOAD > 0
/* The first bytes of the payload, 0 where it is shorter or cut. Not static, as above. */
__attribute__((noinline)) int intransit_flow_payload(struct xdp_md *ctx, struct intransit_flow_packet *p)
{
	const __u8 *from = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;
	__u32 at;

	if (!p)
		return 0;
	at = p->network + p->ip_header + p->transport_header;
	asm volatile("" : "+r"(at));
	if (at > INTRANSIT_FLOW_MOST_OFFSET)
		return 0;
	from += at;
	asm volatile("" : "+r"(from));
	__builtin_memset(p->payload, 0, INTRANSIT_FLOW_PAYLOAD);
	for (__u32 i = 0; i < INTRANSIT_FLOW_PAYLOAD && i < p->payload_length; i++) {
		if (from + i + 1 > end)
			break;
		p->payload[i] = from[i];
	}
	return 0;
}
#endif

/* The commonest frames, IPv4 without tags and options, have their fields at known places. */
static __always_inline __u32 intransit_flow_parse(struct xdp_md *ctx, struct intransit_flow_packet *p)
{
	const __u8 *data = (const void *)(long)ctx->data, *end = (const void *)(long)ctx->data_end;

	if (data + 34 > end || *(const __u16 *)(data + 12) != bpf_htons(ETH_P_IP) || data[14] != 0x45)
		return intransit_flow_parse_any(ctx, p);
	p->vlan_id = 0;
	p->network = 14;
	return intransit_flow_ipv4(data + 14, end, p->frame_length - 14, 20, p);
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
