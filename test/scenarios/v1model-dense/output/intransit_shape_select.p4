// SPDX-License-Identifier: Apache-2.0
// A case of the parser: which requests are for one shape.
            (INTRANSIT_MAGIC, INTRANSIT_HEADER_VERSION, INTRANSIT_KIND_REQUEST, INTRANSIT_FIRST_LAYER,
                INTRANSIT_INPUT_ELEMENT, INTRANSIT_INPUTS): activations;
