import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import { DiagnosticError, diagnostic, refuse } from '../../diagnostics/index.ts';
import type { Measures } from '../../doors/measures.ts';
import type { Model } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { eachRow } from '../../reference/each-row.ts';
import { interpret } from '../../reference/interpreter.ts';
import { fragmentsFor, MAX_FRAGMENTS } from '../../wire/fragments.ts';
import { decodePacket, encodePacket, packetKinds, probePacket } from '../../wire/index.ts';
import { decodeQueue } from '../common/probe.ts';
import { connectSocket, type Peer, peerName } from '../common/socket.ts';
import { Pacer } from './pacer.ts';
import { RequestEncoder } from './requests.ts';
import { type WireShape, wireShape } from './shape.ts';
import type { SendStatistics } from './statistics.ts';
import { type LostRow, Transfer } from './transfer.ts';

/** Whom a sender asks, for which model, and how patiently. */
export interface WireOptions {
  readonly to: Peer;
  /** Where to send from; any free port if absent. */
  readonly local?: Partial<Peer>;
  /** 1 if absent. */
  readonly modelId?: number;
  /** 0 if absent: the current one of whoever computes; what was computed here is of version 1 unless told otherwise. */
  readonly modelVersion?: number;
  /** Random if absent. */
  readonly jobId?: bigint;
  /** 0, any, if absent. */
  readonly zone?: number;
  /** Answers of the network come back at once; true if absent. */
  readonly turnRound?: boolean;
  /** Ask the larger model at once. */
  readonly unsure?: boolean;
  /** Packets a second; as fast as the window allows if absent. */
  readonly rate?: number;
  /** Rows without an answer at a time; 64 if absent, or any number with a rate. */
  readonly window?: number;
  /** ms until a row without an answer is sent again; twice as long each time, up to eight times. 500 if absent. */
  readonly timeoutMs?: number;
  /** Times that a row is sent again; 5 if absent. */
  readonly retries?: number;
  /** Largest IP packet on the path, in bytes; larger tensors go in fragments. 1500 if absent. */
  readonly mtu?: number;
}

/** A sender that has the model: it checks shapes, and may compute the first layers itself. */
export interface SenderOptions extends WireOptions {
  readonly model: Model;
  /** Layers 0..`layers` are computed here before sending; 0 if absent. */
  readonly layers?: number;
}

/** The answers to some rows, in their order. */
export interface SendResult {
  /** One row of the model's output after the other; zeros where there is none. */
  readonly answers: Uint8Array;
  /** Who answered, by row: see `answeredBy`. */
  readonly by: Uint8Array;
  readonly lost: readonly LostRow[];
  readonly statistics: SendStatistics;
  /** Latencies and margins of the answers by version, as a controller is told of them. */
  readonly measures: ReadonlyMap<number, Measures>;
}

/** What a worker says of itself. */
export interface ProbeReply {
  readonly modelId: number;
  readonly modelVersion: number;
  readonly layerCount: number;
  /** Rows that wait. */
  readonly queue: number;
}

/** Sends rows to whoever computes them; one job, whose rows are numbered on from call to call. */
export interface Sender {
  readonly jobId: bigint;
  /**
   * Sends rows and waits until each has an answer or will get none. Sequence numbers run on from call to call.
   * @throws DiagnosticError `send-failed` if the peer's system refuses the packets and no answer comes at all
   */
  send(rows: Uint8Array, onProgress?: (settled: number) => void): Promise<SendResult>;
  /** Asks the worker at the end of the path for its state; `undefined` without an answer in time. */
  probe(timeoutMs?: number): Promise<ProbeReply | undefined>;
  close(): Promise<void>;
}

/** The edge of a split model: computes the first layers, sends the rest, and matches what comes back. */
export async function createSender({ model, layers = 0, ...wire }: SenderOptions): Promise<Sender> {
  const version = wire.modelVersion ?? (layers > 0 ? 1 : 0);
  const sender = await createWireSender(wireShape(model, layers), { ...wire, modelVersion: version });
  if (layers === 0) return sender;
  return {
    ...sender,
    send: async (rows, onProgress) => sender.send(await firstLayers(model, rows, layers), onProgress),
  };
}

/** Layers 0..`to` of each row by the reference, letting others run in between. */
function firstLayers(model: Model, rows: Uint8Array, to: number): Promise<Uint8Array> {
  const inputs = tensorBytes(model.input);
  const outputs = tensorBytes(model.layers[to - 1]!.output);
  const shape = { count: rows.length / inputs, inputs, outputs };
  return eachRow(rows, shape, (row) => interpret(model, row, 0, to));
}

/** A sender of finished tensors, for those that have the shape but not the model. */
export async function createWireSender(shape: WireShape, options: WireOptions): Promise<Sender> {
  const { modelId = 1, jobId = randomJob(), mtu = 1500, timeoutMs = 500, retries = 5 } = options;
  const { rate, window = rate === undefined ? 64 : Number.POSITIVE_INFINITY } = options;
  const encoder = encoderOf(shape, { ...options, modelId, jobId, mtu });
  const socket = await connectSocket(options.to, options.local);
  // What comes between two calls of `send` is nobody's.
  socket.on('error', () => {});
  let nextSequence = 0;
  let busy = false;
  let closing: Promise<void> | undefined;
  return {
    jobId,
    async send(rows, onProgress) {
      if (busy) throw new Error('a sender sends one set of rows at a time');
      if (rows.length % shape.input.count !== 0) throw new Error('rows are not whole');
      busy = true;
      const firstSequence = nextSequence;
      nextSequence = (nextSequence + rows.length / shape.input.count) >>> 0;
      const make = (transmit: (packet: Buffer) => void) =>
        new Transfer(rows, {
          ...{ ...shape, encoder, jobId, modelId, firstSequence, window, timeoutMs, retries, transmit },
          pacer: rate === undefined ? undefined : new Pacer(rate, encoder.fragments, performance.now()),
        });
      try {
        const transfer = await runTransfer(socket, make, peerName(options.to), 2 * timeoutMs, onProgress);
        const { answers, by } = transfer;
        return {
          ...{ answers, by, lost: transfer.lost(), statistics: transfer.statistics() },
          measures: transfer.measures(),
        };
      } finally {
        busy = false;
      }
    },
    probe: (ms = 1000) => probe(socket, { modelId, jobId, layerCount: shape.layerCount }, ms),
    close() {
      closing ??= new Promise<void>((done) => socket.close(done));
      return closing;
    },
  };
}

const randomJob = (): bigint => randomBytes(8).readBigUInt64BE();

function encoderOf(
  shape: WireShape,
  o: WireOptions & { readonly modelId: number; readonly jobId: bigint; readonly mtu: number },
): RequestEncoder {
  const { count, element } = shape.input;
  const fragments = fragmentsFor(count, o.mtu);
  if (fragments > MAX_FRAGMENTS)
    refuse('too-many-fragments', { bytes: count, fragments, limit: MAX_FRAGMENTS, mtu: o.mtu });
  return new RequestEncoder(count, fragments, {
    modelId: o.modelId,
    modelVersion: o.modelVersion ?? 0,
    layerCount: shape.layerCount,
    nextLayer: shape.nextLayer,
    element,
    jobId: o.jobId,
    trustZone: o.zone ?? 0,
    turnRound: o.turnRound ?? true,
    unsure: o.unsure ?? false,
  });
}

/** Longest time between two looks at the clock. */
const LOOK_MS = 50;

/** Drives the transfer by the socket and the clock until all rows are settled. */
function runTransfer(
  socket: Socket,
  make: (transmit: (packet: Buffer) => void) => Transfer,
  peer: string,
  hopeMs: number,
  onProgress?: (settled: number) => void,
): Promise<Transfer> {
  return new Promise((resolve, reject) => {
    let fault: NodeJS.ErrnoException | undefined;
    let timer: NodeJS.Timeout | undefined;
    const onFault = (error: Error | null) => {
      if (error) fault = error;
    };
    const started = performance.now();
    const transfer = make((packet) => socket.send(packet, onFault));
    const end = () => {
      clearTimeout(timer);
      socket.off('message', onMessage);
      socket.off('error', onFault);
    };
    const onMessage = (payload: Buffer) => {
      const packet = decodePacket(payload);
      if (packet === undefined) return;
      const now = performance.now();
      transfer.receive(packet, now);
      if (transfer.done) finish();
      else transfer.pump(now);
    };
    const finish = () => {
      end();
      onProgress?.(transfer.settled);
      resolve(transfer);
    };
    const look = () => {
      const now = performance.now();
      const wait = transfer.advance(now);
      if (transfer.done) return finish();
      // Refused once, it may be a late worker or a host that only the network stands before; refused only, nobody is there.
      if (fault !== undefined && transfer.answered === 0 && now - started > hopeMs) {
        end();
        const refused = fault.code === 'ECONNREFUSED';
        return reject(
          new DiagnosticError([diagnostic('send-failed', { to: peer, reason: faultText(fault), refused })]),
        );
      }
      onProgress?.(transfer.settled);
      timer = setTimeout(look, Math.max(1, Math.min(LOOK_MS, wait)));
    };
    socket.on('message', onMessage);
    socket.on('error', onFault);
    look();
  });
}

const faultText = ({ code, message }: NodeJS.ErrnoException): string =>
  code === 'ECONNREFUSED' ? 'its host says that nobody listens there (ECONNREFUSED)' : message;

async function probe(
  socket: Socket,
  o: { readonly modelId: number; readonly jobId: bigint; readonly layerCount: number },
  timeoutMs: number,
): Promise<ProbeReply | undefined> {
  return new Promise((resolve) => {
    const end = (reply?: ProbeReply) => {
      clearTimeout(timer);
      socket.off('message', onMessage);
      resolve(reply);
    };
    const onMessage = (payload: Buffer) => {
      const packet = decodePacket(payload);
      if (packet?.header.kind !== packetKinds.probe || packet.header.jobId !== o.jobId) return;
      const queue = decodeQueue(packet.activations);
      if (queue === undefined) return;
      const { modelId, modelVersion, layerCount } = packet.header;
      end({ modelId, modelVersion, layerCount, queue });
    };
    const timer = setTimeout(end, timeoutMs);
    socket.on('message', onMessage);
    socket.send(encodePacket(probePacket(o)), () => {});
  });
}
