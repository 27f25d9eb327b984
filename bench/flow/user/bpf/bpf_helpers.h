/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of flows in user space, for bench/flow-user.ts: the helpers that it calls, as an ordinary process has them. A map is
 * an array that its own definition points to; there is one thread, so locks are none.
 */
#ifndef BENCH_BPF_HELPERS_H
#define BENCH_BPF_HELPERS_H

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEC(name)
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))

#define bench_entries(map) (sizeof(*(map)->max_entries) / sizeof(int))

/* Maps that are looked up by hash are empty: no port has a way. */
#define bpf_map_lookup_elem(map, key)                                                                               \
	({                                                                                                          \
		__u32 bench_at = *(const __u32 *)(key);                                                             \
		int bench_is_array = sizeof(*(map)->type) / sizeof(int) != BPF_MAP_TYPE_HASH;                       \
		if (!(map)->value)                                                                                  \
			(map)->value = calloc(bench_entries(map), sizeof(*(map)->value));                           \
		bench_is_array && bench_at < bench_entries(map) ? (map)->value + bench_at : NULL;                   \
	})

static inline __u64 bpf_ktime_get_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static inline void bpf_spin_lock(struct bpf_spin_lock *lock)
{
	(void)lock;
}

static inline void bpf_spin_unlock(struct bpf_spin_lock *lock)
{
	(void)lock;
}

static inline long bpf_xdp_load_bytes(struct xdp_md *ctx, __u32 offset, void *to, __u32 length)
{
	if (offset + length > ctx->data_end - ctx->data)
		return -1;
	memcpy(to, (const char *)(long)ctx->data + offset, length);
	return 0;
}

/* Nobody listens, and nothing is sent on. */
#define bpf_ringbuf_output(map, data, size, flags) ((void)(data), -1L)
#define bpf_redirect_map(map, key, flags) ((long)(flags))

#endif
