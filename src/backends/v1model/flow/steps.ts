import { type FlowEventName, flowEvents, flowOutcomes } from '../../common/flow/outcomes.ts';
import { flowCounter, flowModel } from '../../common/flow/tables.ts';
import type { Printer } from '../../common/printer.ts';
import { SCRATCH } from '../code.ts';
import { FLOW } from './p4-printer.ts';
import type { PlaceField, V1modelFlowPlan } from './plan.ts';

/** What every program of flows has, whenever it classifies them. */

/**
 * P4 of a part of the place that was taken out of its bucket.
 * @param of what it is a part of, if not of that
 * @param base the lowest bit of the place there
 */
export const sliceOf = ({ low, width }: PlaceField, of = `${FLOW}.place`, base = 0): string =>
  `${of}[${base + low + width - 1}:${base + low}]`;

/** P4 that is true where there is a flow in the place. */
export const isTaken = ({ place: { match } }: V1modelFlowPlan): string =>
  `${sliceOf({ low: match.low + match.width - 1, width: 1 })} == 1`;

/** Cells of events stand behind those of outcomes in the one counter. */
export const countEvent = (p: Printer, event: FlowEventName): Printer =>
  p.line(`${flowCounter.name}.count(${flowOutcomes.length + flowEvents.indexOf(event)});`);

/** A packet whose flow has a place begins it or goes on with it. */
export function printUpdate(p: Printer): void {
  p.block(`if (${FLOW}.fresh == 1)`, () => countEvent(p.line('begin();'), 'begun'), '} else {');
  p.indent(() => p.line('go_on();')).line('}');
  p.line('update();');
}

/** Features and layers: there is a result then, if all weights are there. */
export function printComputation(p: Printer): void {
  p.line('compute_features();').line(`${SCRATCH}.setValid();`).line(`${flowModel.name}.apply();`);
  p.line('layers.apply(hdr);');
}

/** The model is asked. @param after what follows its verdict */
export function printInference(p: Printer, after: () => void = () => {}): void {
  printComputation(p);
  p.block(
    'if (hdr.result.isValid())',
    () => {
      p.line('take_verdict();');
      after();
    },
    '} else {',
  );
  p.indent(() => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_FAILED;`)).line('}');
}
