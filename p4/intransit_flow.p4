// SPDX-License-Identifier: Apache-2.0
// What every program of flow mode has in common on v1model: headers, parser, what a packet is, deparser. A generated program
// defines flow_t, the state of flows and the layers around it; no byte of a packet is changed but its DSCP, if its class says so.
#ifndef INTRANSIT_FLOW_P4
#define INTRANSIT_FLOW_P4

header ethernet_t {
    bit<96> addresses;
    bit<16> ether_type;
}

header vlan_t {
    bit<4> priority;
    bit<12> id;
    bit<16> ether_type;
}

header ipv4_t {
    bit<4> version;
    bit<4> ihl;
    bit<8> service;
    bit<16> length;
    bit<16> identification;
    bit<2> reserved;
    bit<14> fragment; // more fragments, and the offset
    bit<8> ttl;
    bit<8> protocol;
    bit<16> checksum;
    bit<32> source;
    bit<32> destination;
}

header ipv4_options_t {
    varbit<320> options;
}

header ipv6_t {
    bit<4> version;
    bit<8> service;
    bit<20> label;
    bit<16> payload_length;
    bit<8> next;
    bit<8> ttl;
    bit<128> source;
    bit<128> destination;
}

// The largest has 256 times 8 bytes.
header extension_t {
    bit<8> next;
    bit<8> units;
    varbit<16368> rest;
}

header tcp_t {
    bit<16> source;
    bit<16> destination;
    bit<64> numbers;
    bit<4> offset;
    bit<4> reserved;
    bit<8> flags;
    bit<16> window;
    bit<32> rest;
}

header udp_t {
    bit<16> source;
    bit<16> destination;
    bit<32> rest;
}

header icmp_t {
    bit<8> type;
    bit<8> code;
    bit<16> checksum;
}

#ifdef INTRANSIT_FLOW_ASKS
// What asks a larger model: a request up to its job, as a controller has written it, and what is of the flow.
header question_t {
    bit<INTRANSIT_FLOW_REQUEST_BITS> request;
    bit<64> job;
    bit<32> sequence;
    bit<32> fragment;
    bit<INTRANSIT_FLOW_ASKED_BITS> features;
}

// A result of two bytes, class and margin, behind UDP.
header answer_t {
    bit<128> head;
    bit<64> job;
    bit<32> sequence;
    bit<32> fragment;
    bit<8> class;
    bit<8> margin;
}
// Bytes of its IPv4 packet; and its magic, version and kind.
#define INTRANSIT_FLOW_ANSWER_LENGTH 62
#define INTRANSIT_FLOW_RESULT 0x49a70102
#endif

struct headers_t {
#ifdef INTRANSIT_FLOW_ASKS
    question_t question;
#endif
#ifdef INTRANSIT_FLOW_TEST
    report_t report;
#endif
    ethernet_t ethernet;
    vlan_t[4] vlan;
    ipv4_t ipv4;
    ipv4_options_t options;
    ipv6_t ipv6;
    extension_t[8] extension;
    tcp_t tcp;
    udp_t udp;
    icmp_t icmp;
#ifdef INTRANSIT_FLOW_ASKS
    answer_t answer;
#endif
    // Never on the wire.
    flow_t flow;
    scratch_t scratch;
#ifdef INTRANSIT_FLOW_WORK
    // Of each of several models.
    INTRANSIT_FLOW_WORK
#else
    activations_t activations;
    result_t result;
#endif
}

#ifdef INTRANSIT_FLOW_AT_END
// What a packet keeps that goes through a second time.
#define INTRANSIT_FLOW_AGAIN 1
#define INTRANSIT_FLOW_KEPT @field_list(INTRANSIT_FLOW_AGAIN)
#define INTRANSIT_FLOW_RESUBMITTED 6
#endif

#ifdef INTRANSIT_FLOW_ASKS
// What a clone keeps that becomes a question.
#define INTRANSIT_FLOW_QUESTION 2
#define INTRANSIT_FLOW_ASKED @field_list(INTRANSIT_FLOW_QUESTION)
#define INTRANSIT_FLOW_CLONED 1
#endif

struct metadata_t {
#ifdef INTRANSIT_FLOW_ASKS
    INTRANSIT_FLOW_ASKED bit<1> ask;
    INTRANSIT_FLOW_ASKED bit<INTRANSIT_FLOW_REQUEST_BITS> ask_request;
    INTRANSIT_FLOW_ASKED bit<64> ask_job;
    INTRANSIT_FLOW_ASKED bit<32> ask_sequence;
    INTRANSIT_FLOW_ASKED bit<INTRANSIT_FLOW_ASKED_BITS> ask_features;
    bit<8> ask_below;
    bit<16> ask_session;
    bit<16> ask_secret;
    bit<16> ip_length; // of IPv4
#endif
#ifdef INTRANSIT_FLOW_AT_END
    INTRANSIT_FLOW_KEPT bit<48> time; // of its arrival
    INTRANSIT_FLOW_KEPT bit<9> port;
#ifdef INTRANSIT_FLOW_TEST
    INTRANSIT_FLOW_KEPT bit<17> gone_verdict; // of the flow that it found over
    INTRANSIT_FLOW_KEPT bit<INTRANSIT_FLOW_FEATURE_BITS> gone_features;
#endif
#endif
    bit<16> network; // bytes before the IP header
    bit<16> ip_header; // bytes of the IP header with options or extensions
    bit<16> ether_type; // the last
    bit<8> protocol; // the last
    bit<32> extension; // bits of an extension header
}

// The extension header of the i-th place; `after` is the state of the next place. Only that of authentication counts in fours.
#define INTRANSIT_UNITS ((bit<32>)packet.lookahead<bit<16>>()[7:0])
#define INTRANSIT_TRANSPORT 6: tcp; 17: udp; 1: icmp; 58: icmp;
#define INTRANSIT_EXTENSIONS(after) 0: after; 43: after; 60: after; 51: after; 135: after; 139: after; 140: after;
#define INTRANSIT_EXTENSION(i, more) \
    state extension_##i { \
        meta.extension = (meta.protocol == 51 ? (INTRANSIT_UNITS + 2) << 5 : (INTRANSIT_UNITS + 1) << 6); \
        packet.extract(hdr.extension[i], meta.extension - 16); \
        meta.ip_header = meta.ip_header + (bit<16>)(meta.extension >> 3); \
        meta.protocol = hdr.extension[i].next; \
        transition select(meta.protocol) { more INTRANSIT_TRANSPORT default: accept; } \
    }
#define INTRANSIT_TYPES 0x0800: ipv4; 0x86dd: ipv6;

parser FlowParser(
    packet_in packet,
    out headers_t hdr,
    inout metadata_t meta,
    inout standard_metadata_t standard
) {
    state start {
        packet.extract(hdr.ethernet);
        meta.network = 14;
        meta.ether_type = hdr.ethernet.ether_type;
        transition select(meta.ether_type) {
            0x8100: vlan_0; 0x88a8: vlan_0; 0x9100: vlan_0;
            INTRANSIT_TYPES
            default: accept;
        }
    }

#define INTRANSIT_VLAN(i, more) \
    state vlan_##i { \
        packet.extract(hdr.vlan[i]); \
        meta.network = meta.network + 4; \
        meta.ether_type = hdr.vlan[i].ether_type; \
        transition select(meta.ether_type) { more INTRANSIT_TYPES default: accept; } \
    }
    INTRANSIT_VLAN(0, 0x8100: vlan_1; 0x88a8: vlan_1; 0x9100: vlan_1;)
    INTRANSIT_VLAN(1, 0x8100: vlan_2; 0x88a8: vlan_2; 0x9100: vlan_2;)
    INTRANSIT_VLAN(2, 0x8100: vlan_3; 0x88a8: vlan_3; 0x9100: vlan_3;)
    INTRANSIT_VLAN(3, )

    state ipv4 {
        packet.extract(hdr.ipv4);
        meta.ip_header = (bit<16>)hdr.ipv4.ihl << 2;
        meta.protocol = hdr.ipv4.protocol;
#ifdef INTRANSIT_FLOW_ASKS
        meta.ip_length = hdr.ipv4.length;
#endif
        transition select(hdr.ipv4.ihl) {
            0 .. 4: accept;
            5: ipv4_transport;
            default: ipv4_options;
        }
    }

    state ipv4_options {
        packet.extract(hdr.options, ((bit<32>)hdr.ipv4.ihl << 5) - 160);
        transition ipv4_transport;
    }

    // Of a fragment what follows is no header.
    state ipv4_transport {
        transition select(hdr.ipv4.fragment, hdr.ipv4.protocol) {
            (0, 6): tcp;
            (0, 17): udp;
            (0, 1): icmp;
            (0, 58): icmp;
            default: accept;
        }
    }

    state ipv6 {
        packet.extract(hdr.ipv6);
        meta.ip_header = 40;
        meta.protocol = hdr.ipv6.next;
        transition select(meta.protocol) {
            INTRANSIT_EXTENSIONS(extension_0)
            INTRANSIT_TRANSPORT
            default: accept;
        }
    }

    INTRANSIT_EXTENSION(0, INTRANSIT_EXTENSIONS(extension_1))
    INTRANSIT_EXTENSION(1, INTRANSIT_EXTENSIONS(extension_2))
    INTRANSIT_EXTENSION(2, INTRANSIT_EXTENSIONS(extension_3))
    INTRANSIT_EXTENSION(3, INTRANSIT_EXTENSIONS(extension_4))
    INTRANSIT_EXTENSION(4, INTRANSIT_EXTENSIONS(extension_5))
    INTRANSIT_EXTENSION(5, INTRANSIT_EXTENSIONS(extension_6))
    INTRANSIT_EXTENSION(6, INTRANSIT_EXTENSIONS(extension_7))
    INTRANSIT_EXTENSION(7, )

    state tcp {
        packet.extract(hdr.tcp);
        transition accept;
    }

    state udp {
        packet.extract(hdr.udp);
#ifdef INTRANSIT_FLOW_ASKS
        transition select(meta.ip_length, meta.ip_header) {
            (INTRANSIT_FLOW_ANSWER_LENGTH, 20): perhaps_answer;
            default: accept;
        }
    }

    // A frame that is shorter than its IP header says is damaged in any case.
    state perhaps_answer {
        transition select(packet.lookahead<bit<32>>()) {
            INTRANSIT_FLOW_RESULT: answer;
            default: accept;
        }
    }

    state answer {
        packet.extract(hdr.answer);
#endif
        transition accept;
    }

    state icmp {
        packet.extract(hdr.icmp);
        transition accept;
    }
}

// What a packet is: INTRANSIT_FLOW_CLASSIFIED to go on, or why it has no flow. The order is that of the reference.
control FlowPacket(
    inout headers_t hdr,
    inout metadata_t meta,
    in standard_metadata_t standard,
    out bit<8> outcome
) {
    bit<32> room;
    bit<32> fixed;

    apply {
        outcome = INTRANSIT_FLOW_CLASSIFIED;
        fixed = 0;
        room = standard.packet_length - (bit<32>)meta.network;
        if (meta.ether_type == 0x8100 || meta.ether_type == 0x88a8 || meta.ether_type == 0x9100) {
            outcome = hdr.vlan[3].isValid() ? INTRANSIT_FLOW_FOREIGN : INTRANSIT_FLOW_DAMAGED;
        } else if (standard.parser_error != error.NoError) {
            outcome = INTRANSIT_FLOW_DAMAGED;
        } else if (hdr.ipv4.isValid()) {
            if (hdr.ipv4.version != 4 || hdr.ipv4.ihl < 5 || hdr.ipv4.length < meta.ip_header
                || (bit<32>)hdr.ipv4.length > room) {
                outcome = INTRANSIT_FLOW_DAMAGED;
            } else if (hdr.ipv4.fragment != 0) {
                outcome = INTRANSIT_FLOW_FRAGMENT;
            }
            room = (bit<32>)hdr.ipv4.length - (bit<32>)meta.ip_header;
        } else if (hdr.ipv6.isValid()) {
            if (hdr.ipv6.version != 6 || (bit<32>)hdr.ipv6.payload_length + 40 > room
                || (bit<32>)meta.ip_header > (bit<32>)hdr.ipv6.payload_length + 40) {
                outcome = INTRANSIT_FLOW_DAMAGED;
            } else if (meta.protocol == 44) {
                outcome = INTRANSIT_FLOW_FRAGMENT;
            }
            room = (bit<32>)hdr.ipv6.payload_length + 40 - (bit<32>)meta.ip_header;
        } else {
            outcome = INTRANSIT_FLOW_FOREIGN;
        }
        if (outcome == INTRANSIT_FLOW_CLASSIFIED) {
            if (hdr.tcp.isValid()) {
                fixed = (bit<32>)hdr.tcp.offset << 2;
                if (room < 20 || fixed < 20 || fixed > room) {
                    outcome = INTRANSIT_FLOW_DAMAGED;
                }
            } else if (hdr.udp.isValid()) {
                fixed = 8;
                if (room < 8) {
                    outcome = INTRANSIT_FLOW_DAMAGED;
                }
            } else if (hdr.icmp.isValid()) {
                fixed = 4;
                if (room < 4) {
                    outcome = INTRANSIT_FLOW_DAMAGED;
                }
            } else if (meta.protocol == 4 || meta.protocol == 41 || meta.protocol == 47) {
                outcome = INTRANSIT_FLOW_TUNNEL;
            } else {
                outcome = INTRANSIT_FLOW_FOREIGN;
            }
        }
        hdr.flow.setValid();
        hdr.flow.payload_length = (bit<64>)(room - fixed);
    }
}

// Sets the DSCP; the checksum of IPv4 follows by RFC 1624, so that one that was wrong stays wrong.
control FlowMark(inout headers_t hdr, in bit<6> dscp) {
    bit<16> old;
    bit<32> sum;

    apply {
        if (hdr.ipv6.isValid()) {
            hdr.ipv6.service = dscp ++ hdr.ipv6.service[1:0];
        } else if (hdr.ipv4.service[7:2] != dscp) {
            old = hdr.ipv4.version ++ hdr.ipv4.ihl ++ hdr.ipv4.service;
            hdr.ipv4.service = dscp ++ hdr.ipv4.service[1:0];
            sum = (bit<32>)(~hdr.ipv4.checksum) + (bit<32>)(~old)
                + (bit<32>)(hdr.ipv4.version ++ hdr.ipv4.ihl ++ hdr.ipv4.service);
            sum = (sum & 0xffff) + (sum >> 16);
            sum = (sum & 0xffff) + (sum >> 16);
            hdr.ipv4.checksum = ~sum[15:0];
        }
    }
}

control FlowNoChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
    }
}

control FlowEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
#ifdef INTRANSIT_FLOW_ASKS
        if (standard.instance_type == INTRANSIT_FLOW_CLONED && meta.ask == 1) {
            hdr.question.setValid();
            hdr.question.request = meta.ask_request;
            hdr.question.job = meta.ask_job;
            hdr.question.sequence = meta.ask_sequence;
            hdr.question.fragment = 0x00010000; // one of one
            hdr.question.features = meta.ask_features;
            // Behind it the packet stands as it came, until it is cut.
            truncate(INTRANSIT_FLOW_ASKED_BYTES);
        }
#endif
    }
}

control FlowDeparser(packet_out packet, in headers_t hdr) {
    apply {
#ifdef INTRANSIT_FLOW_ASKS
        packet.emit(hdr.question);
#endif
#ifdef INTRANSIT_FLOW_TEST
        packet.emit(hdr.report);
#endif
        packet.emit(hdr.ethernet);
        packet.emit(hdr.vlan);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.options);
        packet.emit(hdr.ipv6);
        packet.emit(hdr.extension);
        packet.emit(hdr.tcp);
        packet.emit(hdr.udp);
        packet.emit(hdr.icmp);
#ifdef INTRANSIT_FLOW_ASKS
        packet.emit(hdr.answer);
#endif
    }
}

#endif
