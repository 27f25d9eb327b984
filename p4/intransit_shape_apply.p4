// SPDX-License-Identifier: Apache-2.0
// A request that begins where the layers of one shape do, whose model was found: computed, or refused for what is in it.
INTRANSIT_BEGIN_SHAPE
                if (
                    hdr.activations.isValid() &&
                    hdr.scratch.layers == LAYERS &&
                    hdr.udp.length == REQUEST_UDP_LENGTH &&
                    hdr.ipv4.total_length == REQUEST_IPV4_LENGTH &&
                    hdr.intransit.layer_count == INTRANSIT_LAYER_COUNT &&
                    hdr.intransit.fragment_index == 0 &&
                    hdr.intransit.fragment_count == 1 &&
                    (hdr.intransit.flags & INTRANSIT_FLAG_UNSURE) == 0 &&
                    (hdr.intransit.trust_zone == 0 || hdr.permitted.isValid())
                ) {
                    if (hdr.udp.checksum != 0) {
                        if (!IS_MULTIPLE(SUM_OF_FIELDS(intransit_request_sum_t) + REQUEST_SUM(hdr.udp.checksum)
                            + REQUEST_SUM(hdr.intransit.model_version) + (REQUEST_CONSTANTS + INTRANSIT_INPUT_SUM),
                            INTRANSIT_REQUEST_ONES)) {
                            if (IS_MULTIPLE(SUM(hdr.ipv4.source) + SUM(hdr.ipv4.destination) + PSEUDO_CONSTANTS
                                - SUM(hdr.udp.checksum), INTRANSIT_SUM_ONES)) {
                                accept_partial();
                            } else {
                                refuse((bit<8>)INTRANSIT_BAD_CHECKSUM);
                            }
                        }
                    }
                    if (hdr.refusal.isValid()) {
                        COUNT_OUTCOME(INTRANSIT_OUTCOME_REFUSED);
                    } else {
                        budgets.execute_meter(hdr.scratch.cell, hdr.scratch.colour);
                        if (hdr.scratch.colour == COLOUR_RED) {
                            shed();
                        } else {
                            compute.apply(hdr);
                            if (!hdr.result.isValid()) {
                                outcomes.count(INTRANSIT_FAILED);
                                COUNT_OUTCOME(INTRANSIT_OUTCOME_REFUSED);
#ifdef INTRANSIT_MARGIN
                            } else if (INTRANSIT_MARGIN < hdr.scratch.threshold) {
                                leave_unsure();
                                if (hdr.udp.checksum != 0 && !hdr.partial.isValid()) {
                                    sum_unsure();
                                    if (hdr.udp.checksum == 0) {
                                        sum_of_zero();
                                    }
                                }
#endif
                            } else {
                                answer();
                                if (hdr.udp.checksum != 0) {
                                    sum_udp();
                                }
                                if (standard.packet_length > REQUEST_BYTES) {
                                    truncate(ANSWER_BYTES); // the request was padded
                                }
                                if (ANSWER_KIND == INTRANSIT_KIND_RESULT && (hdr.intransit.flags & INTRANSIT_FLAG_TURN_ROUND) != 0) {
                                    turn_round();
                                    exit;
                                }
                            }
                        }
                    }
                } else {
                    if (hdr.udp.length < LEAST_UDP_LENGTH) {
                        refuse((bit<8>)INTRANSIT_TRUNCATED);
#ifdef INTRANSIT_SEVERAL_SHAPES
                    } else if (hdr.intransit.next_layer != INTRANSIT_FIRST_LAYER) {
                        outcomes.count(INTRANSIT_CURSOR_ELSEWHERE);
#endif
                    } else if (hdr.scratch.layers == LAYERS && (hdr.intransit.flags & INTRANSIT_FLAG_UNSURE) != 0) {
                        outcomes.count(INTRANSIT_UNSURE);
                        COUNT_OUTCOME(INTRANSIT_OUTCOME_UNSURE);
                    } else {
                        COUNT_OUTCOME(INTRANSIT_OUTCOME_REFUSED);
                        if (hdr.scratch.layers != LAYERS) {
                            refuse((bit<8>)INTRANSIT_FAILED); // the entry was made for another program
                        } else if (hdr.intransit.fragment_index != 0 || hdr.intransit.fragment_count != 1) {
                            outcomes.count(INTRANSIT_TENSOR_FRAGMENT);
                        } else if (
                            hdr.intransit.layer_count != INTRANSIT_LAYER_COUNT ||
                            hdr.intransit.element_type != INTRANSIT_INPUT_ELEMENT ||
                            hdr.intransit.element_count != INTRANSIT_INPUTS
                        ) {
                            refuse((bit<8>)INTRANSIT_BAD_SHAPE);
                        } else if (standard.packet_length < REQUEST_BYTES || hdr.udp.length < REQUEST_UDP_LENGTH) {
                            refuse((bit<8>)INTRANSIT_TRUNCATED);
                        } else if (hdr.udp.length > REQUEST_UDP_LENGTH) {
                            refuse((bit<8>)INTRANSIT_OVERSIZED);
                        } else if (hdr.ipv4.total_length < REQUEST_IPV4_LENGTH) {
                            refuse((bit<8>)INTRANSIT_TRUNCATED);
                        } else if (hdr.ipv4.total_length > REQUEST_IPV4_LENGTH) {
                            refuse((bit<8>)INTRANSIT_OVERSIZED);
                        } else {
                            refuse((bit<8>)INTRANSIT_ZONE_REFUSED);
                        }
                    }
                }
INTRANSIT_END_SHAPE
