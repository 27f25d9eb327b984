"""A client of gRPC's C library asks a worker: DESCRIPTORS ADDRESS ROWS ANSWERS MODEL_FILE. Prints `interop ok`."""

import sys

import grpc

import messages

descriptors, address, rows_file, answers_file, model_file = sys.argv[1:]
service, m = messages.load(descriptors)
channel = grpc.insecure_channel(address)


def call(call_name, /, **fields):
    method = service.methods_by_name[call_name]
    answer = m[method.output_type.name]
    stub = channel.unary_unary(
        f"/{messages.SERVICE}/{call_name}",
        request_serializer=lambda r: r.SerializeToString(),
        response_deserializer=answer.FromString,
    )
    return stub(m[method.input_type.name](**fields), timeout=20)


def refused(code, call_name, /, **fields):
    try:
        call(call_name, **fields)
    except grpc.RpcError as error:
        assert error.code() == code, (error.code(), error.details())
        return error.details()
    raise AssertionError(f"{call_name} was not refused")


rows = open(rows_file, "rb").read()
answers = open(answers_file, "rb").read()
assert call("ServerLive").live and call("ServerReady").ready
assert "model_repository" in call("ServerMetadata").extensions
model = call("ModelMetadata", name="digits-mlp")
(tensor,), (output,) = model.inputs, model.outputs
assert (tensor.datatype, list(tensor.shape), output.datatype) == ("UINT8", [-1, 64], "INT8")
assert call("ModelReady", name="digits-mlp", version="1").ready

described = {"name": tensor.name, "datatype": "UINT8", "shape": [500, 64]}
raw = call("ModelInfer", model_name="digits-mlp", id="a", inputs=[described], raw_input_contents=[rows])
assert raw.id == "a" and raw.model_version == "1" and list(raw.outputs[0].shape) == [500, 10]
assert raw.raw_output_contents[0] == answers

few = dict(described, shape=[3, 64], contents={"uint_contents": list(rows[:192])})
typed = call("ModelInfer", model_name="digits-mlp", inputs=[few])
assert bytes(v & 255 for v in typed.outputs[0].contents.int_contents) == answers[:30]

reals = dict(described, datatype="FP32", shape=[2, 64], contents={"fp32_contents": [0.0] * 128})
real = call("ModelInfer", model_name="digits-mlp", inputs=[reals])
assert real.outputs[0].datatype == "FP32" and len(real.outputs[0].contents.fp32_contents) == 20

bad = grpc.StatusCode.INVALID_ARGUMENT
assert "64" in refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[dict(few, shape=[3, 63])])
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[dict(few, shape=[4, 64])])
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[dict(few, datatype="INT8")])
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[dict(few, name="other")])
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[few], raw_input_contents=[rows[:192]])
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[few, few])
refused(bad, "ModelInfer", model_name="digits-mlp")
refused(bad, "ModelInfer", model_name="digits-mlp", inputs=[few], outputs=[{"name": "what"}])
missing = grpc.StatusCode.NOT_FOUND
assert "digits-mlp" in refused(missing, "ModelMetadata", name="none")
refused(missing, "ModelInfer", model_name="digits-mlp", model_version="9", inputs=[few])
refused(missing, "RepositoryModelUnload", model_name="none")

model_bytes = open(model_file, "rb").read()
call("RepositoryModelLoad", model_name="second", parameters={"file:3/m.onnx": {"bytes_param": model_bytes}})
index = [(e.name, e.version, e.state) for e in call("RepositoryIndex", ready=True).models]
assert index == [("digits-mlp", "1", "READY"), ("second", "3", "READY")], index
again = call("ModelInfer", model_name="second", inputs=[dict(few, name=tensor.name)])
assert again.model_version == "3" and again.outputs[0].contents == typed.outputs[0].contents
refused(bad, "RepositoryModelLoad", model_name="third", parameters={"file:1/m.onnx": {"bytes_param": b"x"}})
refused(bad, "RepositoryModelLoad", model_name="third", parameters={"file:0/m.onnx": {"bytes_param": model_bytes}})
call("RepositoryModelUnload", model_name="second")
assert len(call("RepositoryIndex", ready=True).models) == 1
print("interop ok")
