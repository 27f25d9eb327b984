import { LEAST_PACKET } from '../bpf/index.ts';
import type { Frame } from '../capture/index.ts';
import { asEthernet } from '../features/as-ethernet.ts';
import { endsAreTold } from '../features/definition.ts';
import type { Flow } from '../features/executor.ts';
import type { FlowQuestion } from '../runtime/xdp/flow-actions.ts';
import { type FlowPlace, MOST_TEST_FRAME, type XdpFlowDevice } from '../runtime/xdp/flow-device.ts';
import { type ComparedModel, Comparison, changesFlow, type DeviceResult } from './compare.ts';
import type { CaptureFlows, FlowEngine, Verdict } from './engine.ts';
import type { Escalation } from './escalation.ts';

/** Bytes of a frame that a test run is given: more than all headers and the payload that features read. */
const MOST_GIVEN = 2048;
/** Packets after which other work of the process has its turn. */
const TURN = 1024;

/** A model, and the program that its packets end in. */
interface TestedModel extends ComparedModel {
  readonly device: XdpFlowDevice;
}

/**
 * The kernel, by test runs: each frame goes through the whole program at the time at which it was captured, and what the
 * program says is compared with the reference.
 * @param o.models the first one's program is given all frames
 * @param o.begin is called for each capture
 * @param o.escalation of the first model: what it asks about is answered before the next packet
 * @param o.collided the verdict on a packet whose flow finds no place, where a model is for such
 */
// Long: one engine, whose steps share the programs and the flows of a capture.
export function testRunEngine(o: {
  readonly models: readonly [TestedModel, ...TestedModel[]];
  readonly begin: () => CaptureFlows;
  readonly collided?: ((frame: Frame) => Verdict | undefined) | undefined;
  readonly escalation?: Escalation | undefined;
  readonly close: () => void;
}): FlowEngine {
  const [head] = o.models;
  const { escalation } = o;
  const comparison = new Comparison(o.models, escalation?.below ?? 0);
  /** Answers what the program has asked with a packet. */
  const answered = async (questions: readonly FlowQuestion[], flow: Flow | undefined) => {
    for (const question of questions) {
      const verdict = await escalation!.ask(question.features);
      if (verdict === undefined || flow === undefined || !head.device.answer(question, verdict)) continue;
      comparison.answer(flow.number, verdict);
      return { flow, ...verdict };
    }
    return undefined;
  };
  return {
    async capture(frames, onPacket) {
      const flows = o.begin();
      const places = new Map<number, FlowPlace>();
      comparison.begin(flows);
      for (const { device } of o.models) device.clear();
      let count = 0;
      for (const original of frames) {
        const frame = given(asEthernet(original));
        const { model, result } = flows.frame(frame);
        const { flow } = result;
        const own = o.models[model] ?? head;
        const mayEnd = flow !== undefined && endsAreTold(own.definition);
        const ran = resultOf(head.device, own.device, frame);
        const questions = escalation === undefined ? [] : head.device.questions();
        const asked = questions.length > 0;
        const place = changesFlow(ran.outcome) ? own.device.place() : undefined;
        const gone = mayEnd ? own.device.gone() : undefined;
        const found = { ...ran, asked, gone, place: place && `${place.bucket} ${place.place}` };
        if (mayEnd && place !== undefined) places.set(flow.number, place);
        const decision = comparison.packet(result, found, model, () => o.collided?.(frame));
        const answer = await answered(questions, flow);
        onPacket(answer === undefined ? decision : { ...decision, answer }, original);
        if (++count % TURN === 0) await new Promise(setImmediate);
      }
      // With the capture its flows end.
      for (const { model, row } of flows.end()) {
        const place = places.get(row.flow.number);
        const rows = comparison.ended(row, place && o.models[model]!.device.endPlace(place), model);
        onPacket({ outcome: 'classified', rows, flow: row.flow }, undefined);
      }
    },
    equality: () => comparison.equality(),
    async close() {
      o.close();
    },
  };
}

/** The frame as it goes to the kernel and to the reference. */
const given = (frame: Frame): Frame =>
  frame.data.length > MOST_TEST_FRAME ? { ...frame, data: frame.data.subarray(0, MOST_GIVEN) } : frame;

function resultOf(head: XdpFlowDevice, own: XdpFlowDevice, frame: Frame): DeviceResult {
  // The kernel is given no frame without a link header: drivers drop it before.
  if (frame.data.length < LEAST_PACKET)
    return { outcome: 'damaged', verdict: undefined, features: undefined };
  const result = head.run(frame.data, frame.timeNs, frame.length);
  return { ...result, features: result.outcome === 'classified' ? own.features() : undefined };
}
