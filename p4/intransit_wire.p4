// SPDX-License-Identifier: Apache-2.0
// Made from src/wire/header.ts by `npm run generate`; do not edit.
#ifndef INTRANSIT_WIRE_P4
#define INTRANSIT_WIRE_P4

const bit<16> INTRANSIT_MAGIC = 0x49a7;
const bit<8> INTRANSIT_HEADER_VERSION = 1;
const bit<16> INTRANSIT_DEFAULT_PORT = 18858;
const bit<8> INTRANSIT_KIND_REQUEST = 1;
const bit<8> INTRANSIT_KIND_RESULT = 2;
const bit<8> INTRANSIT_KIND_ERROR = 3;
const bit<8> INTRANSIT_KIND_PROBE = 4;
const bit<8> INTRANSIT_KIND_CHALLENGE = 5;
const bit<8> INTRANSIT_KIND_PROOF = 6;
const bit<8> INTRANSIT_ELEMENT_UINT8 = 1;
const bit<8> INTRANSIT_ELEMENT_INT8 = 2;
const bit<8> INTRANSIT_ELEMENT_UINT16 = 3;
const bit<8> INTRANSIT_ELEMENT_INT16 = 4;
const bit<16> INTRANSIT_FLAG_TURN_ROUND = 0x1;
const bit<16> INTRANSIT_FLAG_UNSURE = 0x2;
const bit<16> INTRANSIT_FLAG_WORKER = 0x4;

// Counter of each outcome.
const bit<32> INTRANSIT_COMPUTED = 0; // All layers that the device holds were computed
const bit<32> INTRANSIT_FOREIGN = 1; // Not UDP over IPv4 to the inference port
const bit<32> INTRANSIT_IP_FRAGMENT = 2; // An IPv4 fragment: the activations may be elsewhere
const bit<32> INTRANSIT_IP_OPTIONS = 3; // IPv4 header with options
const bit<32> INTRANSIT_TRUNCATED = 4; // Shorter than its own length fields say
const bit<32> INTRANSIT_BAD_MAGIC = 5; // To our port, but without the magic or of another header version
const bit<32> INTRANSIT_NOT_REQUEST = 6; // No request: a result, error, probe, challenge or proof
const bit<32> INTRANSIT_UNKNOWN_MODEL = 7; // The device holds no such model
const bit<32> INTRANSIT_UNKNOWN_VERSION = 8; // The device holds other versions of the model
const bit<32> INTRANSIT_CURSOR_ELSEWHERE = 9; // The next layer is not where this device begins
const bit<32> INTRANSIT_BAD_SHAPE = 10; // Element type, element count or layer count are not those of the model
const bit<32> INTRANSIT_OVERSIZED = 11; // More bytes behind the activations than the header accounts for
const bit<32> INTRANSIT_TENSOR_FRAGMENT = 12; // One part of a tensor that the layer needs whole
const bit<32> INTRANSIT_ZONE_REFUSED = 13; // The device may not compute for this trust zone
const bit<32> INTRANSIT_UNSURE = 14; // The margin of the verdict is below the threshold: left to a larger model
const bit<32> INTRANSIT_FAILED = 15; // The device could not finish, for example for lack of headroom
const bit<32> INTRANSIT_BAD_CHECKSUM = 16; // The UDP checksum does not fit the packet
const bit<32> INTRANSIT_SHED = 17; // The budget of its version is spent: left to another node
const bit<32> INTRANSIT_OUTCOMES = 18;

header intransit_header_t {
    bit<16> magic; // Always 0x49a7; anything else is not ours
    bit<8> header_version; // Layout of this header: 1
    bit<8> kind; // Request, result, error, probe, challenge or proof
    bit<16> flags; // Bit set, see the flags
    bit<16> model_id; // Which model; unique in the network
    bit<16> model_version; // Which weights; a packet is computed by one version from end to end
    bit<8> next_layer; // The cursor: index of the first layer not yet computed
    bit<8> layer_count; // Layers of the whole model; the cursor of a result
    bit<8> element_type; // Type of the activations
    bit<8> trust_zone; // Zone that a device must be in to compute this packet; 0 is any
    bit<16> element_count; // Bytes of the activations in this packet; with types of one byte their number
    bit<64> job_id; // The application's agent, workflow or job; returned as sent
    bit<32> sequence; // Number of the request within the job; returned as sent
    bit<8> fragment_index; // Which part of the tensor this is, from 0
    bit<8> fragment_count; // Parts of the tensor; 1 is all of it
    bit<16> reserved; // Zero
}

#endif
