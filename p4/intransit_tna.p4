// SPDX-License-Identifier: Apache-2.0
// The packet of programs for Tofino, and what all of their parsers have in common. Included behind the shapes of a model.
#ifndef INTRANSIT_TNA_P4
#define INTRANSIT_TNA_P4

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<8> PROTOCOL_UDP = 17;

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
    bit<3> flags;
    bit<13> fragment;
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

struct headers_t {
    bridge_t bridge; // from ingress to egress, never on the wire
    ethernet_t ethernet;
    ipv4_t ipv4;
    udp_t udp;
    intransit_header_t intransit;
    activations_t activations;
    result_t result;
}

// The frame behind what the chip puts before it; activations are those of a request for this program.
parser IntransitFrame(packet_in packet, inout headers_t hdr) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_IPV4: ipv4;
            default: accept;
        }
    }
    state ipv4 {
        packet.extract(hdr.ipv4);
        transition select(hdr.ipv4.version, hdr.ipv4.ihl, hdr.ipv4.fragment, hdr.ipv4.protocol) {
            (4, 5, 0, PROTOCOL_UDP): udp;
            default: accept;
        }
    }
    state udp {
        packet.extract(hdr.udp);
        transition select(hdr.udp.destination, hdr.udp.length) {
            (INTRANSIT_PORT, REQUEST_UDP_LENGTH): inference;
            default: accept;
        }
    }
    // A state matches four bytes, and none that it has left behind: so the header is looked at before it is extracted.
    state inference {
        transition select(packet.lookahead<bit<32>>()) {
            INTRANSIT_MAGIC ++ INTRANSIT_HEADER_VERSION ++ INTRANSIT_KIND_REQUEST: cursor;
            default: accept;
        }
    }
    state cursor {
        transition select(packet.lookahead<bit<104>>()[23:0]) {
            INTRANSIT_FIRST_LAYER ++ INTRANSIT_LAYER_COUNT ++ INTRANSIT_INPUT_ELEMENT: shape;
            default: accept;
        }
    }
    state shape {
        transition select(packet.lookahead<bit<128>>()[15:0], packet.lookahead<bit<240>>()[7:0]) {
            (INTRANSIT_INPUTS, 1): request;
            default: accept;
        }
    }
    state request {
        packet.extract(hdr.intransit);
        packet.extract(hdr.activations);
        transition accept;
    }
}

#endif
