// SPDX-License-Identifier: Apache-2.0
// The packet as the parser sees it. Included behind the shapes of a model: activations_t, result_t, scratch_t.
#ifndef INTRANSIT_HEADERS_P4
#define INTRANSIT_HEADERS_P4

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    bit<16> ether_type;
}

header ipv4_t {
    bit<4> version;
    bit<4> ihl;
    bit<8> tos;
    bit<16> total_length;
    bit<16> identification;
    bit<2> flags; // reserved, don't fragment
    bit<14> fragment; // more fragments, offset; 0 if the packet is whole
    bit<8> ttl;
    bit<8> protocol;
    bit<16> checksum;
    bit<32> source;
    bit<32> destination;
}

header udp_t {
    bit<16> source;
    bit<16> destination;
    bit<16> length;
    bit<16> checksum;
}

// Set by an entry of the zones; its validity is what counts.
header permitted_t {
    bit<8> unused;
}

// Its validity says that the UDP checksum is one of the pseudo-header alone.
header partial_t {
    bit<8> unused;
}

// Set where a request is refused.
header refusal_t {
    bit<8> outcome;
}

struct headers_t {
    ethernet_t ethernet;
    ipv4_t ipv4;
    udp_t udp;
    intransit_header_t intransit;
#ifdef INTRANSIT_SHAPE_HEADERS
    INTRANSIT_SHAPE_HEADERS
#else
    activations_t activations; // of a request that could be computed
    result_t result; // the activations of the answer
#ifdef INTRANSIT_RAW_BITS
    raw_t raw; // the activations once more, never on the wire
#endif
#endif
    permitted_t permitted;
    partial_t partial;
    refusal_t refusal;
    scratch_t scratch; // what is computed in; valid once a model is found, never on the wire
}

struct metadata_t {
}

#endif
