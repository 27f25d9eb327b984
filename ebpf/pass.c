/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lets every packet pass. A veth delivers what its peer's program sends back (XDP_TX) only if it has a program of its
 * own.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
