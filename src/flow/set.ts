import { FLOW_CLASSES } from '../backends/common/flow/tables.ts';
import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { Typed } from '../features/expression/index.ts';
import { acceptsPacket, endsAreTold, type FeatureDefinition, readFeatures } from '../features/index.ts';
import type { ParsedPacket } from '../features/packet.ts';
import { type Selector, selects } from '../features/selector.ts';
import { importModel } from '../import/index.ts';
import { classCount } from '../model/classes.ts';
import type { Model } from '../model/model.ts';
import { modelOfFeatures } from './model.ts';
import { type ModelsFile, readModelsFile } from './models-file.ts';

/** A model with its features, and where its classes stand among those of all models. */
export interface SetModel {
  readonly definition: FeatureDefinition;
  readonly model: Model;
  /** By the model's own number of a class: its number in the set. */
  readonly classes: readonly number[];
}

/** A model for packets of its own kind: the first that takes a packet gets it. */
export interface SetMember extends SetModel {
  readonly name: string;
  readonly when: Selector | undefined;
}

/** Models beside each other, and what classifies packets of which the flow has no place. */
export interface FlowSet {
  readonly name: string;
  readonly file: string;
  readonly members: readonly SetMember[];
  readonly collided: SetModel | undefined;
  /** Names of the classes of all; those that have the same name are one. */
  readonly classes: readonly string[];
  /** What was noted when the models were read: no errors. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Which member a packet is for: the first that takes it. */
export const memberOf = (set: FlowSet, packet: ParsedPacket): number =>
  set.members.findIndex(
    ({ when, definition }) =>
      acceptsPacket(definition, packet.fields) && (when === undefined || selects(when, packet)),
  );

/** All models, that of packets last. */
export const modelsOf = ({
  members,
  collided,
}: FlowSet): readonly (SetModel & Partial<Pick<SetMember, 'when'>>)[] => [
  ...members,
  ...(collided ? [collided] : []),
];

/** The most features of a model. */
export const mostFeaturesOf = (set: FlowSet): number =>
  Math.max(...modelsOf(set).map((m) => m.definition.features.length));

/** Reads a file of models, the models and their features. @throws DiagnosticError */
export async function readFlowSet(file: string): Promise<FlowSet> {
  const { metadata, spec } = readModelsFile(file);
  const names: string[] = [];
  const faults: Diagnostic[] = [];
  const notes: Diagnostic[] = [];
  const fault = (path: string, what: string): void => {
    faults.push(diagnostic('models-field', { path, what }, { file }));
  };
  const read = async (
    own: Pick<ModelsFile['spec']['models'][number], 'model' | 'features' | 'classes'>,
    name: string,
    path: string,
  ): Promise<SetModel> => {
    const definition = readFeatures(own.features);
    const imported = await importModel(own.model);
    // A model that several of them have is noted once.
    if (!notes.some((d) => d.place?.file === own.model)) notes.push(...imported.diagnostics);
    const model = modelOfFeatures(imported, definition);
    const count = classCount(model);
    if (own.classes !== undefined && own.classes.length !== count)
      fault(`${path}.classes`, `are ${own.classes.length}, and the model tells ${count} apart`);
    const usual = definition.classes?.length === count ? definition.classes : undefined;
    const given = own.classes ?? model.classes ?? usual ?? [];
    const classes = Array.from({ length: count }, (_, i) => {
      const called = given[i] ?? `${name}-${i}`;
      const known = names.indexOf(called);
      return known >= 0 ? known : names.push(called) - 1;
    });
    return { definition, model, classes };
  };
  const members: SetMember[] = [];
  for (const [i, m] of spec.models.entries())
    members.push({ ...(await read(m, m.name, `spec.models[${i}]`)), name: m.name, when: m.when });
  const collided = spec.collided && (await read(spec.collided, 'collided', 'spec.collided'));
  const why = collided && notOfPacket(collided.definition);
  if (why !== undefined) fault('spec.collided.features', why);
  const [first, ...more] = members.filter((m) => endsAreTold(m.definition));
  const other = more.find((m) => m.definition.clockNs !== first!.definition.clockNs);
  if (other !== undefined)
    fault(`spec.models.${other.name}`, `and ${first!.name} are told at their ends by different clocks`);
  if (names.length > FLOW_CLASSES)
    fault('spec.models', `have ${names.length} classes together; at most ${FLOW_CLASSES} have numbers`);
  if (faults.length > 0) throw new DiagnosticError(faults);
  return { name: metadata.name, file, members, collided, classes: names, diagnostics: notes };
}

/** Fields that only a flow gives a packet. */
const OF_FLOWS = ['direction', 'port.client', 'port.server'];

/** Why a definition is not of packets alone. */
function notOfPacket({ state, features, occasion }: FeatureDefinition): string | undefined {
  if (state.length > 0) return 'keep state, and a packet without a flow has none';
  if (occasion.kind !== 'every-packet') return 'are not for every packet (classify: every-packet)';
  const text = JSON.stringify(features.map((f) => f.value));
  const field = OF_FLOWS.find((name) =>
    text.includes(JSON.stringify({ kind: 'field', name } as Partial<Typed>).slice(1, -1)),
  );
  if (field !== undefined) return `read ${field}, which only a flow gives a packet`;
  return text.includes('"kind":"now"') ? 'read the time, which means nothing without a flow' : undefined;
}
