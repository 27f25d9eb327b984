/* SPDX-License-Identifier: Apache-2.0 */
/* What a table of flows costs by its size alone: each run writes one word somewhere in 20 MiB. */
#include <linux/types.h>

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define LINES 65536

struct line {
	__u64 words[40];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, LINES);
	__type(key, __u32);
	__type(value, struct line);
} table SEC(".maps");

__u64 state = 1;

SEC("xdp")
int access(struct xdp_md *ctx)
{
	__u32 index;
	struct line *l;

	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	index = state >> 48;
	l = bpf_map_lookup_elem(&table, &index);
	if (l)
		/* The next run waits for it. */
		state ^= ++l->words[0] & 1;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
