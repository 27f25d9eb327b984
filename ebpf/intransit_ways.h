/* SPDX-License-Identifier: Apache-2.0 */
/* Where packets go that are forwarded: what programs of requests and of flows have alike. */
#ifndef INTRANSIT_WAYS_H
#define INTRANSIT_WAYS_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#define INTRANSIT_PORTS 512

/* What becomes of a packet that is forwarded: an entry of a table. */
enum intransit_way_kind {
	INTRANSIT_NO_WAY = 0,
	INTRANSIT_CROSS = 1,
	INTRANSIT_ROUTE = 2,
	INTRANSIT_DROP = 3,
};

struct intransit_way {
	__u8 kind;
	__u8 unused;
	__u16 port;
	__u8 source_mac[ETH_ALEN];
	__u8 destination_mac[ETH_ALEN];
};

/* Interface -> where its packets go if nothing else says so. An interface that is not here is no port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, INTRANSIT_PORTS);
	__type(key, __u32);
	__type(value, struct intransit_way);
} ports SEC(".maps");

/* Port -> interface. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, INTRANSIT_PORTS);
	__type(key, __u32);
	__type(value, __u32);
} tx SEC(".maps");

/* A port without an interface loses the packet, as a switch does. */
static __always_inline int intransit_to_port(__u32 port)
{
	return bpf_redirect_map(&tx, port, XDP_DROP);
}

#endif
