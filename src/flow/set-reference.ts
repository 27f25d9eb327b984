import type { Frame } from '../capture/index.ts';
import { FeatureExecutor, type Flow } from '../features/executor.ts';
import { parsePacket } from '../features/packet.ts';
import { type CaptureFlows, type FlowEngine, referenceEngine, type Verdict, verdicts } from './engine.ts';
import { type FlowSet, memberOf, type SetModel } from './set.ts';

/** A model's verdicts, with the numbers that its classes have in the set. */
export function verdictsIn({ model, classes }: SetModel): (features: Uint8Array) => Verdict {
  const verdictOf = verdicts(model);
  return (features) => {
    const verdict = verdictOf(features);
    return { ...verdict, class: classes[verdict.class]! };
  };
}

/** The flows of all members, numbered in the order of their first packets. */
export function flowsOfSet(set: FlowSet): CaptureFlows {
  const executors = set.members.map((m) => new FeatureExecutor(m.definition));
  const numbers = new Map<string, number>();
  /** What each is called by its own executor. */
  const own: number[] = [];
  const numbered = <T extends { readonly flow: Flow }>(model: number, of: T): T => {
    const key = `${model} ${of.flow.number}`;
    const number = numbers.get(key) ?? numbers.size + 1;
    numbers.set(key, number);
    own[number] = of.flow.number;
    return { ...of, flow: { ...of.flow, number } };
  };
  return {
    frame(frame) {
      const packet = parsePacket(frame);
      if (typeof packet === 'string') return { model: -1, result: { outcome: packet, rows: [] } };
      const model = memberOf(set, packet);
      if (model < 0) return { model, result: { outcome: 'foreign', rows: [] } };
      const { flow, ...result } = executors[model]!.frame(frame, packet);
      const rows = result.rows.map((row) => numbered(model, row));
      return { model, result: { ...result, rows, ...(flow && numbered(model, { flow })) } };
    },
    forget(model, flow) {
      const gone = executors[model]!.forget(own[flow]!);
      return gone && { ...gone, row: gone.row && numbered(model, gone.row) };
    },
    *end() {
      for (const [model, executor] of executors.entries())
        for (const row of executor.end()) yield { model, row: numbered(model, row) };
    },
  };
}

/** Several models by the reference. Its tables never fill, so that no packet is without a flow. */
export const createReferenceSetEngine = (set: FlowSet): FlowEngine =>
  referenceEngine(() => flowsOfSet(set), set.members.map(verdictsIn));

/** A model of packets is given of one what it would be of a flow that begins with it; of one that it does not accept it says nothing. */
export function packetVerdicts(of: SetModel): (frame: Frame) => Verdict | undefined {
  const { definition } = of;
  const verdictOf = verdictsIn(of);
  return (frame) => {
    const [row] = new FeatureExecutor(definition).frame(frame).rows;
    return row && verdictOf(row.features);
  };
}
