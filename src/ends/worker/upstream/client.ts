/** A tensor as it goes to a server or comes from one: elements row-major, little-endian. */
export interface SentTensor {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** What a server says of an input or output. */
export interface TensorDescription {
  readonly name: string;
  readonly datatype: string;
  /** -1 where a size is open. */
  readonly shape: readonly number[];
}

/** What a server says of a model before it is asked. */
export interface ModelDescription {
  readonly inputs: readonly TensorDescription[];
  readonly outputs: readonly TensorDescription[];
}

/** One model of a server that speaks the Open Inference Protocol. Both calls fail with an Error that says why. */
export interface UpstreamClient {
  /** Where it is, for messages. */
  readonly url: string;
  metadata(): Promise<ModelDescription>;
  infer(input: SentTensor, output: string): Promise<SentTensor>;
  close(): void;
}

/** PEM texts. */
export interface UpstreamTls {
  readonly ca?: Uint8Array;
  readonly cert?: Uint8Array;
  readonly key?: Uint8Array;
}

/** Which model of which server computes the end of a path. */
export interface UpstreamAddress {
  /** `http://HOST:PORT`, `https://...`, `grpc://...`, `grpcs://...`, or `unix:PATH` (HTTP). */
  readonly url: string;
  readonly model: string;
  /** Empty: the server's choice. */
  readonly version: string;
  readonly tls?: UpstreamTls | undefined;
}

/** A call without an answer for so long has failed, ms. */
export const UPSTREAM_MS = 10_000;

/** Bytes of an answer at most. */
export const MOST_ANSWER_BYTES = 64 * 2 ** 20;
