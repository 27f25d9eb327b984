/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with packets by the class of their flow: counted, held to a rate, copied, told, marked, sent to a port or dropped;
 * then forwarded as their port says. The order is that of p4/intransit_flow.p4. Beyond intransit_flow.h a program defines
 * nothing.
 */
#ifndef INTRANSIT_FLOW_ACT_H
#define INTRANSIT_FLOW_ACT_H

#include "intransit_flow.h"
#include "intransit_ways.h"

#define INTRANSIT_FLOW_CLASSES 256

/* Bytes of a packet that a copy has. */
#define INTRANSIT_FLOW_COPIED 2048

/*
 * Whether classes have actions and ports have ways. Set before loading; where it is 0 the verifier drops that code, and every
 * packet goes up to the host.
 */
const volatile __u32 intransit_flow_acts = 0;

/* What is done with packets of a class: an entry of the table `classes`. */
struct intransit_flow_class {
	__u8 present;
	__u8 way; /* enum intransit_way_kind: none, cross or drop */
	__u8 mark; /* 0x80 and the DSCP, or 0 */
	__u8 tell; /* whether the controller hears of flows that become this class */
	__u16 port; /* of cross */
	__u16 session; /* of copies, 0 for none */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_FLOW_CLASSES);
	__type(key, __u32);
	__type(value, struct intransit_flow_class);
} classes SEC(".maps");

/*
 * A bucket of credit, in bytes times 10^9, so that a nanosecond at a rate of bytes a second is a whole number of them. What the
 * peak of a P4 meter is: a packet beyond it is red.
 */
struct intransit_flow_rate {
	struct bpf_spin_lock lock;
	__u32 unused;
	__u64 rate; /* bytes a second, 0 for no limit */
	__u64 burst; /* credit at most */
	__u64 fill; /* nanoseconds from none to that */
	__u64 credit;
	__u64 seen; /* nanoseconds */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTRANSIT_FLOW_CLASSES);
	__type(key, __u32);
	__type(value, struct intransit_flow_rate);
} rates SEC(".maps");

struct intransit_flow_class_counts {
	__u64 packets, bytes;
	__u64 limited_packets, limited_bytes; /* of those: beyond the rate, dropped */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, INTRANSIT_FLOW_CLASSES);
	__type(key, __u32);
	__type(value, struct intransit_flow_class_counts);
} class_counts SEC(".maps");

enum intransit_flow_record_kind {
	INTRANSIT_FLOW_TOLD = 1, /* a flow became a class; behind the record its features */
	INTRANSIT_FLOW_COPY = 2, /* a packet for a session; behind the record its bytes */
	INTRANSIT_FLOW_ENDED = 3, /* a flow that has ended; behind the record its features, filled up to eights, and an ending */
	INTRANSIT_FLOW_ASKS = 4, /* a flow that a larger model is to be asked about; behind the record its features */
};

/* What user space is told; numbers in the byte order of the host. Addresses of IPv4 are in the first words alone. */
struct intransit_flow_record {
	__u8 kind, class, margin, ip_version, ip_protocol, unused;
	__u16 session;
	__u16 client_port, server_port;
	__u32 length; /* bytes of the frame */
	__u64 client[2], server[2];
	__u64 place; /* of the flow: bucket << 8 and the place in it */
	__u64 verdict; /* as the place keeps it */
};

struct intransit_flow_message {
	struct intransit_flow_record record;
	__u8 bytes[INTRANSIT_FLOW_COPIED];
};

/* A message under way: the stack has 512 bytes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_message);
} message SEC(".maps");

/* What there is to tell. Full, it takes no more. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} told SEC(".maps");

/* What is behind the features of a flow that has ended; times in units of the clock. */
struct intransit_flow_ending {
	__u64 packets, begun, seen;
};

#define INTRANSIT_FLOW_WANTED_VERDICTS 1
#define INTRANSIT_FLOW_WANTED_ENDINGS 2

/*
 * What anybody wants to hear of, as bits; then how much could not be told, for want of room; then the margin below which a larger
 * model is asked, 0 for never.
 */
struct intransit_flow_telling {
	__u64 wanted;
	__u64 lost;
	__u64 below;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_telling);
} telling SEC(".maps");

/* Gives whether there was room for it. */
static __always_inline int intransit_flow_output(const struct intransit_flow_message *m, __u32 size)
{
	__u32 zero = 0;
	struct intransit_flow_telling *t;

	if (!bpf_ringbuf_output(&told, (void *)m, size, BPF_RB_NO_WAKEUP))
		return 1;
	t = bpf_map_lookup_elem(&telling, &zero);
	if (t)
		__sync_fetch_and_add(&t->lost, 1);
	return 0;
}

/* Flows that a larger model may be asked about: a bucket of credit as of a class, a question for a byte. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct intransit_flow_rate);
} asking SEC(".maps");

/* Whether `need` is within a rate now, which it costs then; what is not costs no credit. */
static __always_inline int intransit_flow_spend(struct intransit_flow_rate *r, __u64 need)
{
	__u64 now = bpf_ktime_get_ns(), elapsed = 0;
	int within;

	bpf_spin_lock(&r->lock);
	if (now > r->seen) {
		elapsed = now - r->seen;
		r->seen = now;
	}
	if (elapsed > r->fill)
		elapsed = r->fill;
	r->credit += elapsed * r->rate;
	if (r->credit > r->burst)
		r->credit = r->burst;
	within = r->credit >= need;
	if (within)
		r->credit -= need;
	bpf_spin_unlock(&r->lock);
	return within;
}

#ifndef INTRANSIT_FLOW_AT_END
/* A record of the flow of the packet at hand, as a message with its features. */
static __always_inline void intransit_flow_describe(struct intransit_flow_message *m, const struct intransit_flow_work *c,
						    __u8 kind, __u64 place, __u64 verdict, __u32 reply)
{
	const struct intransit_flow_packet *p = &c->packet;
	struct intransit_flow_record *r = &m->record;

	*r = (struct intransit_flow_record){
		.kind = kind,
		.class = verdict & 0xff,
		.margin = (__u8)(verdict >> 8),
		.ip_version = p->ip_version,
		.ip_protocol = p->ip_protocol,
		.client_port = reply ? p->port_destination : p->port_source,
		.server_port = reply ? p->port_source : p->port_destination,
		.length = p->frame_length,
		.place = place,
		.verdict = verdict,
	};
	for (int i = 0; i < 2; i++) {
		r->client[i] = reply ? p->destination[i] : p->source[i];
		r->server[i] = reply ? p->source[i] : p->destination[i];
	}
	__builtin_memcpy(m->bytes, c->features, sizeof(c->features));
}

/* Tells that a flow has become a class, if somebody wants to know of flows of that class. */
static __noinline __attribute__((unused)) int intransit_flow_tell_class(__u64 place, __u64 verdict, __u32 reply)
{
	__u32 zero = 0, class = verdict & 0xff;
	const struct intransit_flow_work *c = bpf_map_lookup_elem(&work, &zero);
	const struct intransit_flow_class *k = bpf_map_lookup_elem(&classes, &class);
	const struct intransit_flow_telling *t = bpf_map_lookup_elem(&telling, &zero);
	struct intransit_flow_message *m = bpf_map_lookup_elem(&message, &zero);

	if (!c || !k || !t || !m || !k->present || !k->tell || !(t->wanted & INTRANSIT_FLOW_WANTED_VERDICTS))
		return 0;
	intransit_flow_describe(m, c, INTRANSIT_FLOW_TOLD, place, verdict, reply);
	intransit_flow_output(m, sizeof(m->record) + INTRANSIT_FLOW_FEATURES);
	return 0;
}

/* Asks a larger model about the flow of the packet at hand. Gives whether user space is to hear of it. */
static __noinline __attribute__((unused)) int intransit_flow_ask_of_packet(__u64 place, __u64 verdict, __u32 reply)
{
	__u32 zero = 0;
	const struct intransit_flow_work *c = bpf_map_lookup_elem(&work, &zero);
	struct intransit_flow_message *m = bpf_map_lookup_elem(&message, &zero);

	if (!c || !m)
		return 0;
	intransit_flow_describe(m, c, INTRANSIT_FLOW_ASKS, place, verdict, reply);
	return intransit_flow_output(m, sizeof(m->record) + INTRANSIT_FLOW_FEATURES);
}

#else
static __always_inline void intransit_flow_ends_of(const struct intransit_flow_state *s,
						   struct intransit_flow_record *r);

/* A record of a flow that has ended, as a message with its features. */
static __always_inline void intransit_flow_describe(struct intransit_flow_message *m, const struct intransit_flow_work *c,
						    __u8 kind, __u64 place, __u64 verdict,
						    const struct intransit_flow_state *s)
{
	m->record = (struct intransit_flow_record){
		.kind = kind,
		.class = verdict & 0xff,
		.margin = (__u8)(verdict >> 8),
		.place = place,
		.verdict = verdict,
	};
	intransit_flow_ends_of(s, &m->record);
	__builtin_memcpy(m->bytes, c->features, sizeof(c->features));
}

/* Tells of a flow that has ended: those who want to know of all, and those who want to of flows of its class. */
static __noinline int intransit_flow_tell_ended(const struct intransit_flow_work *c, const struct intransit_flow_ended *e,
						__u64 verdict)
{
	__u32 zero = 0, class = verdict & 0xff;
	const struct intransit_flow_class *k = bpf_map_lookup_elem(&classes, &class);
	const struct intransit_flow_telling *t = bpf_map_lookup_elem(&telling, &zero);
	struct intransit_flow_message *m = bpf_map_lookup_elem(&message, &zero);
	struct intransit_flow_ending *ending;

	if (!c || !e || !k || !t || !m || !t->wanted)
		return 0;
	intransit_flow_describe(m, c, INTRANSIT_FLOW_TOLD, 0, verdict, &e->state);
	if (k->present && k->tell && (t->wanted & INTRANSIT_FLOW_WANTED_VERDICTS))
		intransit_flow_output(m, sizeof(m->record) + INTRANSIT_FLOW_FEATURES);
	if (t->wanted & INTRANSIT_FLOW_WANTED_ENDINGS) {
		m->record.kind = INTRANSIT_FLOW_ENDED;
		ending = (struct intransit_flow_ending *)(m->bytes + sizeof(c->features));
		*ending = (struct intransit_flow_ending){
			.packets = e->state.packets, .begun = e->state.begun, .seen = e->seen
		};
		intransit_flow_output(m, sizeof(m->record) + sizeof(c->features) + sizeof(*ending));
	}
	return 0;
}

/* The same of a flow that has ended with its packet. */
static __noinline __attribute__((unused)) int intransit_flow_ask_ended(__u64 place, __u64 verdict)
{
	__u32 zero = 0;
	const struct intransit_flow_work *c = bpf_map_lookup_elem(&work, &zero);
	struct intransit_flow_message *m = bpf_map_lookup_elem(&message, &zero);

	if (!c || !m)
		return 0;
	intransit_flow_describe(m, c, INTRANSIT_FLOW_ASKS, place, verdict, &c->ended[1].state);
	return intransit_flow_output(m, sizeof(m->record) + INTRANSIT_FLOW_FEATURES);
}
#endif

/*
 * Whether a flow's verdict is one that a larger model is to be asked about, and there is budget for it. The flow is marked with it,
 * so that none is asked about twice, on whatever processor.
 * @f: its place  @verdict: as it stands there
 */
static __always_inline int intransit_flow_may_ask(struct intransit_flow_state *f, __u64 verdict)
{
	__u32 zero = 0;
	const struct intransit_flow_telling *t = bpf_map_lookup_elem(&telling, &zero);
	struct intransit_flow_counts *counts;
	struct intransit_flow_rate *r;

	if (!t || (__u8)(verdict >> 8) >= t->below || (verdict & INTRANSIT_FLOW_ASKED))
		return 0;
	r = bpf_map_lookup_elem(&asking, &zero);
	counts = intransit_flow_counters();
	if (!r || !counts)
		return 0;
	if (!intransit_flow_spend(r, 1000000000ULL)) {
		counts->shed += 1;
		return 0;
	}
	return __sync_val_compare_and_swap(&f->verdict, verdict, verdict | INTRANSIT_FLOW_ASKED) == verdict;
}

/* @told: whether user space is to hear of the question; else the flow may be asked about with its next verdict. */
static __always_inline void intransit_flow_asked(struct intransit_flow_state *f, __u64 verdict, int told)
{
	struct intransit_flow_counts *counts = intransit_flow_counters();

	if (!told)
		__sync_val_compare_and_swap(&f->verdict, verdict | INTRANSIT_FLOW_ASKED, verdict);
	if (!counts)
		return;
	counts->asked += told;
	counts->shed += !told;
}

/* The packet as it is at this point, for whoever sends copies to the ports of a session. */
static __noinline int intransit_flow_copy(struct xdp_md *ctx, __u32 session)
{
	__u32 zero = 0, length = ctx->data_end - ctx->data, kept;
	struct intransit_flow_message *m = bpf_map_lookup_elem(&message, &zero);

	if (!m)
		return 0;
	m->record = (struct intransit_flow_record){ .kind = INTRANSIT_FLOW_COPY,
						    .session = session,
						    .length = length };
	kept = length < INTRANSIT_FLOW_COPIED ? length : INTRANSIT_FLOW_COPIED;
	asm volatile("" : "+r"(kept));
	if (kept < 1 || kept > INTRANSIT_FLOW_COPIED || bpf_xdp_load_bytes(ctx, 0, m->bytes, kept))
		return 0;
	intransit_flow_output(m, sizeof(m->record) + kept);
	return 0;
}

/* Whether a packet is within the rate of its class. */
static __noinline int intransit_flow_within(__u32 class, __u32 bytes)
{
	struct intransit_flow_rate *r = bpf_map_lookup_elem(&rates, &class);

	return !r || !r->rate || intransit_flow_spend(r, bytes * 1000000000ULL);
}

/* Sets the DSCP; the checksum of IPv4 follows by RFC 1624, so that one that was wrong stays wrong. */
static __noinline int intransit_flow_mark(struct xdp_md *ctx, __u32 network, __u32 version, __u32 dscp)
{
	__u8 *h = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u16 *words, old, now;
	__u32 sum;

	if (network > 64)
		return 0;
	h += network;
	if (h + 20 > end)
		return 0;
	if (version == 6) {
		h[0] = (h[0] & 0xf0) | dscp >> 2;
		h[1] = (h[1] & 0x3f) | dscp << 6;
		return 0;
	}
	words = (__u16 *)h;
	old = words[0];
	h[1] = (h[1] & 3) | dscp << 2;
	now = words[0];
	if (now == old)
		return 0;
	sum = (__u16)~words[5] + (__u32)(__u16)~old + now;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	words[5] = ~sum;
	return 0;
}

/* Where a packet's port sends it; up to the host where it says nothing. */
static __noinline int intransit_flow_forward(struct xdp_md *ctx)
{
	__u32 interface = ctx->ingress_ifindex;
	const struct intransit_way *way = bpf_map_lookup_elem(&ports, &interface);

	if (!way || way->kind == INTRANSIT_NO_WAY)
		return XDP_PASS;
	return way->kind == INTRANSIT_CROSS ? intransit_to_port(way->port) : XDP_DROP;
}

/* @verdict: as a place keeps it; without INTRANSIT_FLOW_KNOWN the packet has none, and is forwarded only. */
static __noinline int intransit_flow_act(struct xdp_md *ctx, __u32 verdict)
{
	__u32 zero = 0, class = verdict & 0xff, length;
	const struct intransit_flow_work *c = bpf_map_lookup_elem(&work, &zero);
	const struct intransit_flow_class *k = bpf_map_lookup_elem(&classes, &class);
	struct intransit_flow_class_counts *counts = bpf_map_lookup_elem(&class_counts, &class);

	if (!c || !k || !counts || !(verdict & INTRANSIT_FLOW_KNOWN))
		return intransit_flow_forward(ctx);
	length = c->packet.frame_length;
	counts->packets += 1;
	counts->bytes += length;
	if (!k->present)
		return intransit_flow_forward(ctx);
	if (!intransit_flow_within(class, length)) {
		counts->limited_packets += 1;
		counts->limited_bytes += length;
		return XDP_DROP;
	}
	if (k->session)
		intransit_flow_copy(ctx, k->session);
	if (k->mark)
		intransit_flow_mark(ctx, c->packet.network, c->packet.ip_version, k->mark & 0x3f);
	if (k->way == INTRANSIT_DROP)
		return XDP_DROP;
	if (k->way == INTRANSIT_CROSS)
		return intransit_to_port(k->port);
	return intransit_flow_forward(ctx);
}

#endif
