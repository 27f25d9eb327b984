import {
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { openGrpcDoor, peerOfCall } from '../../../doors/grpc.ts';
import type { HttpDoor } from '../../../doors/http.ts';
import type { DoorListen } from '../../../doors/rules.ts';
import { admit, type InferenceRight } from './access.ts';
import { type FaultKind, faultOf, invalid } from './fault.ts';
import type { ModelServer } from './model-server.ts';
import {
  contentsOf,
  inferenceService,
  type ModelInferRequest,
  type ModelInferResponse,
  type Parameters,
  type TensorMessage,
} from './proto.ts';
import { filesOf } from './repository.ts';
import { type GivenTensor, isDatatype, numbersOf } from './tensors.ts';

const LIMITS = { messageBytes: 16 * 2 ** 20, calls: 32, callMs: 60_000 };

const codes: Readonly<Record<FaultKind, status>> = {
  invalid: status.INVALID_ARGUMENT,
  forbidden: status.PERMISSION_DENIED,
  'not found': status.NOT_FOUND,
  'too large': status.RESOURCE_EXHAUSTED,
  'too much': status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
};

interface NamedRequest {
  readonly name: string;
  readonly version: string;
}

interface RepositoryRequest {
  readonly model_name: string;
  readonly parameters: Parameters;
}

/**
 * Opens a door of gRPC at which a worker answers as the Open Inference Protocol says (`inference.GRPCInferenceService`).
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export function openInferenceGrpc(server: ModelServer, listen: DoorListen): Promise<HttpDoor> {
  /** A call that is answered once; the shape of its messages is the definition's. */
  const unary =
    <Q>(right: InferenceRight, work: (request: Q) => object | Promise<object>) =>
    (call: ServerUnaryCall<Q, object>, reply: sendUnaryData<object>): void => {
      Promise.resolve()
        .then(() => {
          admit(peerOfCall(call, listen), listen, right);
          return work(call.request);
        })
        .then(
          (answer) => reply(null, answer),
          (error: unknown) => reply(serviceError(error)),
        );
    };
  const implementation: UntypedServiceImplementation = {
    ServerLive: unary('infer', () => ({ live: true })),
    ServerReady: unary('infer', () => ({ ready: server.isReady() })),
    ModelReady: unary('infer', ({ name, version }: NamedRequest) => ({
      ready: server.isModelReady(name, version),
    })),
    ServerMetadata: unary('infer', () => server.metadata()),
    ModelMetadata: unary('infer', ({ name, version }: NamedRequest) => server.modelMetadata(name, version)),
    ModelInfer: unary('infer', (request: ModelInferRequest) => infer(server, request)),
    RepositoryIndex: unary('infer', ({ ready }: { readonly ready: boolean }) => ({
      models: server.index(ready),
    })),
    RepositoryModelLoad: unary('load', async ({ model_name, parameters }: RepositoryRequest) => {
      await server.load(model_name, filesOf(fileParameters(parameters), model_name));
      return {};
    }),
    RepositoryModelUnload: unary('load', async ({ model_name }: RepositoryRequest) => {
      await server.unload(model_name);
      return {};
    }),
  };
  return openGrpcDoor(listen, 'worker', { definition: inferenceService(), implementation }, LIMITS);
}

async function infer(server: ModelServer, request: ModelInferRequest): Promise<ModelInferResponse> {
  const { inputs, raw_input_contents: raw, outputs } = request;
  if (raw.length > 0 && raw.length !== inputs.length)
    return invalid(`there are ${raw.length} raw_input_contents for ${inputs.length} inputs`);
  const { model, version, output } = await server.infer({
    model: request.model_name,
    version: request.model_version,
    inputs: inputs.map((input, i) => tensorOf(input, raw[i])),
    outputs: outputs.map(({ name, parameters }) => ({ name, datatype: parameters.datatype?.string_param })),
  });
  const { name, datatype, shape, bytes } = output;
  return {
    model_name: model,
    model_version: version,
    id: request.id,
    // In the form in which the request came.
    ...(raw.length > 0
      ? {
          outputs: [{ name, datatype, shape }],
          raw_output_contents: [Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)],
        }
      : {
          outputs: [
            {
              name,
              datatype,
              shape,
              contents: { [contentsOf[datatype]]: Array.from(numbersOf(bytes, datatype)) },
            },
          ],
          raw_output_contents: [],
        }),
  };
}

function tensorOf({ name, datatype, shape, contents }: TensorMessage, raw: Buffer | undefined): GivenTensor {
  if (raw !== undefined) {
    if (contents && Object.values(contents).some((list) => list.length > 0))
      return invalid(`input "${name}" has both contents and raw_input_contents`);
    return { name, datatype, shape, data: raw };
  }
  const list = isDatatype(datatype) ? contents?.[contentsOf[datatype]] : [];
  return { name, datatype, shape, data: list ?? [] };
}

const fileParameters = (parameters: Parameters): ReadonlyMap<string, Uint8Array> =>
  new Map(
    Object.entries(parameters)
      .filter(([key]) => key.startsWith('file:'))
      .map(([key, { bytes_param }]) => [key, bytes_param ?? invalid(`parameter "${key}" has no bytes`)]),
  );

function serviceError(error: unknown): Pick<ServiceError, 'code' | 'details'> {
  const { kind, message } = faultOf(error);
  return { code: codes[kind], details: message };
}
