// SPDX-License-Identifier: Apache-2.0
// What is done with a request of one shape: its layers, and what becomes of their output.
    // The verdict is no answer: the input goes on as it came, and says so.
    @hidden
    action leave_unsure() {
        outcomes.count(INTRANSIT_UNSURE);
        COUNT_OUTCOME(INTRANSIT_OUTCOME_UNSURE);
        hdr.result.setInvalid();
        hdr.intransit.flags = hdr.intransit.flags | INTRANSIT_FLAG_UNSURE;
    }

    // The request becomes its answer; the layers have set the result.
    @hidden
    action answer() {
        outcomes.count(INTRANSIT_COMPUTED);
        COUNT_OUTCOME(INTRANSIT_OUTCOME_COMPUTED);
        hdr.activations.setInvalid();
        hdr.intransit.kind = ANSWER_KIND;
        hdr.intransit.model_version = hdr.scratch.version;
        hdr.intransit.next_layer = INTRANSIT_NEXT_LAYER;
        hdr.intransit.element_type = INTRANSIT_OUTPUT_ELEMENT;
        hdr.intransit.element_count = INTRANSIT_OUTPUTS;
        hdr.udp.length = ANSWER_UDP_LENGTH;
        hdr.ipv4.total_length = ANSWER_IPV4_LENGTH;
        hdr.ipv4.checksum = CHECKSUM_AFTER(hdr.ipv4.checksum, IPV4_CHANGE);
    }

    // The words of the sum are added: two by two in lanes of 32 bits, and the lanes by a product that gathers them on top.
    @hidden
    action sum_udp() {
        hdr.scratch.sum = SUM_OF_FIELDS(intransit_sum_t) + SUM(hdr.scratch.version)
            + (ANSWER_CONSTANTS + INTRANSIT_RESULT_SUM);
        hdr.scratch.setValid();
        hdr.scratch.total = (bit<32>)((((hdr.scratch.sum & INTRANSIT_SUM_WORDS)
            + (hdr.scratch.sum >> 16 & INTRANSIT_SUM_WORDS)) * INTRANSIT_SUM_LANES) >> INTRANSIT_SUM_TOP);
        hdr.scratch.setValid();
        // 2 * 0xffff less the sum, folded: the complement, and 0xffff where that is 0.
        hdr.scratch.total = 0x1fffe - ((hdr.scratch.total & 0xffff) + (hdr.scratch.total >> 16));
        hdr.scratch.setValid();
        hdr.udp.checksum = (bit<16>)((hdr.scratch.total & 0xffff) + (hdr.scratch.total >> 16));
    }

    IntransitLayers() compute;
