import { status } from '@grpc/grpc-js';
import { toUint128 } from '../../../src/p4runtime/election.ts';
import { P4RuntimeError } from '../../../src/p4runtime/errors.ts';
import { P4InfoIndex } from '../../../src/p4runtime/p4info-index.ts';
import type { Init, Message } from '../../../src/p4runtime/proto/messages.ts';
import { Rpc } from '../../../src/p4runtime/rpc.ts';
import { detailsOf } from '../../../src/p4runtime/rpc-errors.ts';
import type { MemoryDevice } from '../../../src/p4runtime/server/memory-device.ts';
import { conformanceP4Info } from '../support/tools.ts';
import { RawStream } from './raw-stream.ts';

export type Entity = Init<'Entity'>;
export type UpdateType = 'INSERT' | 'MODIFY' | 'DELETE';

export const { OK, INVALID_ARGUMENT: IA, NOT_FOUND: NF, ALREADY_EXISTS: AE, PERMISSION_DENIED: PD } = status;
export const {
  RESOURCE_EXHAUSTED: RE,
  FAILED_PRECONDITION: FP,
  OUT_OF_RANGE: OR,
  UNIMPLEMENTED: UN,
  UNKNOWN: UK,
} = status;
export const { INTERNAL } = status;

const TIMEOUT_MS = 10_000;

/** A read's outcome: what came, the status behind it, and the error of each request where the server gave them. */
export interface ReadOutcome {
  readonly entities: readonly Message<'Entity'>[];
  readonly code: number;
  readonly errors: readonly number[] | undefined;
}

/** One server under test, and everything that a case does to it without the client's checks. */
export class Target {
  readonly bmv2: boolean;
  readonly rpc: Rpc;
  readonly deviceId: number;
  readonly index = new P4InfoIndex(conformanceP4Info);
  /** Only of our own server. */
  readonly device: MemoryDevice | undefined;
  /** Lowest election id of this case: BMv2 outlives them all. */
  readonly base: bigint;
  readonly #deviceConfig: Uint8Array;
  readonly #streams: RawStream[] = [];

  constructor(options: {
    readonly address: string;
    readonly deviceId: number;
    readonly deviceConfig: Uint8Array;
    readonly base: bigint;
    readonly device?: MemoryDevice;
  }) {
    this.rpc = new Rpc({ address: options.address });
    this.deviceId = options.deviceId;
    this.#deviceConfig = options.deviceConfig;
    this.base = options.base;
    this.device = options.device;
    this.bmv2 = options.device === undefined;
  }

  /** `spec`, unless this is BMv2 and it is known to do otherwise. */
  known<T>(spec: T, bmv2: T): T {
    return this.bmv2 ? bmv2 : spec;
  }

  stream(): RawStream {
    const stream = new RawStream(this.rpc, this.deviceId);
    this.#streams.push(stream);
    return stream;
  }

  /** A primary, with the test program loaded. */
  async ready(): Promise<RawStream> {
    const stream = this.stream();
    await stream.become({ id: this.base });
    const code = await this.setPipeline('VERIFY_AND_COMMIT');
    if (code !== OK) throw new Error(`the pipeline is refused with ${code}`);
    return stream;
  }

  /** A stream of a controller that is not the primary. */
  async backup(): Promise<RawStream> {
    const stream = this.stream();
    await stream.become({ id: this.base - 1n });
    return stream;
  }

  get config(): Init<'ForwardingPipelineConfig'> {
    return { p4info: conformanceP4Info, p4DeviceConfig: this.#deviceConfig, cookie: { cookie: 77n } };
  }

  /** The code of the call. */
  setPipeline(
    action: Init<'SetForwardingPipelineConfigRequest'>['action'],
    config: Init<'ForwardingPipelineConfig'> | undefined = action === 'COMMIT' ? undefined : this.config,
    fields: Init<'SetForwardingPipelineConfigRequest'> = {},
  ): Promise<number> {
    const request = { deviceId: this.deviceId, electionId: toUint128(this.base), action, config, ...fields };
    return codeOf(this.rpc.setPipeline(request, TIMEOUT_MS));
  }

  getPipeline(fields: Init<'GetForwardingPipelineConfigRequest'> = {}) {
    return this.rpc.getPipeline({ deviceId: this.deviceId, ...fields }, TIMEOUT_MS);
  }

  /** One code an update; a fault of the whole call is a single one, negative. */
  async write(
    updates: readonly Init<'Update'>[],
    fields: Init<'WriteRequest'> = { electionId: toUint128(this.base) },
  ): Promise<number[]> {
    try {
      await this.rpc.write({ deviceId: this.deviceId, updates, ...fields }, TIMEOUT_MS);
      return updates.map(() => OK);
    } catch (error) {
      if (!(error instanceof P4RuntimeError)) throw error;
      if (error.kind !== 'write-failed') return [-error.code];
      const codes: number[] = updates.map(() => OK);
      for (const e of error.updates) codes[e.index] = e.code;
      return codes;
    }
  }

  /** Writes one entity after the other, each in a Write of its own. */
  async each(type: UpdateType | 'UNSPECIFIED', ...entities: readonly Entity[]): Promise<number[]> {
    const codes: number[] = [];
    for (const entity of entities) codes.push(...(await this.write([{ type, entity }])));
    return codes;
  }

  insert = (...entities: readonly Entity[]) => this.each('INSERT', ...entities);
  modify = (...entities: readonly Entity[]) => this.each('MODIFY', ...entities);
  delete = (...entities: readonly Entity[]) => this.each('DELETE', ...entities);

  async read(entities: readonly Entity[], fields: Init<'ReadRequest'> = {}): Promise<ReadOutcome> {
    const found: Message<'Entity'>[] = [];
    try {
      for await (const answer of this.rpc.read({ deviceId: this.deviceId, entities, ...fields }, TIMEOUT_MS))
        found.push(...answer.entities);
      return { entities: found, code: OK, errors: undefined };
    } catch (error) {
      if (!(error instanceof P4RuntimeError)) throw error;
      const cause = error.cause;
      const details = cause instanceof Error && 'metadata' in cause ? detailsOf(cause as never) : undefined;
      return { entities: found, code: error.code, errors: details?.map((d) => d.canonicalCode) };
    }
  }

  /** The table entries among what a read finds. */
  async entries(entry: Init<'TableEntry'>): Promise<readonly Message<'TableEntry'>[]> {
    const { entities } = await this.read([{ tableEntry: entry }]);
    return entities.flatMap((e) => (e.tableEntry === undefined ? [] : [e.tableEntry]));
  }

  close(): void {
    for (const stream of this.#streams) stream.close();
    this.rpc.close();
  }
}

/** The status code of a call. */
export async function codeOf(call: Promise<unknown>): Promise<number> {
  try {
    await call;
    return OK;
  } catch (error) {
    if (error instanceof P4RuntimeError) return error.code;
    throw error;
  }
}
