// SPDX-License-Identifier: Apache-2.0
// What every program for v1model has in common: parser, classification, answer, forwarding, deparser. A generated
// program defines its shapes and its layers first and includes this file last; the example stands in for one.
#ifndef INTRANSIT_PIPELINE_P4
#define INTRANSIT_PIPELINE_P4

#ifndef INTRANSIT_PROGRAM
#include "intransit_example.p4"
#endif

// What depends on a shape of layers stands in files of its own, intransit_shape_*.p4. A program of several shapes brings files that
// include them once a shape, each time under other names; else they are included once.
#ifndef INTRANSIT_SHAPES
#define INTRANSIT_SHAPES INTRANSIT_PART
#define INTRANSIT_REQUESTS INTRANSIT_PART
#define INTRANSIT_TAKEN hdr.activations.isValid()
#define INTRANSIT_BEGINS_HERE (hdr.intransit.next_layer == INTRANSIT_FIRST_LAYER)
#define INTRANSIT_EMIT_SHAPES packet.emit(hdr.activations); packet.emit(hdr.result);
#define INTRANSIT_BEGIN_SHAPE
#define INTRANSIT_END_SHAPE
#endif

const bit<16> ETHERTYPE_IPV4 = 0x0800;
const bit<8> PROTOCOL_UDP = 17;

// Lengths in bytes, from the beginning of the frame or of the header named.
const bit<16> ETHERNET_BYTES = 14;
const bit<16> IPV4_BYTES = 20;
const bit<16> UDP_BYTES = 8;
const bit<16> LEAST_UDP_LENGTH = UDP_BYTES + INTRANSIT_HEADER_BYTES;
const bit<32> OUTER_BYTES = (bit<32>)(ETHERNET_BYTES + IPV4_BYTES + UDP_BYTES);

// What follows from a shape is expanded where it is used: a program may have several.
#define REQUEST_UDP_LENGTH (LEAST_UDP_LENGTH + INTRANSIT_INPUTS)
#define ANSWER_UDP_LENGTH (LEAST_UDP_LENGTH + INTRANSIT_OUTPUTS)
#define REQUEST_IPV4_LENGTH (IPV4_BYTES + REQUEST_UDP_LENGTH)
#define ANSWER_IPV4_LENGTH (IPV4_BYTES + ANSWER_UDP_LENGTH)
#define REQUEST_BYTES ((bit<32>)(ETHERNET_BYTES + REQUEST_IPV4_LENGTH))
#define ANSWER_BYTES ((bit<32>)(ETHERNET_BYTES + ANSWER_IPV4_LENGTH))

// What the answer's length adds to the one's complement sum of the IPv4 header: new - old, folded to 16 bits.
#define IPV4_CHANGE_UNFOLDED ((bit<17>)(~REQUEST_IPV4_LENGTH) + (bit<17>)ANSWER_IPV4_LENGTH)
#define IPV4_CHANGE ((IPV4_CHANGE_UNFOLDED & 0xffff) + (IPV4_CHANGE_UNFOLDED >> 16))

// The time to live is the high byte of its 16-bit word: one less, in one's complement.
const bit<17> TTL_CHANGE = 0xfeff;

// The flag of unsure requests, as what it adds to a one's complement sum.
const bit<17> UNSURE_CHANGE = (bit<17>)INTRANSIT_FLAG_UNSURE;

// One more in a slot's counter, once a packet. Its index is made where the slot's was: p4c keeps a field of metadata for each index
// that is an expression, and makes one of this, too, unless the header is validated in between.
#define COUNT_OUTCOME(outcome) \
    hdr.scratch.cell = hdr.scratch.cell * INTRANSIT_SLOT_OUTCOMES + outcome; \
    hdr.scratch.setValid(); \
    inferences.count(hdr.scratch.cell)

// Of a meter, as BMv2 has colours.
const bit<8> COLOUR_RED = 2;

// BMv2's port of no return.
const bit<9> DROP_PORT = 511;

// One's complement (RFC 1624): the checksum after its header's sum has grown by `change`, which is ~(~checksum + change) with
// the carry brought round: a difference whose borrow is. One that was wrong stays wrong.
#define CHECKSUM_AFTER(checksum, change) \
    (bit<16>)(((bit<17>)checksum - change) - (((bit<17>)checksum - change) >> 16))

// What the entry of a model must say to be one for this program.
#define LAYERS (INTRANSIT_FIRST_LAYER ++ INTRANSIT_NEXT_LAYER ++ INTRANSIT_LAYER_COUNT)

// The last layer's output is the result; any other goes on as a request.
#define ANSWER_KIND \
    (INTRANSIT_NEXT_LAYER == INTRANSIT_LAYER_COUNT ? INTRANSIT_KIND_RESULT : INTRANSIT_KIND_REQUEST)

// What is the same in every request, and in every answer: protocol, UDP length (in the pseudo-header too), some of the
// header's fields, fragment 0 of 1.
#define SUM(field) ((intransit_sum_t)field)
#define REQUEST_SUM(field) ((intransit_request_sum_t)field)
#define SUM_OF_CONSTANTS(type, udp_length, kind, next_layer, element, elements) \
    ((type)PROTOCOL_UDP + 2 * (type)udp_length + (type)INTRANSIT_MAGIC + 256 * (type)INTRANSIT_HEADER_VERSION \
        + (type)kind + 256 * (type)next_layer + (type)INTRANSIT_LAYER_COUNT + 256 * (type)element + (type)elements + 1)
#define REQUEST_CONSTANTS SUM_OF_CONSTANTS(intransit_request_sum_t, REQUEST_UDP_LENGTH, \
    INTRANSIT_KIND_REQUEST, INTRANSIT_FIRST_LAYER, INTRANSIT_INPUT_ELEMENT, INTRANSIT_INPUTS)
#define ANSWER_CONSTANTS SUM_OF_CONSTANTS(intransit_sum_t, ANSWER_UDP_LENGTH, \
    ANSWER_KIND, INTRANSIT_NEXT_LAYER, INTRANSIT_OUTPUT_ELEMENT, INTRANSIT_OUTPUTS)
#define PSEUDO_CONSTANTS ((intransit_sum_t)PROTOCOL_UDP + (intransit_sum_t)REQUEST_UDP_LENGTH + 0xffff)

// RFC 768: over the pseudo-header, the header and the payload. A one's complement sum of 16-bit words is the number itself
// modulo 2^16 - 1, so fields of any width are added up as they are, where they end on an even byte. This is what a request and
// its answer have in common.
#define SUM_OF_FIELDS(type) \
    ((((type)hdr.ipv4.source + (type)hdr.ipv4.destination) + ((type)hdr.udp.source + (type)hdr.udp.destination)) \
        + (((type)hdr.intransit.flags + (type)hdr.intransit.model_id) + (type)hdr.intransit.trust_zone) \
        + (((type)hdr.intransit.job_id + (type)hdr.intransit.sequence) + (type)hdr.intransit.reserved))

// Whether a sum is a multiple of 0xffff, which a right one is. `ones`, a one in each word of 16 bits, times 0xffff is the
// largest number of the type, -1; so its negative is the inverse of 0xffff, and brings the multiples to 0, 1, ... `ones`.
#define IS_MULTIPLE(sum, ones) ((sum) * (-ones) <= ones)

parser IntransitParser(
    packet_in packet,
    out headers_t hdr,
    inout metadata_t meta,
    inout standard_metadata_t standard
) {
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
        transition select(hdr.udp.destination) {
            INTRANSIT_PORT: inference;
            default: accept;
        }
    }

    // The activations are taken out only of what is for this device: it costs the more the more there are.
    state inference {
        packet.extract(hdr.intransit);
        transition select(
            hdr.intransit.magic,
            hdr.intransit.header_version,
            hdr.intransit.kind,
            hdr.intransit.next_layer,
            hdr.intransit.element_type,
            hdr.intransit.element_count
        ) {
#define INTRANSIT_PART "intransit_shape_select.p4"
#include INTRANSIT_REQUESTS
#undef INTRANSIT_PART
            default: accept;
        }
    }

#define INTRANSIT_PART "intransit_shape_parser.p4"
#include INTRANSIT_REQUESTS
#undef INTRANSIT_PART
}

control NoChecksum(inout headers_t hdr, inout metadata_t meta) {
    apply {
    }
}

control IntransitIngress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    @id(INTRANSIT_ID_OUTCOMES)
    @name(".outcomes")
    counter(INTRANSIT_OUTCOMES, CounterType.packets) outcomes;

    // Of the version in each slot, as the outcomes stand side by side there.
    @id(INTRANSIT_ID_INFERENCES)
    @name(".inferences")
    counter(INTRANSIT_SIZE_INFERENCES, CounterType.packets) inferences;

    // Inferences that the version in a slot may make: what is red is beyond. Without rates nothing is.
    @id(INTRANSIT_ID_BUDGETS)
    @name(".budgets")
    meter(INTRANSIT_SIZE_BUDGETS, MeterType.packets) budgets;

    @id(INTRANSIT_ID_ABSENT)
    @name(".absent")
    action absent() {
    }

    @id(INTRANSIT_ID_HOLD)
    @name(".hold")
    action hold(
        bit<16> slot,
        bit<16> version,
        bit<8> first_layer,
        bit<8> next_layer,
        bit<8> layer_count,
        bit<8> threshold
    ) {
        hdr.scratch.setValid();
        hdr.scratch.slot = slot;
        hdr.scratch.cell = (bit<32>)slot[7:0]; // BMv2 does not look whether there is one: an entry may name any slot
        hdr.scratch.version = version;
        hdr.scratch.layers = first_layer ++ next_layer ++ layer_count;
        hdr.scratch.threshold = threshold;
    }

    // Model and version -> slot of the weights, and the layers that are computed here. Version 0 is the current one.
    @id(INTRANSIT_ID_MODELS)
    @name(".models")
    table models {
        key = {
            hdr.intransit.model_id: exact @name("model_id");
            hdr.intransit.model_version: exact @name("model_version");
        }
        actions = {
            hold;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_MODELS;
    }

    @id(INTRANSIT_ID_HELD)
    @name(".held")
    action held() {
    }

    // Models of which some version is here: tells an unknown version from an unknown model.
    @id(INTRANSIT_ID_MODEL_IDS)
    @name(".model_ids")
    table model_ids {
        key = {
            hdr.intransit.model_id: exact @name("model_id");
        }
        actions = {
            held;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_MODEL_IDS;
    }

    @id(INTRANSIT_ID_PERMIT)
    @name(".permit")
    action permit() {
        hdr.permitted.setValid();
    }

    // Trust zones for which this device may compute; 0, any, it always may.
    @id(INTRANSIT_ID_ZONES)
    @name(".zones")
    table zones {
        key = {
            hdr.intransit.trust_zone: exact @name("trust_zone");
        }
        actions = {
            permit;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_ZONES;
    }

    @id(INTRANSIT_ID_CROSS)
    @name(".cross")
    action cross(bit<9> port) {
        standard.egress_spec = port;
    }

    @id(INTRANSIT_ID_ROUTE)
    @name(".route")
    action route(bit<48> source_mac, bit<48> destination_mac, bit<9> port) {
        // Of 0 and 1, two less has all bits above the eighth: the port becomes that of no return.
        standard.egress_spec = port | ((bit<17>)hdr.ipv4.ttl - 2)[16:8];
        hdr.ethernet.source = source_mac;
        hdr.ethernet.destination = destination_mac;
        hdr.ipv4.ttl = hdr.ipv4.ttl - 1;
        hdr.ipv4.checksum = CHECKSUM_AFTER(hdr.ipv4.checksum, TTL_CHANGE);
    }

    @id(INTRANSIT_ID_DROP)
    @name(".drop")
    action drop() {
        mark_to_drop(standard);
    }

    // Where packets of a port go, as they are: a device that stands in the wire.
    @id(INTRANSIT_ID_PORTS)
    @name(".ports")
    table ports {
        key = {
            standard.ingress_port: exact @name("ingress_port");
        }
        actions = {
            cross;
            drop;
        }
        const default_action = drop();
        size = INTRANSIT_SIZE_PORTS;
    }

    // Ordinary forwarding, which goes before the ports'.
    @id(INTRANSIT_ID_IPV4_LPM)
    @name(".ipv4_lpm")
    table ipv4_lpm {
        key = {
            hdr.ipv4.destination: lpm @name("destination");
        }
        actions = {
            route;
            cross;
            drop;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_IPV4_LPM;
    }

    // Of several that compute it: the shard of a job says which, so a job stays with one.
    @id(INTRANSIT_ID_BALANCE)
    @name(".balance")
    action balance(bit<8> group) {
        hdr.scratch.setValid();
        hdr.scratch.group = group;
        hdr.scratch.shard = INTRANSIT_SHARD_OF(hdr.intransit.job_id);
    }

    // Model and next layer -> the way to a device that computes it. Goes before the destination's.
    @id(INTRANSIT_ID_STEER)
    @name(".steer")
    table steer {
        key = {
            hdr.intransit.model_id: exact @name("model_id");
            hdr.intransit.next_layer: exact @name("next_layer");
        }
        actions = {
            route;
            cross;
            drop;
            balance;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_STEER;
    }

    // Where the requests of a shard of jobs go.
    @id(INTRANSIT_ID_SHARDS)
    @name(".shards")
    table shards {
        key = {
            hdr.intransit.model_id: exact @name("model_id");
            hdr.scratch.group: exact @name("group");
            hdr.scratch.shard: exact @name("shard");
        }
        actions = {
            route;
            cross;
            drop;
            @defaultonly absent;
        }
        const default_action = absent();
        size = INTRANSIT_SIZE_SHARDS;
    }

    // Why a request is not computed here.
    @hidden
    action refuse(bit<8> outcome) {
        hdr.refusal.setValid();
        hdr.refusal.outcome = outcome;
    }

    @hidden
    action tell() {
        outcomes.count((bit<32>)hdr.refusal.outcome);
        digest<refused_request>(1, {
            hdr.refusal.outcome,
            hdr.intransit.model_id,
            hdr.intransit.model_version,
            hdr.intransit.next_layer,
            hdr.intransit.trust_zone,
            hdr.ipv4.source
        });
    }

    // The flag was not set, so its word grows by it.
    @hidden
    action sum_unsure() {
        hdr.udp.checksum = CHECKSUM_AFTER(hdr.udp.checksum, UNSURE_CHANGE);
    }

    // A sum of 0 is sent as its other form: 0 says that there is none.
    @hidden
    action sum_of_zero() {
        hdr.udp.checksum = 0xffff;
    }

    // The checksum is that of the pseudo-header alone: a sender on this host left the rest to its interface.
    @hidden
    action accept_partial() {
        hdr.partial.setValid();
    }

    // Left to another node, as it came.
    @hidden
    action shed() {
        outcomes.count(INTRANSIT_SHED);
        COUNT_OUTCOME(INTRANSIT_OUTCOME_SHED);
    }

    // Back where it came from.
    @hidden
    action turn_round() {
        hdr.scratch.mac = hdr.ethernet.source;
        hdr.scratch.address = hdr.ipv4.source;
        hdr.scratch.port = hdr.udp.source;
        hdr.scratch.setValid(); // else p4c would put the value for the field, though that is overwritten
        hdr.ethernet.source = hdr.ethernet.destination;
        hdr.ethernet.destination = hdr.scratch.mac;
        hdr.ipv4.source = hdr.ipv4.destination;
        hdr.ipv4.destination = hdr.scratch.address;
        hdr.udp.source = hdr.udp.destination;
        hdr.udp.destination = hdr.scratch.port;
        standard.egress_spec = standard.ingress_port;
    }

#define INTRANSIT_PART "intransit_shape_actions.p4"
#include INTRANSIT_SHAPES
#undef INTRANSIT_PART

    apply {
        if (hdr.intransit.isValid()) {
            // Activations are those of a request for this device: the parser has seen to it.
            if (
                INTRANSIT_TAKEN ||
                INTRANSIT_BEGINS_HERE &&
                hdr.intransit.kind == INTRANSIT_KIND_REQUEST &&
                hdr.intransit.magic == INTRANSIT_MAGIC &&
                hdr.intransit.header_version == INTRANSIT_HEADER_VERSION
            ) {
                if (hdr.intransit.trust_zone != 0) {
                    zones.apply();
                }
                if (models.apply().hit) {
#define INTRANSIT_PART "intransit_shape_apply.p4"
#include INTRANSIT_SHAPES
#undef INTRANSIT_PART
                } else if (hdr.udp.length < LEAST_UDP_LENGTH) {
                    refuse((bit<8>)INTRANSIT_TRUNCATED);
                } else if (model_ids.apply().hit) {
                    refuse((bit<8>)INTRANSIT_UNKNOWN_VERSION);
                } else {
                    outcomes.count(INTRANSIT_UNKNOWN_MODEL);
                }
            } else if (hdr.udp.length < LEAST_UDP_LENGTH) {
                refuse((bit<8>)INTRANSIT_TRUNCATED);
            } else if (
                hdr.intransit.magic != INTRANSIT_MAGIC || hdr.intransit.header_version != INTRANSIT_HEADER_VERSION
            ) {
                refuse((bit<8>)INTRANSIT_BAD_MAGIC);
            } else if (hdr.intransit.kind != INTRANSIT_KIND_REQUEST) {
                outcomes.count(INTRANSIT_NOT_REQUEST);
            } else {
                outcomes.count(INTRANSIT_CURSOR_ELSEWHERE); // whatever its model: it is for another device
            }
        } else if (
            !hdr.ipv4.isValid() ||
            standard.packet_length < OUTER_BYTES ||
            hdr.ipv4.version != 4 ||
            hdr.ipv4.protocol != PROTOCOL_UDP
        ) {
            outcomes.count(INTRANSIT_FOREIGN);
        } else if (hdr.ipv4.ihl > 5) {
            outcomes.count(INTRANSIT_IP_OPTIONS);
        } else if (hdr.ipv4.ihl < 5) {
            outcomes.count(INTRANSIT_TRUNCATED);
        } else if (hdr.ipv4.fragment != 0) {
            outcomes.count(INTRANSIT_IP_FRAGMENT);
        } else if (hdr.udp.destination != INTRANSIT_PORT) {
            outcomes.count(INTRANSIT_FOREIGN);
        } else {
            outcomes.count(INTRANSIT_TRUNCATED);
        }
        // In one place: p4c keeps a field of metadata for each field of a digest, and BMv2 clears them for every packet.
        if (hdr.refusal.isValid()) {
            tell();
        }
        // The first that knows a way: whatever comes after need not be looked up.
        if (
            hdr.intransit.isValid() &&
            hdr.intransit.magic == INTRANSIT_MAGIC &&
            (hdr.intransit.kind == INTRANSIT_KIND_REQUEST || hdr.intransit.kind == INTRANSIT_KIND_PROOF)
        ) {
            // A proof goes to the worker that asked for it, which is where its request went.
            switch (steer.apply().action_run) {
                absent: {
                }
                balance: {
                    if (shards.apply().hit) {
                        exit;
                    }
                }
                default: {
                    exit;
                }
            }
        }
        if (hdr.ipv4.isValid()) {
            if (ipv4_lpm.apply().hit) {
                exit;
            }
        }
        ports.apply();
    }
}

control IntransitEgress(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    apply {
    }
}

control IntransitDeparser(packet_out packet, in headers_t hdr) {
    apply {
        packet.emit(hdr.ethernet);
        packet.emit(hdr.ipv4);
        packet.emit(hdr.udp);
        packet.emit(hdr.intransit);
        INTRANSIT_EMIT_SHAPES
    }
}

V1Switch(
    IntransitParser(),
    NoChecksum(),
    IntransitIngress(),
    IntransitEgress(),
    NoChecksum(),
    IntransitDeparser()
) main;

#endif
