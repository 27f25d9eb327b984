// SPDX-License-Identifier: Apache-2.0
// The packet of programs for Tofino that classify flows, and their parsers. Included behind what crosses from ingress to egress.
#ifndef INTRANSIT_TNA_FLOW_P4
#define INTRANSIT_TNA_FLOW_P4

const bit<16> ETHERTYPE_IPV4 = 0x0800;

header ethernet_t {
    bit<48> destination;
    bit<48> source;
    bit<16> ether_type;
}

// Without options: only such packets have flows.
header ipv4_t {
    bit<4> version;
    bit<4> ihl;
    bit<6> dscp;
    bit<2> ecn;
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

header ports_t {
    bit<16> source;
    bit<16> destination;
}

header tcp_t {
    bit<32> sequence;
    bit<32> acknowledgement;
    bit<4> offset;
    bit<4> reserved;
    bit<8> flags;
    bit<16> window;
}

// Never on the wire: it is there where a mark has changed the IPv4 header.
header marked_t {
    bit<8> unused;
}

struct headers_t {
    bridge_t bridge; // from ingress to egress, never on the wire
    ethernet_t ethernet;
    ipv4_t ipv4;
    ports_t ports;
    tcp_t tcp;
    marked_t marked;
}

// Every end says what becomes of the packet; `FLOW_CLASSIFIED` where it has a flow.
parser IntransitFlowFrame(packet_in packet, inout headers_t hdr, inout ingress_metadata_t meta) {
    state start {
        packet.extract(hdr.ethernet);
        transition select(hdr.ethernet.ether_type) {
            ETHERTYPE_IPV4: network;
            default: foreign;
        }
    }
    state network {
        transition select(packet.lookahead<bit<8>>()) {
            0x45: ipv4;
            default: foreign;
        }
    }
    state ipv4 {
        packet.extract(hdr.ipv4);
        // The lowest flag says that more fragments follow.
        transition select(hdr.ipv4.flags, hdr.ipv4.fragment, hdr.ipv4.protocol) {
#ifdef FLOW_TCP
            (0 &&& 1, 0, 6): tcp;
#endif
#ifdef FLOW_UDP
            (0 &&& 1, 0, 17): udp;
#endif
            (0 &&& 1, 0, 4): tunnel;
            (0 &&& 1, 0, 41): tunnel;
            (0 &&& 1, 0, 47): tunnel;
            (0 &&& 1, 0, _): foreign;
            default: fragment;
        }
    }
    state tcp {
        packet.extract(hdr.ports);
        packet.extract(hdr.tcp);
        meta.tcp_flags = hdr.tcp.flags;
        meta.tcp_window = hdr.tcp.window;
        hdr.bridge.outcome = FLOW_CLASSIFIED;
        transition accept;
    }
    state udp {
        packet.extract(hdr.ports);
        meta.tcp_flags = 0;
        meta.tcp_window = 0;
        hdr.bridge.outcome = FLOW_CLASSIFIED;
        transition accept;
    }
    state foreign {
        hdr.bridge.outcome = FLOW_FOREIGN;
        transition accept;
    }
    state fragment {
        hdr.bridge.outcome = FLOW_FRAGMENT;
        transition accept;
    }
    state tunnel {
        hdr.bridge.outcome = FLOW_TUNNEL;
        transition accept;
    }
}

#endif
