"""Messages of the protocol, made by protobuf's own library of a file of descriptors."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"


def load(path):
    """Classes of messages by their names."""
    files = descriptor_pb2.FileDescriptorSet()
    with open(path, "rb") as f:
        files.ParseFromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    service = pool.FindServiceByName(SERVICE)
    classes = {}
    for method in service.methods:
        for kind in (method.input_type, method.output_type):
            classes[kind.name] = message_factory.GetMessageClass(kind)
    return service, classes
