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
typedef bit<96> intransit_request_sum_t;
const intransit_request_sum_t INTRANSIT_REQUEST_ONES = 96w0x100010001000100010001;
#define INTRANSIT_INPUT_SUM (((((intransit_request_sum_t)hdr.activations.e0 << 8) + (intransit_request_sum_t)hdr.activations.e1) + ((intransit_request_sum_t)hdr.activations.e2 << 8)) + (((intransit_request_sum_t)hdr.activations.e3 + ((intransit_request_sum_t)hdr.activations.e4 << 8)) + (intransit_request_sum_t)hdr.activations.e5))

header activations_t {
    bit<8> e0;
    bit<8> e1;
    bit<8> e2;
    bit<8> e3;
    bit<8> e4;
    bit<8> e5;
}

header result_t {
    bit<24> part0;
}

header scratch_t {
    INTRANSIT_HELD_FIELDS
    INTRANSIT_TURN_FIELDS
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
    // Layer 1: logits
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
        bit<152> ties_0,
        bit<456> l1_start_0,
        bit<456> l1_w0_0_0,
        bit<456> l1_ties_0
    ) {
        hdr.scratch.l0_0 = start_0 + (bit<152>)hdr.activations.e0 * w0_0_0 + ((bit<152>)hdr.activations.e1 * w1_0_0 + (bit<152>)hdr.activations.e2 * w2_0_0) + ((bit<152>)hdr.activations.e3 * w3_0_0 + (bit<152>)hdr.activations.e4 * w4_0_0 + (bit<152>)hdr.activations.e5 * w5_0_0);
        hdr.scratch.setValid();
        hdr.scratch.l0_0 = hdr.scratch.l0_0 - ((hdr.scratch.l0_0 >> 19 & 152w0x1000000040000001000000040000001) * 152w0xfffffff & ties_0);
        hdr.scratch.setValid();
        hdr.scratch.l0_0 = hdr.scratch.l0_0 >> 19 & (hdr.scratch.l0_0 >> 28 & 152w0x1000000040000001000000040000001) * 152w0xff | (hdr.scratch.l0_0 + 152w0x8000000200000008000000200000008000000 >> 29 & 152w0x1000000040000001000000040000001) * 152w0xff;
        hdr.scratch.setValid();
        hdr.scratch.l1_0 = l1_start_0 + (bit<456>)hdr.scratch.l0_0[127:0] * l1_w0_0_0;
        hdr.scratch.setValid();
        hdr.scratch.l1_0 = hdr.scratch.l1_0 - ((hdr.scratch.l1_0 >> 18 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000 ^ 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xfffffff & l1_ties_0);
        hdr.scratch.setValid();
        hdr.scratch.l1_0 = hdr.scratch.l1_0 >> 18 & (hdr.scratch.l1_0 >> 28 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xff | (hdr.scratch.l1_0 + 456w0xc00000000000000000000000000000000000030000000000000000000000000000000000000c000000000000000000000000000000000000 >> 29 & 456w0x1000000000000000000000000000000000000040000000000000000000000000000000000001000000000000000000000000000000) * 456w0xff;
        hdr.scratch.setValid();
        hdr.result.setValid();
        hdr.result.part0 = ((bit<324>)hdr.scratch.l1_0[427:120] * 324w0x10000000000000000000000000000000000000004000000000000000000000000000000000000001)[323:300] ^ 24w0x808080;
    }

    #ifdef INTRANSIT_SHARED_BODIES
    @id(0x01000100)
    @name(".layer_0")
    @noWarn("unused")
    action layer_0_alike() {
    }
    #else
    #define layer_0_alike layer_0
    #endif

    @id(0x02100000)
    @name(".weights_0_0")
    table weights_0_0 {
        actions = {
            layer_0;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100001)
    @name(".weights_0_1")
    table weights_0_1 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100002)
    @name(".weights_0_2")
    table weights_0_2 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100003)
    @name(".weights_0_3")
    table weights_0_3 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100004)
    @name(".weights_0_4")
    table weights_0_4 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100005)
    @name(".weights_0_5")
    table weights_0_5 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100006)
    @name(".weights_0_6")
    table weights_0_6 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100007)
    @name(".weights_0_7")
    table weights_0_7 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100008)
    @name(".weights_0_8")
    table weights_0_8 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x02100009)
    @name(".weights_0_9")
    table weights_0_9 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000a)
    @name(".weights_0_10")
    table weights_0_10 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000b)
    @name(".weights_0_11")
    table weights_0_11 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000c)
    @name(".weights_0_12")
    table weights_0_12 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000d)
    @name(".weights_0_13")
    table weights_0_13 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000e)
    @name(".weights_0_14")
    table weights_0_14 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    @id(0x0210000f)
    @name(".weights_0_15")
    table weights_0_15 {
        actions = {
            layer_0_alike;
            no_weights;
        }
        default_action = no_weights();
        size = 1;
    }

    apply {
        if (hdr.scratch.slot < 1) {
            weights_0_0.apply();
        } else {
            if (hdr.scratch.slot < 2) {
                weights_0_1.apply();
            } else {
                if (hdr.scratch.slot < 16) {
                    if (hdr.scratch.slot < 9) {
                        if (hdr.scratch.slot < 5) {
                            if (hdr.scratch.slot < 3) {
                                weights_0_2.apply();
                            } else {
                                if (hdr.scratch.slot < 4) {
                                    weights_0_3.apply();
                                } else {
                                    weights_0_4.apply();
                                }
                            }
                        } else {
                            if (hdr.scratch.slot < 7) {
                                if (hdr.scratch.slot < 6) {
                                    weights_0_5.apply();
                                } else {
                                    weights_0_6.apply();
                                }
                            } else {
                                if (hdr.scratch.slot < 8) {
                                    weights_0_7.apply();
                                } else {
                                    weights_0_8.apply();
                                }
                            }
                        }
                    } else {
                        if (hdr.scratch.slot < 12) {
                            if (hdr.scratch.slot < 10) {
                                weights_0_9.apply();
                            } else {
                                if (hdr.scratch.slot < 11) {
                                    weights_0_10.apply();
                                } else {
                                    weights_0_11.apply();
                                }
                            }
                        } else {
                            if (hdr.scratch.slot < 14) {
                                if (hdr.scratch.slot < 13) {
                                    weights_0_12.apply();
                                } else {
                                    weights_0_13.apply();
                                }
                            } else {
                                if (hdr.scratch.slot < 15) {
                                    weights_0_14.apply();
                                } else {
                                    weights_0_15.apply();
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#include "intransit_pipeline.p4"
