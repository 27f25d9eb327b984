/* SPDX-License-Identifier: Apache-2.0 */
/* Drops every packet in the driver: what is left is what sending it costs. */
#include <linux/types.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	(void)ctx;
	return XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
