/**
 * The tables of a device that classifies flows, the same on every target: declared here once. Beside them stand `ports` of every
 * device, and the weights of the layers.
 */
import {
  type ActionModel,
  actionOf,
  type CounterModel,
  type DigestModel,
  exactKey,
  keylessTable,
  type MeterModel,
  ports,
  type TableModel,
  type TableSet,
  tableOf,
} from '../table-model.ts';
import { flowEvents, flowOutcomes } from './outcomes.ts';

/** Ids of flow mode's own, apart from those of requests. */
const OWN = 0x80;

/** Slots of weights that a device of flows has side by side. */
export const FLOW_SLOTS = 2;

/** Classes that a verdict can name. */
export const FLOW_CLASSES = 256;

/** Models beside each other, those of packets without a place among them, are fewer. */
const MODEL_STEP = 8;
/** Models that a device has beside each other at most, that of packets among them. */
export const MOST_FLOW_MODELS = 9;

/** Ids of counters of models behind the first. */
const MODEL_COUNTERS = 0x12_000000 + 0x10;

/** A name of what each of several models has for itself; of the first it is that of a model alone. */
const nameOf = (name: string, model: number): string => (model === 0 ? name : `${name}_of_${model}`);

/** Packets by outcome; then flows by event. @param model which of several */
export const flowCounterOf = (model: number): CounterModel => ({
  name: nameOf('flow_counts', model),
  id: model === 0 ? 0x12_000000 + 2 : MODEL_COUNTERS + model,
  size: flowOutcomes.length + flowEvents.length,
});

/** Of a device with one model, or of the first of several. */
export const flowCounter: CounterModel = flowCounterOf(0);

/** Packets and bytes of flows by class, from their verdict on. */
export const classCounter: CounterModel = {
  name: 'class_counts',
  id: 0x12_000000 + 3,
  size: FLOW_CLASSES,
  unit: 'BOTH',
};

/** Of those, what was beyond the rate of its class, and was dropped. */
export const limitedCounter: CounterModel = {
  name: 'class_limited',
  id: 0x12_000000 + 4,
  size: FLOW_CLASSES,
  unit: 'BOTH',
};

/** Rates of the classes that have an entry in `classes`: what is red is dropped. */
export const classMeter: MeterModel = { name: 'class_rates', id: 0x14_000000 + 1, size: FLOW_CLASSES };

/** Parameter `way` of `treat`. */
export const treatWays = { port: 0, redirect: 1, drop: 2 } as const;

/** Bit of parameter `mark` that says that packets are marked; below it the DSCP. */
export const MARK = 0x80;

/** Of classes without an entry: their packets are counted, and go on as the port says. */
export const untreated = actionOf(OWN, 'untreated');

/** All that may be done with packets of a class beyond counting them. */
export const treat = actionOf(OWN + 1, 'treat', [
  { name: 'way', bits: 8 },
  // Of `redirect`.
  { name: 'port', bits: 9 },
  // 0x80 and the DSCP; 0 leaves packets as they are.
  { name: 'mark', bits: 8 },
  // Clone session that gets copies; 0 for none.
  { name: 'session', bits: 16 },
  // Not 0: flows that become this class are told by digest.
  { name: 'tell', bits: 8 },
]);

/** What is done with packets of flows of a class. */
export const classes = tableOf(OWN, {
  name: 'classes',
  keys: [exactKey('class', 8)],
  actions: [treat],
  defaultAction: untreated,
  size: FLOW_CLASSES,
});

/**
 * Which slot's weights classify: its default action, so that one write changes them all. Before any it is the model's first.
 * @param model which of several
 */
export function flowModelOf(model: number): TableModel {
  const first = OWN + MODEL_STEP * model;
  const action = actionOf(first + 2, nameOf('decide', model), [{ name: 'slot', bits: 16 }]);
  return keylessTable(first + 1, nameOf('flow_model', model), action);
}

/** Of a device with one model, or of the first of several. */
export const flowModel: TableModel = flowModelOf(0);
/** Sets the slot whose weights classify from then on: the default action of `flowModel`. */
export const decide: ActionModel = flowModel.defaultAction;

/** Of a host: its agent asks the worker, by UDP. */
export const ask = actionOf(OWN + 4, 'ask', [
  // Margins below it are asked about; 0 for none.
  { name: 'below', bits: 8 },
  // Of the worker: IPv4 and UDP.
  { name: 'address', bits: 32 },
  { name: 'port', bits: 16 },
  { name: 'model', bits: 16 },
  // Questions a second at most.
  { name: 'rate', bits: 32 },
]);

/** Which flows a larger model is asked about: its default action. Nobody before it is written. */
export const escalation = keylessTable(OWN + 3, 'escalation', ask);

/** Bits of a request as a switch sends it, up to its job: Ethernet, IPv4, UDP, and half of the inference header. */
export const REQUEST_BITS = 8 * (14 + 20 + 8 + 16);

/** Of a switch: a clone of the flow's packet becomes the request, whose headers are ready in `request`. */
export const askByClone = actionOf(OWN + 5, 'ask_by_clone', [
  // Margins below it are asked about; 0 for none.
  { name: 'below', bits: 8 },
  // Clone session of the port to the worker.
  { name: 'session', bits: 16 },
  // Of the job of each request, its highest bits: who does not know them writes nothing into flows.
  { name: 'secret', bits: 16 },
  { name: 'request', bits: REQUEST_BITS },
]);

/** The same of a switch, where a cloned packet becomes the request. */
export const clonedEscalation = keylessTable(OWN + 3, escalation.name, askByClone);

/** Questions of a switch, in packets: red, which is beyond `pir` and `pburst`, is not asked. */
export const askMeter: MeterModel = {
  name: 'ask_rate',
  id: 0x14_000000 + 2,
  size: 1,
  unit: 'PACKETS',
};

/**
 * What the place of a flow is found with, on a switch: bits as many as the key has, and as its buckets are counted with.
 * @param model which of several
 */
export const flowSecret = (bits: number, model = 0): TableModel => {
  const first = OWN + MODEL_STEP * model;
  const mix = actionOf(first + 3, nameOf('mix', model), [
    { name: 'factor', bits },
    { name: 'start', bits },
  ]);
  return keylessTable(first + 2, nameOf('flow_secret', model), mix);
};

/** A flow that became a class that is told. */
export const flowDigest = (features: number, id: number): DigestModel => ({
  name: 'flow_verdict',
  id,
  fields: [
    { name: 'class', bits: 8 },
    { name: 'margin', bits: 8 },
    { name: 'ip_version', bits: 8 },
    { name: 'ip_protocol', bits: 8 },
    { name: 'client', bits: 128 },
    { name: 'client_port', bits: 16 },
    { name: 'server', bits: 128 },
    { name: 'server_port', bits: 16 },
    { name: 'features', bits: 8 * features },
  ],
});

/** What p4c makes of the digest's name: a digest takes no @id. */
export const FLOW_DIGEST_ID = 0x17_8c030e;

/**
 * All tables of a device of flows.
 * @param o.portDefault what becomes of packets of a port that has no entry
 * @param o.layers tables of the weights
 * @param o.secretBits of `flow_secret`, where there is one
 * @param o.asks who asks a larger model, where one is asked: the agent, or the switch by a cloned packet
 */
export const flowTables = (o: {
  readonly portDefault: ActionModel;
  readonly layers: readonly TableModel[];
  readonly features: number;
  readonly secretBits?: number;
  readonly asks?: 'agent' | 'clone' | undefined;
}): TableSet => ({
  tables: [
    { ...ports, defaultAction: o.portDefault },
    classes,
    flowModel,
    ...(o.secretBits === undefined ? [] : [flowSecret(o.secretBits)]),
    ...(o.asks === 'agent' ? [escalation] : []),
    ...(o.asks === 'clone' ? [clonedEscalation] : []),
    ...o.layers,
  ],
  counters: [flowCounter, classCounter, limitedCounter],
  digests: [flowDigest(o.features, FLOW_DIGEST_ID)],
  meters: [classMeter, ...(o.asks === 'clone' ? [askMeter] : [])],
});

/**
 * All tables of a device with several models of flows: each has its own slots, places and counts; ports and what is done with classes
 * are common.
 * @param o.models by number; those without flows classify packets by themselves, and are counted with the others; `secretBits` on a switch
 * @param o.features the most that any of them has
 */
export const flowSetTables = (o: {
  readonly portDefault: ActionModel;
  readonly models: readonly {
    readonly layers: readonly TableModel[];
    readonly hasFlows: boolean;
    readonly secretBits?: number;
  }[];
  readonly features: number;
}): TableSet => ({
  tables: [
    { ...ports, defaultAction: o.portDefault },
    classes,
    ...o.models.flatMap(({ layers, secretBits }, m) => [
      flowModelOf(m),
      ...(secretBits === undefined ? [] : [flowSecret(secretBits, m)]),
      ...layers,
    ]),
  ],
  counters: [
    ...o.models.flatMap(({ hasFlows }, m) => (hasFlows ? [flowCounterOf(m)] : [])),
    classCounter,
    limitedCounter,
  ],
  digests: [flowDigest(o.features, FLOW_DIGEST_ID)],
  meters: [classMeter],
});
