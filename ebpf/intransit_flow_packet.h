/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordinary packets to fields, or to the reason why a packet has no flow. A program defines before it includes this file:
 *
 *   INTRANSIT_FLOW_...           the outcomes of packets, from 0 (see intransit_flow_end)
 *   INTRANSIT_FLOW_PAYLOAD       payload bytes that features read, 0 if none
 */
#ifndef INTRANSIT_FLOW_PACKET_H
#define INTRANSIT_FLOW_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INTRANSIT_FLOW_MOST_TAGS 4
#define INTRANSIT_FLOW_MOST_EXTENSIONS 8
/* Beyond all that the extension headers walked can take: tells the verifier that offsets stay within a packet. */
#define INTRANSIT_FLOW_MOST_OFFSET 0x5fff

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

/* Each step gives INTRANSIT_FLOW_CLASSIFIED to go on, or why the packet has no flow. */

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

#endif
