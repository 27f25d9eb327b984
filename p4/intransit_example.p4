// SPDX-License-Identifier: Apache-2.0
// The smallest program: one layer that returns its one activation. It stands in for a generated program, so that the
// hand-written parts compile alone: p4c-bm2-ss -o /dev/null intransit_pipeline.p4
#ifndef INTRANSIT_EXAMPLE_P4
#define INTRANSIT_EXAMPLE_P4
#define INTRANSIT_PROGRAM

#include <core.p4>
#include <v1model.p4>
#include "intransit_wire.p4"
#include "intransit_tables.p4"

const bit<16> INTRANSIT_PORT = INTRANSIT_DEFAULT_PORT;
const bit<8> INTRANSIT_FIRST_LAYER = 0;
const bit<8> INTRANSIT_NEXT_LAYER = 1;
const bit<8> INTRANSIT_LAYER_COUNT = 1;
const bit<16> INTRANSIT_INPUTS = 1;
const bit<16> INTRANSIT_OUTPUTS = 1;
const bit<8> INTRANSIT_INPUT_ELEMENT = INTRANSIT_ELEMENT_UINT8;
const bit<8> INTRANSIT_OUTPUT_ELEMENT = INTRANSIT_ELEMENT_UINT8;
typedef bit<96> intransit_sum_t;
const intransit_sum_t INTRANSIT_SUM_WORDS = 0x0000ffff0000ffff0000ffff;
const intransit_sum_t INTRANSIT_SUM_LANES = 0x000000010000000100000001;
const intransit_sum_t INTRANSIT_SUM_ONES = 0x000100010001000100010001;
#define INTRANSIT_SUM_TOP 64
#define INTRANSIT_RESULT_SUM ((intransit_sum_t)hdr.result.part0 << 8)
typedef bit<96> intransit_request_sum_t;
const intransit_request_sum_t INTRANSIT_REQUEST_ONES = 0x000100010001000100010001;
#define INTRANSIT_INPUT_SUM ((intransit_request_sum_t)hdr.activations.e0 << 8)

header activations_t {
    bit<8> e0;
}

header result_t {
    bit<8> part0;
}

header scratch_t {
    INTRANSIT_HELD_FIELDS
    INTRANSIT_TURN_FIELDS
    intransit_sum_t sum;
    bit<32> total;
}

#include "intransit_headers.p4"

control IntransitLayers(inout headers_t hdr) {
    @hidden
    action finish() {
        hdr.result.setValid();
        hdr.result.part0 = hdr.activations.e0;
    }

    apply {
        finish();
    }
}

#endif
