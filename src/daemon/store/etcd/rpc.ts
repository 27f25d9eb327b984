import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import protobuf from 'protobufjs';
import { StoreTooLarge, StoreUnavailable } from '../store.ts';
import { ETCD_PROTO } from './proto.ts';

/** 64-bit numbers are texts here: ids of leases are wider than a number of JavaScript. */
export interface KeyValue {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly create_revision: string;
  readonly mod_revision: string;
  /** Id of the lease with which it ends; 0 where it has none. */
  readonly lease: string;
}

/** Without `range_end` one key alone; `revision` reads the past, and absent or 0 the present. */
export interface RangeRequest {
  readonly key: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: number;
  readonly revision?: number;
  readonly keys_only?: boolean;
}

/** `more` where the limit has cut it off. */
export interface RangeResponse {
  readonly header: { readonly revision: string };
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
}

/** One thing that a transaction does. */
export type RequestOp =
  | { readonly request_range: RangeRequest }
  | { readonly request_put: { readonly key: Buffer; readonly value: Buffer; readonly lease?: string } }
  | { readonly request_delete_range: { readonly key: Buffer; readonly range_end?: Buffer } };

/** What a transaction wants to be so of one key; a `create_revision` of 0 is no such key. */
export interface Compare {
  readonly result: 'EQUAL';
  readonly target: 'CREATE' | 'MOD' | 'VALUE';
  readonly key: Buffer;
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly value?: Buffer;
}

/** All of `success` at once where every comparison holds, else all of `failure`. */
export interface Txn {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure?: readonly RequestOp[];
}

/** Answers of the branch that was done, in its order. */
export interface TxnResponse {
  readonly header: { readonly revision: string };
  readonly succeeded: boolean;
  readonly responses: readonly { readonly response_range?: RangeResponse }[];
}

/** A `compact_revision` other than 0 says that what was asked for is forgotten. */
export interface WatchResponse {
  readonly header: { readonly revision: string };
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: string;
  readonly cancel_reason: string;
  readonly events: readonly { readonly type: 'PUT' | 'DELETE'; readonly kv: KeyValue }[];
}

/** What is asked and what is answered, by the name of the call. */
export interface Calls {
  'KV.Range': readonly [RangeRequest, RangeResponse];
  'KV.Txn': readonly [Txn, TxnResponse];
  'Lease.LeaseGrant': readonly [{ readonly TTL: number }, { readonly ID: string; readonly TTL: string }];
  'Lease.LeaseRevoke': readonly [{ readonly ID: string }, object];
}

/** A call that takes longer is one that nobody answers. */
const DEADLINE_MS = 10_000;

const services = fromJSON(protobuf.parse(ETCD_PROTO, { keepCase: true }).root.toJSON(), {
  keepCase: true,
  longs: String,
  enums: String,
  defaults: true,
});

function methodOf(name: string): MethodDefinition<object, object> {
  const [service, method] = name.split('.');
  const definition = services[`etcdserverpb.${service}`] as ServiceDefinition;
  return definition[method!]!;
}

/** Etcd could not be asked: what was asked may have been done or not. */
export class EtcdRpc {
  readonly #clients: readonly Client[];
  #at = 0;

  /** @param endpoints `HOST:PORT` of the members: another one is asked where one does not answer */
  constructor(endpoints: readonly string[], security: ChannelCredentials = credentials.createInsecure()) {
    const unlimited = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };
    this.#clients = endpoints.map((endpoint) => new Client(endpoint, security, unlimited));
  }

  /** @throws StoreUnavailable, StoreTooLarge */
  async call<N extends keyof Calls>(name: N, request: Calls[N][0]): Promise<Calls[N][1]> {
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    const deadline = Date.now() + DEADLINE_MS;
    return new Promise((resolve, reject) => {
      this.#client().makeUnaryRequest<object, object>(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        { deadline },
        (error, answer) => {
          if (error !== null) reject(this.#failure(error));
          // The schema says which answer belongs to which call.
          else resolve(answer as Calls[N][1]);
        },
      );
    });
  }

  /** A stream both ways. */
  stream(name: 'Watch.Watch' | 'Lease.LeaseKeepAlive'): ClientDuplexStream<object, object> {
    const { path, requestSerialize, responseDeserialize } = methodOf(name);
    return this.#client().makeBidiStreamRequest<object, object>(path, requestSerialize, responseDeserialize);
  }

  /** One exchange over a stream. */
  async exchange<T>(name: 'Lease.LeaseKeepAlive', request: object): Promise<T> {
    const stream = this.stream(name);
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => stream.cancel(), DEADLINE_MS);
      stream.on('error', (error: ServiceError) => {
        clearTimeout(timer);
        reject(this.#failure(error));
      });
      stream.once('data', (answer: T) => {
        clearTimeout(timer);
        stream.end();
        resolve(answer);
      });
      stream.write(request);
    });
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  #client(): Client {
    return this.#clients[this.#at % this.#clients.length]!;
  }

  #failure(error: ServiceError): Error {
    // Answers, not silence.
    if (error.code === status.OUT_OF_RANGE || error.code === status.NOT_FOUND) return error;
    if (/too large|too many operations/i.test(error.details))
      return new StoreTooLarge(`more than etcd takes at once (${error.details})`);
    // Another member may be reached.
    this.#at++;
    return new StoreUnavailable(`etcd: ${error.details || error.message}`);
  }
}
