// SPDX-License-Identifier: Apache-2.0
// Layers 0..2 of two-layers. Made by intransit; do not edit.
#define INTRANSIT_PROGRAM

#include <core.p4>
#include <v1model.p4>
#include "intransit_wire.p4"
#include "intransit_tables.p4"

const bit<16> INTRANSIT_PORT = 18858;
const bit<8> INTRANSIT_FIRST_LAYER = 0;
const bit<8> INTRANSIT_NEXT_LAYER = 2;
const bit<8> INTRANSIT_LAYER_COUNT = 2;
const bit<16> INTRANSIT_INPUTS = 6;
const bit<16> INTRANSIT_OUTPUTS = 3;
const bit<8> INTRANSIT_INPUT_ELEMENT = INTRANSIT_ELEMENT_UINT8;
const bit<8> INTRANSIT_OUTPUT_ELEMENT = INTRANSIT_ELEMENT_INT8;

typedef bit<96> intransit_sum_t;
const intransit_sum_t INTRANSIT_SUM_WORDS = 96w0xffff0000ffff0000ffff;
const intransit_sum_t INTRANSIT_SUM_LANES = 96w0x10000000100000001;
const intransit_sum_t INTRANSIT_SUM_ONES = 96w0x100010001000100010001;
#define INTRANSIT_SUM_TOP 64
#define INTRANSIT_RESULT_SUM (((intransit_sum_t)hdr.result.part0 << 8))
#define INTRANSIT_RAW_BITS 48
typedef bit<96> intransit_request_sum_t;
const intransit_request_sum_t INTRANSIT_REQUEST_ONES = 96w0x100010001000100010001;
#define INTRANSIT_INPUT_SUM ((intransit_request_sum_t)hdr.raw.bytes)

header activations_t {
    bit<8> e0;
    bit<8> e1;
    bit<8> e2;
    bit<8> e3;
    bit<8> e4;
    bit<8> e5;
}

header raw_t {
    bit<48> bytes;
}

header result_t {
    bit<24> part0;
}

header scratch_t {
    INTRANSIT_HELD_FIELDS
    intransit_sum_t sum;
    bit<32> total;
    bit<152> l0_0;
    bit<456> l1_0;
}

#include "intransit_headers.p4"

control IntransitLayers(inout headers_t hdr) {
    @id(INTRANSIT_ID_NO_WEIGHTS)
    @name(".no_weights")
    action no_weights() {
    }

    // Layer 0: hidden
    @id(0x01000100)
    @name(".layer_0")
    action layer_0(
        bit<152> start_0,
        bit<152> w0_0_0,
        bit<152> w1_0_0,
        bit<152> w2_0_0,
        bit<152> w3_0_0,
        bit<152> w4_0_0,
        bit<152> w5_0_0,
        bit<152> ties_0
    ) {
        hdr.scratch.l0_0 = start_0 + (bit<152>)hdr.activations.e0 * w0_0_0 + ((bit<152>)hdr.activations.e1 * w1_0_0 + (bit<152>)hdr.activations.e2 * w2_0_0) + ((bit<152>)hdr.activations.e3 * w3_0_0 + (bit<152>)hdr.activations.e4 * w4_0_0 + (bit<152>)hdr.activations.e5 * w5_0_0);
        hdr.scratch.setValid();
        hdr.scratch.l0_0 = hdr.scratch.l0_0 - ((hdr.scratch.l0_0 >> 19 & 152w0x1000000040000001000000040000001) * 152w0xfffffff & ties_0);
        hdr.scratch.setValid();
        hdr.scratch.l0_0 = hdr.scratch.l0_0 >> 19 & (hdr.scratch.l0_0 >> 28 & 152w0x1000000040000001000000040000001) * 152w0xff | (hdr.scratch.l0_0 + 152w0x8000000200000008000000200000008000000 >> 29 & 152w0x1000000040000001000000040000001) * 152w0xff;
        hdr.scratch.setValid();
    }

    @id(0x02000100)
    @name(".weights_0")
    table weights_0 {
        key = {
            hdr.scratch.slot: exact @name("slot");
        }
        actions = {
            layer_0;
            @defaultonly no_weights;
        }
        const default_action = no_weights();
        size = 16;
    }

    // Layer 1: logits
    @id(0x01000101)
    @name(".layer_1")
    action layer_1(
        bit<456> start_0,
        bit<456> w0_0_0,
        bit<456> ties_0
    ) {
        hdr.scratch.l1_0 = start_0 + (bit<456>)hdr.scratch.l0_0[127:0] * w0_0_0;
        hdr.scratch.setValid();
        hdr.scratch.l1_0 = hdr.scratch.l1_0 - ((hdr.scratch.l1_0 >> 18 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000 ^ 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xfffffff & ties_0);
        hdr.scratch.setValid();
        hdr.scratch.l1_0 = hdr.scratch.l1_0 >> 18 & (hdr.scratch.l1_0 >> 28 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xff | (hdr.scratch.l1_0 + 456w0xc00000000000000000000000000000000000030000000000000000000000000000000000000c000000000000000000000000000000000000 >> 29 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xff;
        hdr.scratch.setValid();
        hdr.result.setValid();
        hdr.result.part0 = ((bit<324>)hdr.scratch.l1_0[427:120] * 324w0x10000000000000000000000000000000000000004000000000000000000000000000000000000001)[323:300] ^ 24w0x808080;
    }

    @id(0x02000101)
    @name(".weights_1")
    table weights_1 {
        key = {
            hdr.scratch.slot: exact @name("slot");
        }
        actions = {
            layer_1;
            @defaultonly no_weights;
        }
        const default_action = no_weights();
        size = 16;
    }

    apply {
        if (weights_0.apply().hit) {
            weights_1.apply();
        }
    }
}

#include "intransit_pipeline.p4"
