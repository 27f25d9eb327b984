/* SPDX-License-Identifier: Apache-2.0 */
/* Where packets go that are not computed here, or have been: what a sink has in common with the dispatcher. */
#ifndef INTRANSIT_FORWARD_H
#define INTRANSIT_FORWARD_H

#include "intransit_packet.h"

/* A time to live that is one less, in a checksum (RFC 1624): it is the high byte of its word. */
static __always_inline void intransit_hop(struct intransit_packet *p)
{
	p->ip.ttl -= 1;
	p->ip.check = ~intransit_fold((__u64)(__u16)~p->ip.check + bpf_htons(0xfeff));
}

/* The shard of a job, as `shardOf` of src/dataplane/abi.ts has it. */
static __always_inline __u32 intransit_shard_of(__u64 job_id)
{
	return (job_id ^ job_id >> 32) * INTRANSIT_SHARD_FACTOR >> (64 - INTRANSIT_SHARD_BITS);
}

/* Where a packet is steered; NULL where nothing says so. A proof goes to the worker that asked for it: where its request went. */
static __always_inline const struct intransit_next_hop *intransit_steered(const struct intransit_header *h)
{
	struct intransit_steer_key key = { .model_id = bpf_ntohs(h->model_id), .next_layer = h->next_layer };
	const struct intransit_next_hop *hop;

	if (h->magic != bpf_htons(INTRANSIT_MAGIC) ||
	    (h->kind != INTRANSIT_KIND_REQUEST && h->kind != INTRANSIT_KIND_PROOF))
		return NULL;
	hop = bpf_map_lookup_elem(&steer, &key);
	if (hop && hop->kind == INTRANSIT_HOP_BALANCE) {
		struct intransit_shard_key of = { .model_id = key.model_id,
						  .shard = intransit_shard_of(bpf_be64_to_cpu(h->job_id)),
						  .group = hop->group };

		hop = bpf_map_lookup_elem(&shards, &of);
	}
	return hop;
}

/*
 * Where the packet goes: the next hop to its next layer, to its destination, across from its port, or up to the host. Not
 * static, so that the verifier walks it once and by itself.
 */
__attribute__((noinline)) int intransit_forward(struct xdp_md *ctx)
{
	struct intransit_packet *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 interface = ctx->ingress_ifindex;
	const struct intransit_next_hop *port = bpf_map_lookup_elem(&ports, &interface), *hop = NULL;

	if (!port)
		return XDP_PASS;
	if (intransit_parse(p, end) == INTRANSIT_COMPUTED && (void *)(p + 1) <= end)
		hop = intransit_steered(&p->header);
	if (!hop && (void *)p + sizeof(p->eth) + sizeof(p->ip) <= end && p->eth.h_proto == bpf_htons(ETH_P_IP)) {
		struct intransit_lpm_key key = { .prefix = 32, .destination = p->ip.daddr };

		hop = bpf_map_lookup_elem(&ipv4_lpm, &key);
	}
	if (!hop)
		hop = port;
	switch (hop->kind) {
	case INTRANSIT_HOP_NONE:
		return XDP_PASS;
	case INTRANSIT_HOP_ROUTE:
		if ((void *)p + sizeof(p->eth) + sizeof(p->ip) > end || p->ip.ttl <= 1)
			return XDP_DROP;
		__builtin_memcpy(p->eth.h_source, hop->source_mac, ETH_ALEN);
		__builtin_memcpy(p->eth.h_dest, hop->destination_mac, ETH_ALEN);
		intransit_hop(p);
		break;
	case INTRANSIT_HOP_CROSS:
		break;
	default:
		return XDP_DROP;
	}
	/* A port without an interface loses the packet, as a switch does. */
	return bpf_redirect_map(&tx, hop->port, XDP_DROP);
}

/* Tells the controller of a refused request, if it wants to hear of it. */
__attribute__((noinline)) int intransit_tell(struct xdp_md *ctx, __u32 outcome)
{
	const struct intransit_packet *p = (void *)(long)ctx->data;
	__u32 zero = 0, *on = bpf_map_lookup_elem(&tell_refusals, &zero);
	struct intransit_refusal refusal = {};

	if (!on || !*on || (void *)(p + 1) > (void *)(long)ctx->data_end)
		return 0;
	refusal.outcome = outcome;
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

/* Counts the outcome; the packet goes on its way as it is, or to the host's stack. */
static __always_inline int intransit_pass(struct xdp_md *ctx, __u32 outcome)
{
	intransit_count(outcome & (INTRANSIT_TELL - 1));
	if (intransit_agent && outcome & INTRANSIT_TELL)
		intransit_tell(ctx, outcome & (INTRANSIT_TELL - 1));
	return intransit_send(ctx);
}

#endif
