import { type Diagnostic, DiagnosticError, diagnostic, refuse } from '../../diagnostics/index.ts';
import type { Model } from '../../model/model.ts';
import type { LayerRange } from '../planned-layers.ts';
import { CURRENT, inSlot, partOf, versionKey } from '../versions.ts';
import type { DesiredDevice, DesiredModel, DesiredVersion } from './desired.ts';
import { type Entity, heldOn, type KnownProgram, type ObservedDevice, slotsInUse } from './observed.ts';

/** Where the versions of a device stand, or are to stand; what cannot stand anywhere is a refusal. */
export interface Slots {
  of(modelId: number, version: number): number;
  readonly refusals: readonly Diagnostic[];
}

type Wanted = DesiredModel & DesiredDevice['models'][number];

/** Slots of the program that take a version of these layers. @throws DiagnosticError `envelope-exceeded` where none does */
export function slotsFor({ program }: KnownProgram, model: Model, range: LayerRange): readonly number[] {
  const { from, to } = range;
  let why: DiagnosticError | undefined;
  for (const { slots } of program.parts?.filter((p) => p.from === from && p.to === to) ?? [program])
    try {
      program.weights(model, slots[0]!);
      return slots;
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      why = error;
    }
  if (why !== undefined) throw why;
  const what = `no shape of it has the layers ${from}..${to}`;
  return refuse('envelope-exceeded', { what }, { file: model.file });
}

/** Weights of a version in a slot of the program. @throws DiagnosticError `envelope-exceeded` */
export function weightsAt({ program }: KnownProgram, model: Model, slot: number): readonly Entity[] {
  // Weights are encoded once a program, and moved to their slot.
  const first = (program.parts === undefined ? program : partOf(program.parts, slot)).slots[0]!;
  return program.weights(model, first).map((e) => inSlot(e, slot));
}

/**
 * Finds a slot for each version that a device is to hold: the one where it is; that which its model claims; a free one; where all are
 * taken, one whose version is neither current nor wanted makes room.
 * @throws DiagnosticError where a version does not fit the program
 */
// Long: the four rules of the docstring in their order, over one record of what is taken.
export function slotsOn(desired: DesiredDevice, there: ObservedDevice): Slots {
  const { known } = there;
  const found = new Map<string, number>();
  const of = (modelId: number, version: number): number => {
    const slot = found.get(keyOf(modelId, version));
    if (slot === undefined) throw new Error(`${desired.name} has no slot for version ${version}`);
    return slot;
  };
  if (known === undefined) return { of, refusals: [] };
  const refusals: Diagnostic[] = [];
  const wanted = desired.models.flatMap((model) => model.versions.map((v) => ({ model, v })));
  const used = slotsInUse(there);
  // Removed at last, so whatever may be named by packets until then keeps its slot.
  const stays = new Set(wanted.map(({ model, v }) => keyOf(model.modelId, v.version)));
  const canGo = (slot: number): boolean =>
    (used.get(slot) ?? []).every((e) => {
      const [modelId, version] = versionKey(e);
      return version !== CURRENT && !stays.has(keyOf(modelId, version));
    });
  const taken = new Set<number>();
  const take = (model: Wanted, v: DesiredVersion, slot: number) => {
    taken.add(slot);
    found.set(keyOf(model.modelId, v.version), slot);
  };
  const rest: typeof wanted = [];
  for (const { model, v } of wanted) {
    const held = heldOn(there, model.modelId, v.version);
    if (held === undefined) rest.push({ model, v });
    else take(model, v, held.slot);
    if (held === undefined || model.slot === undefined || model.slot === held.slot) continue;
    const what = `it stands in slot ${held.slot} already`;
    refusals.push(refusal(desired, model, v, what, `name that slot, or give the weights another version`));
  }
  for (const { model, v } of rest.filter(({ model }) => model.slot !== undefined)) {
    const slot = model.slot!;
    const slots = slotsFor(known, v.model, model.held(v));
    if (!slots.includes(slot)) {
      const what = `its program has the slots ${listed(slots)}`;
      refusals.push(refusal(desired, model, v, what, 'name one of them, or none'));
    } else if (taken.has(slot) || !canGo(slot)) {
      const what = `it holds ${namesOf(used.get(slot) ?? []) || 'another of this deployment'}`;
      refusals.push(refusal(desired, model, v, what, 'name a free slot, or none'));
    } else take(model, v, slot);
  }
  for (const { model, v } of rest.filter(({ model }) => model.slot === undefined)) {
    const slots = slotsFor(known, v.model, model.held(v));
    const slot =
      slots.find((s) => !used.has(s) && !taken.has(s)) ?? slots.find((s) => canGo(s) && !taken.has(s));
    if (slot !== undefined) take(model, v, slot);
    else
      refusals.push(
        diagnostic('device-full', {
          device: desired.name,
          modelId: model.modelId,
          version: v.version,
          slots: slots.length,
        }),
      );
  }
  return { of, refusals };
}

const keyOf = (modelId: number, version: number): string => `${modelId}/${version}`;

const refusal = (
  { name: device }: DesiredDevice,
  { modelId, slot }: Wanted,
  { version }: DesiredVersion,
  what: string,
  remedy: string,
): Diagnostic => diagnostic('slot-taken', { device, modelId, version, slot: slot!, what, remedy });

const namesOf = (entities: readonly Entity[]): string =>
  [...new Set(entities.map((e) => versionKey(e)))]
    .filter(([, version]) => version !== CURRENT)
    .map(([modelId, version]) => `version ${version} of model ${modelId}`)
    .join(', ');

/** `16..19` of what stands together. */
function listed(slots: readonly number[]): string {
  const [first, last] = [slots[0]!, slots.at(-1)!];
  return last - first === slots.length - 1 ? `${first}..${last}` : slots.join(', ');
}

/** What a program cannot take of a model; undefined where all fits. */
export function misfit(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof DiagnosticError && error.diagnostics.every((d) => d.code === 'envelope-exceeded'))
      return error.diagnostics.map((d) => d.message.replace(/^.*?: /, '')).join('; ');
    throw error;
  }
}
