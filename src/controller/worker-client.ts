import { request as plainRequest } from 'node:http';
import { request as tlsRequest } from 'node:https';
import type { z } from 'zod';
import { DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import { socketPath } from '../doors/rules.ts';
import {
  acceptedSchema,
  ELECTION_HEADER,
  faultSchema,
  type HandedJob,
  type HeldDocument,
  handedJobSchema,
  heldSchema,
  MOST_JOB_BYTES,
} from '../doors/worker-protocol.ts';
import type { SourceOptions } from '../import/given-options.ts';
import { formatRealRange } from '../model/real-range.ts';
import type { TlsOptions } from '../p4runtime/index.ts';

/** How the control door of a worker is found. */
export interface WorkerDoor {
  readonly name: string;
  /** unix:/path, or host:port. */
  readonly address: string;
  /** Of whoever changes it, as at devices: the worker refuses a lower one than it has heard of; default 0. */
  readonly electionId?: bigint;
}

/** A model file as a worker is to read it. */
export interface ModelSource {
  /** Its name without folders: the extension says what it is. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly verdict: boolean;
  readonly options: SourceOptions;
}

/** Bytes of any answer: what a worker holds is a list of numbers, but what waits of a job are tensors. */
const MOST_ANSWER_BYTES = 2 ** 20;

/** Loading a model takes its time: engines are opened, and tried. */
const LOAD_TIMEOUT_MS = 120_000;
const TIMEOUT_MS = 10_000;

type Method = 'GET' | 'PUT' | 'POST' | 'DELETE';

/** The control door of one worker, from outside. Every call answers what the worker holds then. @throws DiagnosticError */
export class WorkerClient {
  readonly #spec: WorkerDoor;
  readonly #tls: TlsOptions | undefined;
  readonly #timeoutMs: number;

  constructor(spec: WorkerDoor, tls: TlsOptions | undefined, timeoutMs = TIMEOUT_MS) {
    this.#spec = spec;
    this.#tls = tls;
    this.#timeoutMs = timeoutMs;
  }

  /** @param bids whether from here on all with lower election ids are refused, whatever model they change */
  held(bids = false): Promise<HeldDocument> {
    return this.#ask(heldSchema, 'GET', '/v1/models', undefined, this.#timeoutMs, bids);
  }

  load(
    modelId: number,
    version: number,
    { name, bytes, verdict, options }: ModelSource,
  ): Promise<HeldDocument> {
    const { inputRange, outputRange, ...texts } = options;
    const query = new URLSearchParams({
      name,
      verdict: verdict ? '1' : '0',
      ...texts,
      ...(inputRange && { inputRange: formatRealRange(inputRange) }),
      ...(outputRange && { outputRange: formatRealRange(outputRange) }),
    });
    const path = `/v1/models/${modelId}/versions/${version}?${query}`;
    return this.#call('PUT', path, bytes, LOAD_TIMEOUT_MS);
  }

  makeCurrent(modelId: number, version: number | undefined): Promise<HeldDocument> {
    const body = Buffer.from(JSON.stringify({ version: version ?? null }));
    return this.#call('PUT', `/v1/models/${modelId}/current`, body);
  }

  unload(modelId: number, version: number): Promise<HeldDocument> {
    return this.#call('DELETE', `/v1/models/${modelId}/versions/${version}`);
  }

  /** Has it give a job away to the worker whose packets come in at `to`. */
  release(jobId: bigint, to: string): Promise<HandedJob> {
    const body = Buffer.from(JSON.stringify({ to }));
    return this.#ask(handedJobSchema, 'POST', `/v1/jobs/${jobId}/release`, body);
  }

  /** Has it take a job on. */
  accept(job: HandedJob): Promise<z.infer<typeof acceptedSchema>> {
    return this.#ask(acceptedSchema, 'PUT', `/v1/jobs/${job.jobId}`, Buffer.from(JSON.stringify(job)));
  }

  #call(method: Method, path: string, body?: Uint8Array, timeoutMs = this.#timeoutMs): Promise<HeldDocument> {
    return this.#ask(heldSchema, method, path, body, timeoutMs);
  }

  async #ask<T>(
    schema: z.ZodType<T>,
    method: Method,
    path: string,
    body?: Uint8Array,
    timeoutMs = this.#timeoutMs,
    isFenced = method !== 'GET',
  ): Promise<T> {
    const { status, text } = await this.#exchange(method, path, body, { timeoutMs, isFenced });
    const document = jsonOf(text);
    if (status === 200) {
      const held = schema.safeParse(document);
      if (held.success) return held.data;
      return this.#fail('worker-failed', 'what answers is no worker of this version');
    }
    const fault = faultSchema.safeParse(document);
    return this.#fail('worker-failed', fault.data?.error ?? `status ${status}`);
  }

  #exchange(
    method: Method,
    path: string,
    body: Uint8Array | undefined,
    { timeoutMs, isFenced }: { readonly timeoutMs: number; readonly isFenced: boolean },
  ): Promise<{ readonly status: number; readonly text: string }> {
    const { ca, cert, key, serverName } = this.#tls ?? {};
    const { electionId } = this.#spec;
    const options = {
      ...placeOf(this.#spec.address),
      ...{ method, path, timeout: timeoutMs, agent: false as const },
      ...(ca && { ca: Buffer.from(ca) }),
      ...(cert && { cert: Buffer.from(cert) }),
      ...(key && { key: Buffer.from(key) }),
      ...(serverName !== undefined && { servername: serverName }),
      headers: {
        'content-length': body?.length ?? 0,
        ...(isFenced && electionId !== undefined && { [ELECTION_HEADER]: `${electionId}` }),
      },
    };
    return new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
      const request = (this.#tls === undefined ? plainRequest : tlsRequest)(options, (response) => {
        const chunks: Buffer[] = [];
        let length = 0;
        response.on('data', (chunk: Buffer) => {
          length += chunk.length;
          if (length > (method === 'POST' ? MOST_JOB_BYTES : MOST_ANSWER_BYTES))
            request.destroy(new Error('its answer has no end'));
          else chunks.push(chunk);
        });
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
      request.on('error', reject);
      request.end(body);
    }).catch((error: Error) => this.#fail('worker-unreachable', error.message));
  }

  #fail(code: 'worker-failed' | 'worker-unreachable', reason: string): never {
    const { name: worker, address } = this.#spec;
    throw new DiagnosticError([diagnostic(code, { worker, address, reason })]);
  }
}

function placeOf(
  address: string,
): { readonly socketPath: string } | { readonly host: string; readonly port: number } {
  const path = socketPath(address);
  if (path !== undefined) return { socketPath: path };
  const [, host = address, port] = /^\[?([^\]]*)\]?:(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port ?? 0) };
}

/** Undefined for what is no JSON, which no schema takes. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
