// SPDX-License-Identifier: Apache-2.0
// Made from src/backends/common/table-model.ts by `npm run generate`; do not edit.
#ifndef INTRANSIT_TABLES_P4
#define INTRANSIT_TABLES_P4

#define INTRANSIT_ID_ABSENT 0x01000001
#define INTRANSIT_ID_HOLD 0x01000002
#define INTRANSIT_ID_HELD 0x01000003
#define INTRANSIT_ID_PERMIT 0x01000004
#define INTRANSIT_ID_CROSS 0x01000005
#define INTRANSIT_ID_ROUTE 0x01000006
#define INTRANSIT_ID_DROP 0x01000007
#define INTRANSIT_ID_BALANCE 0x01000009
#define INTRANSIT_ID_NO_WEIGHTS 0x01000008
#define INTRANSIT_ID_MODELS 0x02000001
#define INTRANSIT_ID_MODEL_IDS 0x02000002
#define INTRANSIT_ID_ZONES 0x02000003
#define INTRANSIT_ID_PORTS 0x02000004
#define INTRANSIT_ID_IPV4_LPM 0x02000005
#define INTRANSIT_ID_STEER 0x02000006
#define INTRANSIT_ID_SHARDS 0x02000007
#define INTRANSIT_ID_OUTCOMES 0x12000001
#define INTRANSIT_ID_INFERENCES 0x12000002
#define INTRANSIT_ID_BUDGETS 0x14000002

#define INTRANSIT_SIZE_MODELS 256
#define INTRANSIT_SIZE_MODEL_IDS 256
#define INTRANSIT_SIZE_ZONES 256
#define INTRANSIT_SIZE_PORTS 512
#define INTRANSIT_SIZE_IPV4_LPM 1024
#define INTRANSIT_SIZE_STEER 1024
#define INTRANSIT_SIZE_SHARDS 8192
#define INTRANSIT_SIZE_INFERENCES 1024
#define INTRANSIT_SIZE_BUDGETS 256

// Outcomes of a request for a version that is here, as they stand side by side in a slot of `inferences`.
#define INTRANSIT_OUTCOME_COMPUTED 0
#define INTRANSIT_OUTCOME_UNSURE 1
#define INTRANSIT_OUTCOME_SHED 2
#define INTRANSIT_OUTCOME_REFUSED 3
#define INTRANSIT_SLOT_OUTCOMES 4

const bit<16> INTRANSIT_HEADER_BYTES = 32;

// What is kept of the entry of a model, from the parameters of hold(); and of one that balances.
#define INTRANSIT_HELD_FIELDS bit<16> slot; bit<16> version; bit<24> layers; bit<8> threshold; bit<8> colour; bit<32> cell; bit<8> group; bit<16> shard;

// The shard of a job.
#define INTRANSIT_SHARD_OF(job_id) \
    ((bit<16>)((((job_id) ^ ((job_id) >> 32)) * 64w0x9e3779b97f4a7c15)[63:55]))

// What addresses are kept in while they change places.
#define INTRANSIT_TURN_FIELDS bit<48> mac; bit<32> address; bit<16> port;

// Why a request was refused, and which.
struct refused_request {
    bit<8> outcome;
    bit<16> model_id;
    bit<16> model_version;
    bit<8> next_layer;
    bit<8> trust_zone;
    bit<32> source;
}

#endif
