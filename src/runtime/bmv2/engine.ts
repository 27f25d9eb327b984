import { planV1model, type V1modelOptions, type V1modelPlan } from '../../backends/v1model/plan.ts';
import { madeOrRefuse, refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import { answerTables } from '../../passes/tables/interpret.ts';
import { decodePacket, encodeFrame, encodePacket, framePayload, requestPacket } from '../../wire/index.ts';
import type { Engine } from '../engine.ts';
import { exchange } from './exchange.ts';
import { type Bmv2Session, openBmv2 } from './session.ts';

/** Of rows on a switch. */
export interface Bmv2Options extends V1modelOptions {
  /** Called as answers come in. */
  readonly onProgress?: (rowsDone: number) => void;
  /** How long the switch may be silent, in ms. */
  readonly timeoutMs?: number;
}

/** Any addresses do: nothing but the switch sees these frames. */
const ADDRESSES = {
  sourceMac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  destinationMac: Uint8Array.of(2, 0, 0, 0, 0, 2),
  sourceIp: Uint8Array.of(192, 0, 2, 1),
  destinationIp: Uint8Array.of(192, 0, 2, 2),
  sourcePort: 40000,
};

const PROGRESS_EVERY = 64;

/** Plans the program, or throws what forbids it. @throws DiagnosticError */
export function planV1modelOrRefuse(model: Model, options: V1modelOptions): V1modelPlan {
  const { plan, diagnostics } = planV1model(model, options);
  return madeOrRefuse(plan, diagnostics);
}

/**
 * The model on a software switch: every row is a real packet in, and a real packet out.
 * @throws DiagnosticError where the model does not fit, a tool is missing, or the switch fails
 */
export async function createBmv2Engine(model: Model, options: Bmv2Options = {}): Promise<Engine> {
  const plan = planV1modelOrRefuse(model, options);
  const session = await openBmv2(plan);
  const { tables } = plan.options;
  return {
    ...(tables && { expected: (rows) => eachRow(rows, plan, (row) => answerTables(tables, row)) }),
    run: (rows, onProgress) =>
      sendRows(session, plan, rows, options.timeoutMs, (done) => {
        options.onProgress?.(done);
        onProgress?.(done);
      }),
    close: () => session.close(),
  };
}

function eachRow(rows: Uint8Array, plan: V1modelPlan, answer: (row: Uint8Array) => Uint8Array): Uint8Array {
  const count = rows.length / plan.inputs;
  const out = new Uint8Array(count * plan.outputs);
  for (let r = 0; r < count; r++)
    out.set(answer(rows.subarray(r * plan.inputs, (r + 1) * plan.inputs)), r * plan.outputs);
  return out;
}

/** The frame of one row. */
export function requestFrame(plan: V1modelPlan, row: Uint8Array, sequence: number): Uint8Array {
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

async function sendRows(
  session: Bmv2Session,
  plan: V1modelPlan,
  rows: Uint8Array,
  timeoutMs: number | undefined,
  onProgress: (rowsDone: number) => void,
): Promise<Uint8Array> {
  const count = rows.length / plan.inputs;
  const out = new Uint8Array(count * plan.outputs);
  const place = { file: plan.model.file };
  await exchange(session, {
    count,
    file: plan.model.file,
    ...(timeoutMs !== undefined && { timeoutMs }),
    frame: (i) => requestFrame(plan, rows.subarray(i * plan.inputs, (i + 1) * plan.inputs), i),
    receive({ packet: frame }, received) {
      const payload = framePayload(frame);
      const packet = payload && decodePacket(payload);
      if (packet === undefined)
        return refuse('switch-failed', { summary: 'a frame came back that is no inference packet' }, place);
      const { sequence, nextLayer } = packet.header;
      if (nextLayer !== plan.options.to || packet.activations.length !== plan.outputs)
        return refuse(
          'switch-failed',
          { summary: `row ${sequence} came back without being computed` },
          place,
        );
      out.set(packet.activations, sequence * plan.outputs);
      if (received % PROGRESS_EVERY === 0 || received === count) onProgress(received);
    },
  });
  return out;
}
