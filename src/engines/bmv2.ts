import { type P4Options, type P4Plan, planP4 } from '../backends/p4/plan.ts';
import { refuse, throwErrors } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import {
  decodePacket,
  encodeFrame,
  encodePacket,
  type FrameAddresses,
  framePayload,
  requestPacket,
} from '../wire/index.ts';
import { type Bmv2Session, openBmv2, PORT_IN } from './bmv2-session.ts';
import { lastLine } from './bmv2-switch.ts';
import type { Engine } from './engine.ts';

export interface Bmv2Options extends P4Options {
  /** Called as answers come in. */
  readonly onProgress?: (rowsDone: number) => void;
  /** How long the switch may be silent, in ms. */
  readonly timeoutMs?: number;
}

/** Any addresses do: nothing but the switch sees these frames. */
const ADDRESSES: Omit<FrameAddresses, 'destinationPort'> = {
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  sourceIp: Uint8Array.of(192, 0, 2, 1),
  destinationIp: Uint8Array.of(192, 0, 2, 2),
  sourcePort: 40000,
};

/** Requests under way: enough to keep the switch busy, few enough for its queues (64 packets). */
const WINDOW = 32;

const DEFAULT_TIMEOUT_MS = 10_000;

/**
 * The model on a software switch: every row is a real packet in, and a real packet out.
 * @throws DiagnosticError where the model does not fit, a tool is missing, or the switch fails
 */
export async function createBmv2Engine(model: Model, options: Bmv2Options = {}): Promise<Engine> {
  const { plan, diagnostics } = planP4(model, options);
  throwErrors(diagnostics);
  if (plan === undefined) throw new Error('a refusal without a diagnostic');
  const session = await openBmv2(plan);
  return {
    run: (rows, onProgress) =>
      sendRows(session, plan, rows, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, (done) => {
        options.onProgress?.(done);
        onProgress?.(done);
      }),
    close: () => session.close(),
  };
}

/** The frame of one row. */
export function requestFrame(plan: P4Plan, row: Uint8Array, sequence: number): Uint8Array {
  const { modelId, modelVersion, from, port } = plan.options;
  const packet = requestPacket(row, {
    modelId,
    modelVersion,
    layerCount: plan.model.layers.length,
    nextLayer: from,
    element: plan.input.element,
    sequence,
  });
  return encodeFrame({ ...ADDRESSES, destinationPort: port }, encodePacket(packet));
}

function sendRows(
  session: Bmv2Session,
  plan: P4Plan,
  rows: Uint8Array,
  timeoutMs: number,
  onProgress: (rowsDone: number) => void,
): Promise<Uint8Array> {
  const { dataplane, device } = session;
  const count = rows.length / plan.inputs;
  const out = new Uint8Array(count * plan.outputs);
  const answered = new Set<number>();
  return new Promise((resolve, reject) => {
    let sent = 0;
    let timer: NodeJS.Timeout | undefined;
    const fail = (summary: string): void => {
      clearTimeout(timer);
      try {
        const reason = device.ended() === undefined ? summary : lastLine(device.log(), device.ended()!);
        refuse('switch-failed', { summary: reason }, { file: plan.model.file }, device.log());
      } catch (error) {
        reject(error);
      }
    };
    const expect = (): void => {
      clearTimeout(timer);
      timer = setTimeout(
        () => fail(`${answered.size} of ${count} rows were answered, then nothing for ${timeoutMs / 1000} s`),
        timeoutMs,
      );
    };
    const send = (): void => {
      const row = rows.subarray(sent * plan.inputs, (sent + 1) * plan.inputs);
      dataplane.send(PORT_IN, requestFrame(plan, row, sent++));
    };
    const receive = (frame: Uint8Array): void => {
      const payload = framePayload(frame);
      const packet = payload && decodePacket(payload);
      if (packet === undefined) return fail('a frame came back that is no inference packet');
      const { sequence, nextLayer } = packet.header;
      if (nextLayer !== plan.options.to || packet.activations.length !== plan.outputs)
        return fail(`row ${sequence} came back without being computed`);
      out.set(packet.activations, sequence * plan.outputs);
      answered.add(sequence);
      if (answered.size % 64 === 0 || answered.size === count) onProgress(answered.size);
      if (answered.size === count) {
        clearTimeout(timer);
        return resolve(out);
      }
      expect();
      if (sent < count) send();
    };
    dataplane.listen(
      ({ packet }) => receive(packet),
      (error) => fail(error.message),
    );
    if (count === 0) return resolve(out);
    expect();
    while (sent < Math.min(WINDOW, count)) send();
  });
}
