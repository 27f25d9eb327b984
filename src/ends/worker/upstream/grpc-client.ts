import { Client, credentials, type ServiceError } from '@grpc/grpc-js';
import {
  contentsOf,
  inferenceService,
  type ModelInferResponse,
  type TensorMessage,
} from '../inference/proto.ts';
import { isDatatype, littleEndian } from '../inference/tensors.ts';
import {
  MOST_ANSWER_BYTES,
  type ModelDescription,
  type SentTensor,
  UPSTREAM_MS,
  type UpstreamAddress,
  type UpstreamClient,
} from './client.ts';

/** The protocol over gRPC: tensors go as raw contents, and may come as typed ones. */
export class GrpcUpstream implements UpstreamClient {
  readonly url: string;
  readonly #client: Client;
  readonly #model: { readonly model: string; readonly version: string };

  constructor({ url, model, version, tls }: UpstreamAddress) {
    this.url = url;
    this.#model = { model, version };
    const pem = (bytes: Uint8Array | undefined) => (bytes === undefined ? null : Buffer.from(bytes));
    const security = url.startsWith('grpcs:')
      ? credentials.createSsl(pem(tls?.ca), pem(tls?.key), pem(tls?.cert))
      : credentials.createInsecure();
    this.#client = new Client(url.replace(/^grpcs?:\/\//, ''), security, {
      'grpc.max_receive_message_length': MOST_ANSWER_BYTES,
      'grpc.max_send_message_length': -1,
    });
  }

  metadata(): Promise<ModelDescription> {
    const { model: name, version } = this.#model;
    return this.#call<ModelDescription>('ModelMetadata', { name, version });
  }

  async infer({ bytes, ...input }: SentTensor, output: string): Promise<SentTensor> {
    const { model, version } = this.#model;
    const answer = await this.#call<ModelInferResponse>('ModelInfer', {
      model_name: model,
      model_version: version,
      inputs: [input],
      outputs: [{ name: output }],
      raw_input_contents: [bytes],
    });
    const at = answer.outputs.findIndex((o) => o.name === output);
    const found = answer.outputs[at];
    if (found === undefined) throw new Error(`its answer has no output "${output}"`);
    const { name, datatype, shape } = found;
    return { name, datatype, shape, bytes: answer.raw_output_contents[at] ?? typedBytes(found) };
  }

  close(): void {
    this.#client.close();
  }

  #call<T extends object>(method: string, request: object): Promise<T> {
    const { path, requestSerialize, responseDeserialize } = inferenceService()[method]!;
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest<object, T>(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline: Date.now() + UPSTREAM_MS },
        (error: ServiceError | null, answer) => {
          // A call ends with one of both.
          if (error !== null) reject(new Error(error.details || error.message));
          else resolve(answer!);
        },
      );
    });
  }
}

function typedBytes({ name, datatype, contents }: TensorMessage): Uint8Array {
  if (!isDatatype(datatype)) throw new Error(`its output "${name}" has datatype ${datatype}`);
  return littleEndian(contents?.[contentsOf[datatype]] ?? [], datatype);
}
