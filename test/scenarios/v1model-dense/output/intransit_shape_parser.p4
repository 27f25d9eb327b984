// SPDX-License-Identifier: Apache-2.0
// A state of the parser: takes the activations out of a request that is for one shape.
    state activations {
#ifdef INTRANSIT_RAW_BITS
        // All of them once more as one number, for the checksum: to add up single bytes costs more.
        hdr.raw.setValid();
        hdr.raw.bytes = packet.lookahead<bit<INTRANSIT_RAW_BITS>>();
#endif
        packet.extract(hdr.activations);
        transition accept;
    }
