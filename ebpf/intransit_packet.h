/* SPDX-License-Identifier: Apache-2.0 */
/* What source, compute and sink of a program have in common: packets, counters, sums of words. */
#ifndef INTRANSIT_PACKET_H
#define INTRANSIT_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "intransit_abi.h"
#include "intransit_wire.h"

#define INTRANSIT_OUTER_BYTES (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define INTRANSIT_PAYLOAD_AT (INTRANSIT_OUTER_BYTES + INTRANSIT_HEADER_BYTES)

/*
 * Whether this is the data plane of an agent: its dispatcher has looked the packet's version up, it forwards by its tables,
 * keeps accounts of slots and tells of refused requests. Set before loading; where it is 0 the verifier drops that code, and
 * the program costs nothing more.
 */
const volatile __u32 intransit_agent = 0;

/* Beside an outcome: the controller may want to hear of it. */
#define INTRANSIT_TELL 0x100

struct intransit_packet {
	struct ethhdr eth;
	struct iphdr ip;
	struct udphdr udp;
	struct intransit_header header;
} __attribute__((packed));

static __always_inline void intransit_count(__u32 outcome)
{
	__u64 *count = bpf_map_lookup_elem(&outcomes, &outcome);

	if (count)
		*count += 1;
}

/* Accounts of the slot whose version a request asks for; nobody reads them without an agent. */
static __always_inline struct intransit_slot_counts *intransit_slot_counts_of(__u64 held)
{
	__u32 slot = INTRANSIT_WORD(held, SLOT);

	return intransit_agent ? bpf_map_lookup_elem(&inferences, &slot) : NULL;
}

/* Whether what follows Ethernet is ours, up to the end of our header. INTRANSIT_COMPUTED: it is. */
static __always_inline enum intransit_outcome intransit_parse(const struct intransit_packet *p, void *end)
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

#endif
