/* SPDX-License-Identifier: Apache-2.0 */
/* Made from src/dataplane/abi.ts by `npm run generate`; do not edit. */
#ifndef INTRANSIT_ABI_H
#define INTRANSIT_ABI_H

#include <linux/bpf.h>
#include <linux/if_ether.h>

#include <bpf/bpf_helpers.h>

#define INTRANSIT_PROGRAMS 16
#define INTRANSIT_PROGRAM_SLOTS 16
#define INTRANSIT_DEVICE_SLOTS 256
#define INTRANSIT_BUCKET_WORDS 4
#define INTRANSIT_BUCKET_BITS 10
#define INTRANSIT_BUCKET_FACTOR_0 0x9e3779b1u
#define INTRANSIT_BUCKET_FACTOR_1 0x85ebca77u
#define INTRANSIT_SHARD_BITS 9
#define INTRANSIT_SHARD_FACTOR 0x9e3779b97f4a7c15ULL

/* Where the fields of a word of `models` stand in it. */
#define INTRANSIT_WORD_MODEL_ID_AT 0
#define INTRANSIT_WORD_MODEL_ID_MASK 0xffffULL
#define INTRANSIT_WORD_MODEL_VERSION_AT 16
#define INTRANSIT_WORD_MODEL_VERSION_MASK 0xffffULL
#define INTRANSIT_WORD_SLOT_AT 32
#define INTRANSIT_WORD_SLOT_MASK 0xffULL
#define INTRANSIT_WORD_THRESHOLD_AT 40
#define INTRANSIT_WORD_THRESHOLD_MASK 0xffULL
#define INTRANSIT_WORD_STATE_AT 48
#define INTRANSIT_WORD_STATE_MASK 0xfULL
#define INTRANSIT_WORD_CURRENT_AT 52
#define INTRANSIT_WORD_CURRENT_MASK 0x1ULL
#define INTRANSIT_WORD_LIMITED_AT 53
#define INTRANSIT_WORD_LIMITED_MASK 0x1ULL
#define INTRANSIT_WORD_PARTIAL_AT 63
#define INTRANSIT_WORD_PARTIAL_MASK 0x1ULL
#define INTRANSIT_WORD(word, field) ((word) >> INTRANSIT_WORD_##field##_AT & INTRANSIT_WORD_##field##_MASK)

/* What a word says of its version; 0 is none. */
enum intransit_state {
	INTRANSIT_READY = 1,
	INTRANSIT_OTHER_LAYERS = 2,
	INTRANSIT_NO_WEIGHTS = 3,
};

/* What becomes of a packet that is forwarded. */
enum intransit_next_hop_kind {
	INTRANSIT_HOP_NONE = 0,
	INTRANSIT_HOP_CROSS = 1,
	INTRANSIT_HOP_ROUTE = 2,
	INTRANSIT_HOP_DROP = 3,
	INTRANSIT_HOP_BALANCE = 4,
};

/* What becomes of a packet that is forwarded: an entry of a table. */
struct intransit_next_hop {
	__u8 kind;
	__u8 group;
	__u16 port;
	__u8 source_mac[ETH_ALEN];
	__u8 destination_mac[ETH_ALEN];
};

/* Which requests are steered: those of a model by their next layer. */
struct intransit_steer_key {
	__u16 model_id;
	__u8 next_layer;
	__u8 unused;
};

/* Which requests of a group: those of the jobs of a shard. */
struct intransit_shard_key {
	__u16 model_id;
	__u16 shard;
	__u8 group;
	__u8 unused;
};

/* A prefix of destinations. */
struct intransit_lpm_key {
	__u32 prefix;
	__be32 destination;
};

/* A request that was refused for what is in it; numbers in the byte order of the host. */
struct intransit_refusal {
	__u8 outcome;
	__u8 next_layer;
	__u8 trust_zone;
	__u8 unused;
	__u16 model_id;
	__u16 model_version;
	__u32 source;
};

/* Requests for the version in a slot, by what became of them. */
struct intransit_slot_counts {
	__u64 computed;
	__u64 unsure;
	__u64 shed;
	__u64 refused;
};

/* Inferences that a slot may make: one each `interval` ns, and as many at once as fit into `burst` ns. */
struct intransit_budget {
	__u64 interval;
	__u64 burst;
	__u64 due;
};

struct intransit_bucket {
	__u64 words[INTRANSIT_BUCKET_WORDS];
};

/* The versions that are here, in buckets of words. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct intransit_bucket);
} models SEC(".maps");

/* Models of which some version is meant to be here: tells an unknown version from an unknown model. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} model_ids SEC(".maps");

/* Layer -> non-zero where some program here begins. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} first_layers SEC(".maps");

/* The programs behind the dispatcher. */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u32);
} programs SEC(".maps");

/* The word that the dispatcher found, for the program that it jumps to. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} handed SEC(".maps");

/* Trust zone -> non-zero where this device may compute. Zone 0 is any. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} zones SEC(".maps");

/* Interface -> where its packets go if nothing else says so. An interface that is not here is no port. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, struct intransit_next_hop);
} ports SEC(".maps");

/* Next layer of a model -> the next hop to a device that computes it. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct intransit_steer_key);
	__type(value, struct intransit_next_hop);
} steer SEC(".maps");

/* Shard of jobs -> next hop, of requests that are balanced. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct intransit_shard_key);
	__type(value, struct intransit_next_hop);
} shards SEC(".maps");

/* Destination -> next hop. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct intransit_lpm_key);
	__type(value, struct intransit_next_hop);
} ipv4_lpm SEC(".maps");

/* Port -> interface. */
struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 512);
	__type(key, __u32);
	__type(value, __u32);
} tx SEC(".maps");

/* Whether anybody wants to hear of refused requests, */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} tell_refusals SEC(".maps");

/* and what there is to tell. Full, it takes no more. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} refused SEC(".maps");

/* Packets by their outcome. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 18);
	__type(key, __u32);
	__type(value, __u64);
} outcomes SEC(".maps");

/* Requests by slot. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct intransit_slot_counts);
} inferences SEC(".maps");

/* Budgets by slot. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct intransit_budget);
} budgets SEC(".maps");

#endif
