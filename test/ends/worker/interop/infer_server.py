"""A server of the protocol on ONNX Runtime, over gRPC and plain JSON: DESCRIPTORS NAME=FILE... Prints both ports, then serves."""

import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy
import onnxruntime

import messages

service, m = messages.load(sys.argv[1])
types = {"tensor(uint8)": "UINT8", "tensor(int8)": "INT8", "tensor(float)": "FP32"}
arrays = {"UINT8": numpy.uint8, "INT8": numpy.int8, "FP32": numpy.float32}
sessions = {
    name: onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for name, file in (argument.split("=") for argument in sys.argv[2:])
}


def described(tensor):
    shape = [size if isinstance(size, int) else -1 for size in tensor.shape]
    return {"name": tensor.name, "datatype": types[tensor.type], "shape": shape}


def metadata(name):
    session = sessions[name]
    inputs, outputs = map(described, session.get_inputs()), map(described, session.get_outputs())
    return {"name": name, "versions": ["1"], "platform": "onnx_onnxv1", "inputs": list(inputs), "outputs": list(outputs)}


def run(name, array):
    session = sessions[name]
    (out,) = session.run(None, {session.get_inputs()[0].name: array})
    return described(session.get_outputs()[0]) | {"shape": list(out.shape)}, out


class Grpc(grpc.GenericRpcHandler):
    def service(self, details):
        name = details.method.split("/")[-1]
        work = {"ModelMetadata": self.metadata, "ModelInfer": self.infer}.get(name)
        if work is None:
            return None
        request = m[service.methods_by_name[name].input_type.name]
        return grpc.unary_unary_rpc_method_handler(work, request.FromString, lambda a: a.SerializeToString())

    def metadata(self, request, context):
        if request.name not in sessions:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no model {request.name}")
        return m["ModelMetadataResponse"](**metadata(request.name))

    def infer(self, request, context):
        given = request.inputs[0]
        array = numpy.frombuffer(request.raw_input_contents[0], arrays[given.datatype]).reshape(given.shape)
        output, out = run(request.model_name, array)
        return m["ModelInferResponse"](model_name=request.model_name, outputs=[output], raw_output_contents=[out.tobytes()])


class Http(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, code, document):
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        name = self.path.split("/")[-1]
        if self.path == "/v2":
            self.answer(200, {"name": "other", "version": "1", "extensions": []})
        elif name in sessions:
            self.answer(200, metadata(name))
        else:
            self.answer(404, {"error": f"no model {name}"})

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        (given,) = document["inputs"]
        array = numpy.array(given["data"], arrays[given["datatype"]]).reshape(given["shape"])
        output, out = run(self.path.split("/")[-2], array)
        self.answer(200, {"model_name": "m", "outputs": [output | {"data": out.flatten().tolist()}]})


http = ThreadingHTTPServer(("127.0.0.1", 0), Http)
threading.Thread(target=http.serve_forever, daemon=True).start()
server = grpc.server(futures.ThreadPoolExecutor(4))
server.add_generic_rpc_handlers((Grpc(),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(json.dumps({"http": http.server_port, "grpc": port}), flush=True)
# It ends with whoever started it.
sys.stdin.read()
