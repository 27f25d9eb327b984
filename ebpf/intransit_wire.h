/* SPDX-License-Identifier: Apache-2.0 */
/* Made from src/wire/header.ts by `npm run generate`; do not edit. */
#ifndef INTRANSIT_WIRE_H
#define INTRANSIT_WIRE_H

#include <linux/types.h>

#define INTRANSIT_MAGIC 0x49a7
#define INTRANSIT_HEADER_VERSION 1
#define INTRANSIT_DEFAULT_PORT 18858
#define INTRANSIT_KIND_REQUEST 1
#define INTRANSIT_KIND_RESULT 2
#define INTRANSIT_KIND_ERROR 3
#define INTRANSIT_KIND_PROBE 4
#define INTRANSIT_KIND_CHALLENGE 5
#define INTRANSIT_KIND_PROOF 6
#define INTRANSIT_ELEMENT_UINT8 1
#define INTRANSIT_ELEMENT_INT8 2
#define INTRANSIT_ELEMENT_UINT16 3
#define INTRANSIT_ELEMENT_INT16 4
#define INTRANSIT_FLAG_TURN_ROUND 0x1
#define INTRANSIT_FLAG_UNSURE 0x2
#define INTRANSIT_FLAG_WORKER 0x4
#define INTRANSIT_HEADER_BYTES 32

/* Counter of each outcome. */
enum intransit_outcome {
	INTRANSIT_COMPUTED = 0, /* All layers that the device holds were computed */
	INTRANSIT_FOREIGN = 1, /* Not UDP over IPv4 to the inference port */
	INTRANSIT_IP_FRAGMENT = 2, /* An IPv4 fragment: the activations may be elsewhere */
	INTRANSIT_IP_OPTIONS = 3, /* IPv4 header with options */
	INTRANSIT_TRUNCATED = 4, /* Shorter than its own length fields say */
	INTRANSIT_BAD_MAGIC = 5, /* To our port, but without the magic or of another header version */
	INTRANSIT_NOT_REQUEST = 6, /* No request: a result, error, probe, challenge or proof */
	INTRANSIT_UNKNOWN_MODEL = 7, /* The device holds no such model */
	INTRANSIT_UNKNOWN_VERSION = 8, /* The device holds other versions of the model */
	INTRANSIT_CURSOR_ELSEWHERE = 9, /* The next layer is not where this device begins */
	INTRANSIT_BAD_SHAPE = 10, /* Element type, element count or layer count are not those of the model */
	INTRANSIT_OVERSIZED = 11, /* More bytes behind the activations than the header accounts for */
	INTRANSIT_TENSOR_FRAGMENT = 12, /* One part of a tensor that the layer needs whole */
	INTRANSIT_ZONE_REFUSED = 13, /* The device may not compute for this trust zone */
	INTRANSIT_UNSURE = 14, /* The margin of the verdict is below the threshold: left to a larger model */
	INTRANSIT_FAILED = 15, /* The device could not finish, for example for lack of headroom */
	INTRANSIT_BAD_CHECKSUM = 16, /* The UDP checksum does not fit the packet */
	INTRANSIT_SHED = 17, /* The budget of its version is spent: left to another node */
	INTRANSIT_OUTCOMES = 18,
};

struct intransit_header {
	__be16 magic; /* Always 0x49a7; anything else is not ours */
	__u8 header_version; /* Layout of this header: 1 */
	__u8 kind; /* Request, result, error, probe, challenge or proof */
	__be16 flags; /* Bit set, see the flags */
	__be16 model_id; /* Which model; unique in the network */
	__be16 model_version; /* Which weights; a packet is computed by one version from end to end */
	__u8 next_layer; /* The cursor: index of the first layer not yet computed */
	__u8 layer_count; /* Layers of the whole model; the cursor of a result */
	__u8 element_type; /* Type of the activations */
	__u8 trust_zone; /* Zone that a device must be in to compute this packet; 0 is any */
	__be16 element_count; /* Bytes of the activations in this packet; with types of one byte their number */
	__be64 job_id; /* The application's agent, workflow or job; returned as sent */
	__be32 sequence; /* Number of the request within the job; returned as sent */
	__u8 fragment_index; /* Which part of the tensor this is, from 0 */
	__u8 fragment_count; /* Parts of the tensor; 1 is all of it */
	__be16 reserved; /* Zero */
} __attribute__((packed));

#endif
