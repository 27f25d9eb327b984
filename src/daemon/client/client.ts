import { existsSync } from 'node:fs';
import { type IncomingMessage, request as plainRequest, type RequestOptions } from 'node:http';
import { request as tlsRequest } from 'node:https';
import { z } from 'zod';
import { DiagnosticError, diagnostic, refuse } from '../../diagnostics/index.ts';
import { socketPath } from '../../doors/rules.ts';
import { readBytes, readText } from '../../files.ts';
import { type Fault, faultSchema } from '../manifests/fault.ts';
import { defaultSocket, tokenFile } from '../places.ts';

/** Where a controller is, and what it is shown. */
export interface ControllerAddress {
  /** `unix:/path`, `http://host:port` or `https://host:port`. */
  readonly url: string;
  readonly tokenFile?: string | undefined;
  /** PEM files. */
  readonly tlsCa?: string | undefined;
  readonly tlsCert?: string | undefined;
  readonly tlsKey?: string | undefined;
}

/** Bytes of any answer. */
const MOST_ANSWER_BYTES = 256 * 2 ** 20;
const TIMEOUT_MS = 120_000;

/** What the controller refuses, with every fault. */
export class ControllerRefused extends Error {
  override readonly name = 'ControllerRefused';
  readonly faults: readonly Fault[];
  readonly code: number;

  constructor(code: number, faults: readonly Fault[]) {
    super(faults.map((f) => f.message).join('\n'));
    this.code = code;
    this.faults = faults;
  }
}

const statusSchema = z.object({
  kind: z.literal('Status'),
  message: z.string(),
  details: z.array(faultSchema),
});

/** One event of a stream. */
export interface StreamEvent {
  readonly event: string;
  readonly id: string;
  readonly data: unknown;
}

/** Where a controller is asked for that nobody named: INTRANSIT_CONTROLLER, or the usual socket of this user. */
export const defaultController = (): string => process.env.INTRANSIT_CONTROLLER || `unix:${defaultSocket()}`;

/** The API of a controller, from outside. @throws DiagnosticError `controller-unreachable`, ControllerRefused */
export class ControllerClient {
  readonly #url: string;
  readonly #options: RequestOptions;
  readonly #isTls: boolean;
  readonly #headers: Readonly<Record<string, string>>;

  /** @throws DiagnosticError where the address is none, or a file cannot be read */
  constructor({ url, tokenFile: tokenPath, tlsCa, tlsCert, tlsKey }: ControllerAddress) {
    this.#url = url;
    const place = placeOf(url);
    this.#isTls = place.isTls || tlsCa !== undefined;
    this.#options = {
      ...place.options,
      agent: false,
      ...(this.#isTls && {
        ...(tlsCa !== undefined && { ca: readBytes(tlsCa, 'pem') }),
        ...(tlsCert !== undefined && { cert: readBytes(tlsCert, 'pem') }),
        ...(tlsKey !== undefined && { key: readBytes(tlsKey, 'pem') }),
      }),
    };
    const file = tokenPath ?? process.env.INTRANSIT_TOKEN_FILE ?? usualToken(place.port);
    this.#headers = file === undefined ? {} : { authorization: `Bearer ${readText(file, 'pem').trim()}` };
  }

  async get<T>(path: string): Promise<T> {
    return this.#json('GET', path);
  }

  /** Of what is no JSON. */
  async text(path: string): Promise<string> {
    return this.#text('GET', path);
  }

  async send<T>(method: 'PUT' | 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    return this.#json(method, path, bytes, { 'content-type': 'application/json' });
  }

  async sendFile(bytes: Uint8Array): Promise<string> {
    const type = { 'content-type': 'application/octet-stream' };
    const answer = await this.#json<{ readonly digest: string }>('PUT', '/api/v1alpha1/files', bytes, type);
    return answer.digest;
  }

  /** Server-sent events until the signal, or until the controller ends them. */
  async *stream(path: string, signal: AbortSignal, lastEventId?: string): AsyncGenerator<StreamEvent> {
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
    const response = await this.#open('GET', path, undefined, headers, signal);
    if (response.statusCode !== 200) this.#refused(response, (await textOf(response)).toString('utf8'));
    response.setEncoding('utf8');
    let rest = '';
    try {
      for await (const chunk of response as AsyncIterable<string>) {
        const parts = (rest + chunk).split('\n\n');
        rest = parts.pop() ?? '';
        for (const part of parts) {
          const event = eventOf(part);
          if (event !== undefined) yield event;
        }
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
  }

  async #json<T>(
    method: string,
    path: string,
    body?: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<T> {
    // What a controller of this version answers: its own documents.
    return this.#parse(await this.#text(method, path, body, headers)) as T;
  }

  async #text(
    method: string,
    path: string,
    body?: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    const response = await this.#open(method, path, body, headers, AbortSignal.timeout(TIMEOUT_MS));
    const text = await textOf(response).then(
      (bytes) => bytes.toString('utf8'),
      (error: unknown) => this.#fail(error),
    );
    if ((response.statusCode ?? 0) >= 300) this.#refused(response, text);
    return text;
  }

  #open(
    method: string,
    path: string,
    body: Uint8Array | undefined,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = (this.#isTls ? tlsRequest : plainRequest)(
        {
          ...this.#options,
          ...{ method, path, signal },
          headers: { ...this.#headers, ...headers, ...(body && { 'content-length': body.length }) },
        },
        resolve,
      );
      request.on('error', reject);
      request.end(body);
    }).catch((error: unknown) => this.#fail(error));
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return this.#fail(new Error('what answers is no controller'));
    }
  }

  #refused({ statusCode = 0 }: IncomingMessage, text: string): never {
    const status = statusSchema.safeParse(this.#parse(text));
    if (!status.success) return this.#fail(new Error(`status ${statusCode}, from what is no controller`));
    throw new ControllerRefused(statusCode, status.data.details);
  }

  #fail(error: unknown): never {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DiagnosticError([diagnostic('controller-unreachable', { address: this.#url, reason })]);
  }
}

interface Placed {
  readonly options: RequestOptions;
  readonly isTls: boolean;
  readonly port?: string;
}

function placeOf(url: string): Placed {
  const path = socketPath(url);
  if (path !== undefined) return { options: { socketPath: path }, isTls: false };
  const [, scheme = 'http', host, port] =
    /^(?:(https?):\/\/)?(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})\/?$/.exec(url) ?? [];
  if (host === undefined || port === undefined)
    return refuse('controller', {
      reason: `${url} is no address of a controller`,
      remedy: 'give unix:/path, http://HOST:PORT or https://HOST:PORT',
    });
  return {
    options: { host: host.replace(/^\[|\]$/g, ''), port: Number(port) },
    isTls: scheme === 'https',
    port,
  };
}

/** That of a controller on this machine, which it writes when it starts. */
function usualToken(port: string | undefined): string | undefined {
  const file = port === undefined ? undefined : tokenFile(`:${port}`);
  return file !== undefined && existsSync(file) ? file : undefined;
}

async function textOf(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MOST_ANSWER_BYTES) throw new Error('its answer has no end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function eventOf(text: string): StreamEvent | undefined {
  const fields = new Map(
    text.split('\n').flatMap((line) => {
      const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      return name === undefined ? [] : [[name, value ?? ''] as const];
    }),
  );
  const [event, data] = [fields.get('event'), fields.get('data')];
  if (event === undefined || data === undefined) return undefined;
  return { event, id: fields.get('id') ?? '', data: JSON.parse(data) };
}
