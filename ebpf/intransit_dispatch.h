/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dispatcher of an agent: stands before the programs, one a shape, and jumps to the one that a request asks for. It
 * depends on no shape, so any of a device's programs may bring it along.
 */
#ifndef INTRANSIT_DISPATCH_H
#define INTRANSIT_DISPATCH_H

#include "intransit_source.h"

/* A jump by a constant becomes one of the processor; by a variable it costs five times as much. */
#define INTRANSIT_JUMP(program) \
	case program: \
		bpf_tail_call_static(ctx, &programs, program); \
		break;

/* Returns only where there is no such program. */
static __always_inline void intransit_jump(struct xdp_md *ctx, __u32 program)
{
	switch (program) {
		INTRANSIT_JUMP(0)
		INTRANSIT_JUMP(1)
		INTRANSIT_JUMP(2)
		INTRANSIT_JUMP(3)
		INTRANSIT_JUMP(4)
		INTRANSIT_JUMP(5)
		INTRANSIT_JUMP(6)
		INTRANSIT_JUMP(7)
		INTRANSIT_JUMP(8)
		INTRANSIT_JUMP(9)
		INTRANSIT_JUMP(10)
		INTRANSIT_JUMP(11)
		INTRANSIT_JUMP(12)
		INTRANSIT_JUMP(13)
		INTRANSIT_JUMP(14)
		INTRANSIT_JUMP(15)
	}
}

_Static_assert(INTRANSIT_PROGRAMS == 16, "intransit_jump has a case for each program");

SEC("xdp")
int intransit_dispatch(struct xdp_md *ctx)
{
	const struct intransit_packet *p = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	__u32 outcome = intransit_request(p, end), zero = 0, layer, *begins;
	__u64 held, *word;

	if (outcome != INTRANSIT_COMPUTED || (void *)(p + 1) > end)
		return intransit_pass(ctx, outcome);
	held = intransit_held_for(&p->header);
	if (!held) {
		layer = p->header.next_layer;
		begins = bpf_map_lookup_elem(&first_layers, &layer);
		return intransit_pass(ctx, begins && *begins ? intransit_unknown(&p->header) : INTRANSIT_CURSOR_ELSEWHERE);
	}
	word = bpf_map_lookup_elem(&handed, &zero);
	if (!word)
		return intransit_pass(ctx, INTRANSIT_FAILED);
	*word = held;
	intransit_jump(ctx, INTRANSIT_WORD(held, SLOT) / INTRANSIT_PROGRAM_SLOTS);
	/* An entry for a program that is not here. */
	return intransit_pass(ctx, INTRANSIT_FAILED | INTRANSIT_TELL);
}

#endif
