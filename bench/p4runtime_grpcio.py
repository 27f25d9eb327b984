"""Writes entries over P4Runtime with grpcio, for comparison: ADDRESS UPDATES BATCH -> seconds, and CPU seconds, on stdout.

UPDATES is a WriteRequest of updates alone. The stream of the other client made election id 1 the primary. Messages are
built at run time from names and numbers, so nothing has to be generated; the time is that of parsing nothing, filling in
requests, encoding and sending them one behind the other, as a plain controller does.
"""
import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

address, path, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])

U32, I32, U64, I64, BOOL, STR, BYTES, MSG, ENUM = 13, 5, 4, 3, 8, 9, 12, 11, 14
SCHEMA = {
    "Uint128": [("high", 1, U64), ("low", 2, U64)],
    "WriteRequest": [("device_id", 1, U64), ("election_id", 3, MSG, "Uint128"), ("updates", 4, MSG, "Update", True)],
    "WriteResponse": [],
    "Update": [("type", 1, I32), ("entity", 2, MSG, "Entity")],
    "Entity": [("table_entry", 2, MSG, "TableEntry")],
    "TableEntry": [("table_id", 1, U32), ("match", 2, MSG, "FieldMatch", True), ("action", 3, MSG, "TableAction")],
    "FieldMatch": [("field_id", 1, U32), ("exact", 2, MSG, "Exact")],
    "Exact": [("value", 1, BYTES)],
    "TableAction": [("action", 1, MSG, "Action")],
    "Action": [("action_id", 1, U32), ("params", 4, MSG, "Param", True)],
    "Param": [("param_id", 2, U32), ("value", 3, BYTES)],
}


def classes():
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="p4.v1", syntax="proto3")
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field in fields:
            label = 3 if len(field) > 4 else 1
            added = message.field.add(name=field[0], number=field[1], type=field[2], label=label)
            if field[2] == MSG:
                added.type_name = ".p4.v1." + field[3]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    # protobuf 3 has a method for it, later ones a function.
    make = getattr(message_factory, "GetMessageClass", None) or message_factory.MessageFactory(pool).GetPrototype
    return {name: make(pool.FindMessageTypeByName("p4.v1." + name)) for name in SCHEMA}


C = classes()
with open(path, "rb") as f:
    source = C["WriteRequest"].FromString(f.read())
entries = [(u.entity.table_entry.table_id, u.entity.table_entry.match[0].exact.value,
            u.entity.table_entry.action.action.action_id, u.entity.table_entry.action.action.params[0].value)
           for u in source.updates]

with grpc.insecure_channel(address) as channel:
    grpc.channel_ready_future(channel).result(timeout=10)
    write = channel.unary_unary("/p4.v1.P4Runtime/Write", request_serializer=C["WriteRequest"].SerializeToString,
                                response_deserializer=C["WriteResponse"].FromString)
    begun, cpu = time.perf_counter(), time.process_time()
    for at in range(0, len(entries), batch):
        request = C["WriteRequest"](device_id=1)
        request.election_id.low = 1
        for table_id, key, action_id, value in entries[at:at + batch]:
            update = request.updates.add(type=1)
            entry = update.entity.table_entry
            entry.table_id = table_id
            entry.match.add(field_id=1).exact.value = key
            entry.action.action.action_id = action_id
            entry.action.action.params.add(param_id=1, value=value)
        write(request, timeout=60)
    print(time.perf_counter() - begun, time.process_time() - cpu)
