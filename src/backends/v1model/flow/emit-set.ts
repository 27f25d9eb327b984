import { firstSlotOf } from '../../../dataplane/abi.ts';
import { endsAreTold } from '../../../features/definition.ts';
import { acceptance } from '../../common/flow/accepts.ts';
import { flowCounter } from '../../common/flow/tables.ts';
import { Printer } from '../../common/printer.ts';
import { SCRATCH } from '../code.ts';
import { marginField, printLayers, resultFields } from '../print-program.ts';
import { renamed, type SharedScratch, sharedScratch } from '../print-together.ts';
import {
  PARAMETERS,
  printDigest,
  printFields,
  printOpening,
  printPipeline,
  printReport,
  printReportHeader,
  type Reported,
} from './emit.ts';
import { printClasses, printCounts, printModelSlot, printSecret, printTreatment } from './emit-actions.ts';
import { againLines, endFields, printSecondPass } from './emit-end.ts';
import {
  classText,
  featuresText,
  printFlow,
  printOwnActions,
  printPacketActions,
  printPacketFields,
  printPacketModelActions,
  verdictLines,
} from './emit-flow.ts';
import { flowCode, isOwnField } from './flow-code.ts';
import { FLOW, type FlowField, looked } from './p4-printer.ts';
import { selectorText } from './select-code.ts';
import {
  mayResubmit,
  modelsOf,
  mostFeatures,
  type V1modelSetModel,
  type V1modelSetPlan,
} from './set-plan.ts';
import { printComputation } from './steps.ts';

/**
 * A program of several models: what is read of a packet, and what is done with it, is common; each model is a control, which finds
 * the packet's flow in a register of its own. One of them runs, or that of packets after it.
 */

const isWhole = `${FLOW}.outcome == INTRANSIT_FLOW_CLASSIFIED`;

/** The P4 program of a set, without what it includes. @param test whether packets leave behind a report of their flow */
export function printFlowSet(set: V1modelSetPlan, test = false): string {
  const p = new Printer();
  const models = modelsOf(set);
  const reported = reportedOf(set);
  const names = models.map(({ plan }) => plan.compute.model.name).join(', ');
  printOpening(p, `${names}: flows classified as they pass, each by one of them.`, {
    ...reported,
    test,
  });
  const work = models.map((_, m) => `activations_${m}_t activations_${m}; result_${m}_t result_${m};`);
  p.line(`#define INTRANSIT_FLOW_WORK ${work.join(' ')}`).line();
  const shared = sharedScratch(models.map(({ plan }) => plan.compute));
  printHeaders(p, set, shared);
  printDigest(p, reported.features);
  if (test) printReportHeader(p, reported);
  p.line('#include "intransit_flow.p4"').line();
  for (const [m, model] of models.entries()) printModel(p, set, model, m, shared);
  printIngress(p, set, test);
  printPipeline(p);
  return p.toString();
}

/** What a report of a packet has: as many features as any model, whichever it was. */
const reportedOf = (set: V1modelSetPlan): Reported => ({
  features: mostFeatures(set),
  fields: [
    { name: 'features', width: 8 * mostFeatures(set) },
    { name: 'model', width: 8 },
  ],
  lines: [`hdr.report.features = ${FLOW}.features;`, `hdr.report.model = ${FLOW}.model;`],
  atEnd: mayResubmit(set),
  collided: set.collided !== undefined,
});

function printHeaders(p: Printer, set: V1modelSetPlan, { scratch }: SharedScratch): void {
  const common = new Map<string, FlowField>();
  const own: FlowField[] = [];
  for (const [m, { plan }] of modelsOf(set).entries()) {
    const { lowered } = plan.compute;
    printFields(p, `activations_${m}_t`, lowered.input);
    printFields(p, `result_${m}_t`, resultFields(lowered));
    for (const field of flowCode(plan).fields)
      if (isOwnField(field.name)) own.push({ ...field, name: ownName(m, field.name) });
      else common.set(field.name, field);
  }
  for (const field of mayResubmit(set) ? endFields : []) common.set(field.name, field);
  printFields(p, 'scratch_t', [{ name: 'slot', width: 16 }, ...scratch]);
  printFields(p, 'flow_t', [
    ...common.values(),
    { name: 'features', width: 8 * mostFeatures(set) },
    { name: 'model', width: 8 },
    ...own,
  ]);
}

const ownName = (model: number, name: string): string => `m${model}_${name}`;

/** Its layers, and what it does with a packet, as controls. */
function printModel(
  p: Printer,
  set: V1modelSetPlan,
  model: V1modelSetModel,
  m: number,
  { scratchOf }: SharedScratch,
): void {
  const own = new Printer();
  printLayers(own, model.plan.compute, `IntransitLayers_${m}`, firstSlotOf(m));
  own.line();
  if (model === set.collided) printPacketControl(own, set, model, m);
  else printMemberControl(own, set, model, m);
  const { input } = model.plan.compute.lowered;
  const members = [...input.map(({ name }) => name), 'setValid', 'isValid'];
  const names = {
    activations: new Map(members.map((name) => [name, `hdr.activations_${m}.${name}`])),
    scratch: scratchOf.get(model.plan.compute)!,
    result: `result_${m}`,
  };
  const text = renamed(own.toString(), names).replaceAll(/\bhdr\.flow\.(\w+)\b/g, (whole, name: string) =>
    isOwnField(name) ? `${FLOW}.${ownName(m, name)}` : whole,
  );
  for (const line of text.trimEnd().split('\n')) p.line(line);
  p.line();
}

function printMemberControl(p: Printer, set: V1modelSetPlan, model: V1modelSetModel, m: number): void {
  const { plan } = model;
  const { definition: d, place } = plan;
  const flow = () => {
    p.line(`${FLOW}.model = ${m};`);
    printFlow(p, plan);
  };
  p.block(`control FlowModel_${m}${PARAMETERS}`, () => {
    printCounts(p, m);
    p.line(`register<bit<${2 * place.width}>>(${plan.buckets}) flows;`);
    p.line(`IntransitLayers_${m}() layers;`).line();
    printModelSlot(p, m);
    printSecret(p, plan, m);
    printOwnActions(p, plan, codeOf(set, model), takeLines(model));
    p.block('apply', () => {
      p.block(`if (${isWhole})`, () => {
        // It is known of the others already that the packet is theirs.
        if (m < set.members.length - 1) return flow();
        p.block(`if (${conditionOf(set, m)})`, flow, '} else {');
        p.indent(() => p.line(`${FLOW}.outcome = INTRANSIT_FLOW_FOREIGN;`)).line('}');
      });
      const count = () => p.line(`${flowCounter.name}.count((bit<32>)${FLOW}.outcome);`);
      if (endsAreTold(d)) p.block(`if (${FLOW}.gone == 0)`, count);
      else count();
    });
  });
}

function printPacketControl(p: Printer, set: V1modelSetPlan, model: V1modelSetModel, m: number): void {
  p.block(`control FlowModel_${m}${PARAMETERS}`, () => {
    p.line(`IntransitLayers_${m}() layers;`).line();
    printModelSlot(p, m);
    printPacketModelActions(p, codeOf(set, model), takeLines(model));
    p.block('apply', () => {
      p.block(`if (${acceptance(model.plan.definition, `${FLOW}.`)})`, () => {
        printComputation(p);
        // Of a packet without a flow nobody is told.
        p.block('if (hdr.result.isValid())', () => p.line('take_verdict();').line(`${FLOW}.told = 0;`));
      });
    });
  });
}

/** P4 that is true for packets that a member is for. */
function conditionOf({ members }: V1modelSetPlan, m: number): string {
  const { plan, when } = members[m]!;
  const accepted = acceptance(plan.definition, `${FLOW}.`);
  return when === undefined ? accepted : `${accepted} && ${selectorText(when)}`;
}

/** What a model does; its features are kept for whoever tells of them, as many as any model has. */
function codeOf(set: V1modelSetPlan, { plan }: V1modelSetModel) {
  const code = flowCode(plan);
  const more = mostFeatures(set) - plan.definition.features.length;
  const features = [featuresText(plan), ...(more > 0 ? [`${8 * more}w0`] : [])].join(' ++ ');
  return { ...code, features: [...code.features, `${FLOW}.features = ${features};`] };
}

/** Takes class and margin out of the result: the class by its number among those of all. */
function takeLines({ plan, classes }: V1modelSetModel): readonly string[] {
  const own = classText(plan);
  const isSame = classes.every((number, i) => number === i);
  return [
    `${FLOW}.class = ${isSame ? own : `(bit<8>)${looked(`((bit<64>)${own})`, classes, 8)}`};`,
    `${FLOW}.setValid();`,
    ...verdictLines(`${FLOW}.class`, `${FLOW}.class ++ ${marginField(plan.compute.lowered)}`),
  ];
}

// Long: the text of a control, in its order.
function printIngress(p: Printer, set: V1modelSetPlan, test: boolean): void {
  const again = mayResubmit(set);
  const { members, collided } = set;
  const apply = (m: number) => p.line(`model_${m}.apply(hdr, meta, standard);`);
  p.block(`control FlowIngress${PARAMETERS}`, () => {
    p.line('FlowPacket() packet;').line('bit<8> outcome;');
    for (const [m] of modelsOf(set).entries()) p.line(`FlowModel_${m}() model_${m};`);
    p.line();
    printClasses(p);
    printPacketActions(p, again);
    p.block('apply', () => {
      p.line('packet.apply(hdr, meta, standard, outcome);').line(`${FLOW}.outcome = outcome;`);
      p.line(`${SCRATCH}.setValid();`);
      for (const field of ['verdict', 'told', 'features', 'model', ...(again ? ['gone'] : [])])
        p.line(`${FLOW}.${field} = 0;`);
      if (again) printSecondPass(p);
      p.block(`if (${isWhole})`, () => printPacketFields(p));
      // What is no IP packet is counted with the first, what no model is for with the last.
      members.slice(0, -1).forEach((_, m) => {
        const condition = m === 0 ? `!(${isWhole}) || (${conditionOf(set, m)})` : conditionOf(set, m);
        p.line(`${m === 0 ? '' : '} else '}if (${condition}) {`).indent(() => apply(m));
      });
      if (members.length === 1) apply(0);
      else
        p.line('} else {')
          .indent(() => apply(members.length - 1))
          .line('}');
      if (collided !== undefined)
        p.block(`if (${FLOW}.outcome == INTRANSIT_FLOW_COLLIDED)`, () => apply(members.length));
      const report = () => printReport(p, reportedOf(set));
      if (test && again) p.block(`if (${FLOW}.gone == 0)`, report);
      else if (test) report();
      const features = `${FLOW}.features`;
      printTreatment(p, features, again ? againLines(test ? features : undefined) : undefined);
    });
  });
}
