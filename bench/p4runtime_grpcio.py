"""P4Runtime with grpcio, for comparison, on a line of its own each: seconds, and CPU seconds.

    write ADDRESS UPDATES BATCH
    read ADDRESS TABLE TIMES

UPDATES is a WriteRequest of updates alone. The stream of the other client made election id 1 the primary. Messages are
built at run time from names and numbers, so nothing has to be generated. Writes fill in requests, encode and send them one
after the other, as a plain controller does; reads gather all entries of a table.
"""
import sys
import time

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

what, address = sys.argv[1:3]

U32, I32, U64, I64, BOOL, STR, BYTES, MSG, ENUM = 13, 5, 4, 3, 8, 9, 12, 11, 14
SCHEMA = {
    "Uint128": [("high", 1, U64), ("low", 2, U64)],
    "WriteRequest": [("device_id", 1, U64), ("election_id", 3, MSG, "Uint128"), ("updates", 4, MSG, "Update", True)],
    "WriteResponse": [],
    "ReadRequest": [("device_id", 1, U64), ("entities", 2, MSG, "Entity", True)],
    "ReadResponse": [("entities", 1, MSG, "Entity", True)],
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


def write(channel, path, batch):
    with open(path, "rb") as f:
        source = C["WriteRequest"].FromString(f.read())
    entries = [(u.entity.table_entry.table_id, u.entity.table_entry.match[0].exact.value,
                u.entity.table_entry.action.action.action_id, u.entity.table_entry.action.action.params[0].value)
               for u in source.updates]
    call = channel.unary_unary("/p4.v1.P4Runtime/Write", request_serializer=C["WriteRequest"].SerializeToString,
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
        call(request, timeout=60)
    print(time.perf_counter() - begun, time.process_time() - cpu)


def read(channel, table_id, times):
    call = channel.unary_stream("/p4.v1.P4Runtime/Read", request_serializer=C["ReadRequest"].SerializeToString,
                                response_deserializer=C["ReadResponse"].FromString)
    request = C["ReadRequest"](device_id=1)
    request.entities.add().table_entry.table_id = table_id
    for _ in range(times):
        begun, cpu = time.perf_counter(), time.process_time()
        found = [entity for answer in call(request, timeout=60) for entity in answer.entities]
        print(time.perf_counter() - begun, time.process_time() - cpu, len(found))


options = [("grpc.max_receive_message_length", -1)]
with grpc.insecure_channel(address, options=options) as open_channel:
    grpc.channel_ready_future(open_channel).result(timeout=10)
    if what == "write":
        write(open_channel, sys.argv[3], int(sys.argv[4]))
    else:
        read(open_channel, int(sys.argv[3]), int(sys.argv[4]))
