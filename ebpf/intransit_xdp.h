/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program in three parts: its source (the input out of a request), its layers, its sink (an answer). Source and sink are
 * here; a program defines its shapes before it includes this file:
 *
 *   INTRANSIT_PORT             UDP destination port of requests
 *   INTRANSIT_FIRST_LAYER      index of the first layer that the program computes
 *   INTRANSIT_NEXT_LAYER       index of the first layer that it leaves to others
 *   INTRANSIT_LAYER_COUNT      layers of the whole model
 *   INTRANSIT_INPUT_ELEMENT    element type, and
 *   INTRANSIT_INPUTS           count of the activations that come in
 *   INTRANSIT_OUTPUT_ELEMENT   likewise of those that
 *   INTRANSIT_OUTPUTS          go out
 *   INTRANSIT_SLOTS            versions of the weights side by side
 *   INTRANSIT_SCRATCH_BYTES    bytes that the layers use between them
 *   INTRANSIT_VERDICT          only if the last layer of the model is among them and makes class and margin
 *
 * It behaves as p4/intransit_pipeline.p4 does, but for packets that no table has a next hop for: a switch drops them, a host
 * takes them itself (XDP_PASS), or it would lose its ARP and its ssh.
 */
#ifndef INTRANSIT_XDP_H
#define INTRANSIT_XDP_H

#include "intransit_dispatch.h"
#include "intransit_sink.h"
#include "intransit_source.h"

struct intransit_scratch {
	__u8 bytes[INTRANSIT_SCRATCH_BYTES];
} __attribute__((aligned(8)));

/* Activations between layers: the stack has 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_scratch);
} scratch SEC(".maps");

struct intransit_weights;

/* What the body of a loop over a layer's outputs works on. */
struct intransit_loop {
	const struct intransit_weights *weights;
	const void *from;
	void *to;
};

#endif
