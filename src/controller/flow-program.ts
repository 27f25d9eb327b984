import {
  classes,
  classMeter,
  decide,
  FLOW_SLOTS,
  flowModel,
  flowSecret,
} from '../backends/common/flow/tables.ts';
import { weightsPlace } from '../backends/common/table-model.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import { cookieOf, type Init } from '../p4runtime/index.ts';
import { targetNamed } from '../targets/registry.ts';
import { temporaryFolder } from '../temporary.ts';
import type { KnownProgram } from './core/observed.ts';
import { updatesOf, type Write } from './core/updates.ts';
import { entityOf } from './forwarding.ts';
import { exactKeys, isHeld, isOf } from './versions.ts';

type Entity = Init<'Entity'>;

/**
 * The program of a device that classifies flows.
 * @returns undefined where no device of this kind does
 * @throws DiagnosticError where this definition or model does not fit one
 */
export function flowProgramFor(
  kind: string,
  definition: FeatureDefinition,
  model: Model,
): KnownProgram | undefined {
  const made = targetNamed(kind).device?.flows?.(definition, model);
  if (made === undefined) return undefined;
  const p4info = made.p4info();
  return {
    base: model,
    program: {
      p4info,
      cookie: cookieOf({ p4info, deviceConfig: Buffer.from(made.source().join('\0')) }),
      async build() {
        using folder = temporaryFolder();
        return await made.build(folder.path);
      },
      slots: Array.from({ length: FLOW_SLOTS }, (_, slot) => slot),
      weights: (_, slot) => made.weights(slot),
      drawn: (entities) => made.drawn(entities),
    },
  };
}

/** What is read of a device that classifies flows besides its tables: where copies go, and rates of classes with an entry. */
export const flowRequests = (entities: readonly Entity[]): readonly Entity[] => [
  { packetReplicationEngineEntry: { cloneSessionEntry: {} } },
  ...entities
    .filter((e) => isOf(classes, e) && !e.tableEntry?.isDefaultAction)
    .map((e) => ({ meterEntry: { meterId: classMeter.id, index: { index: exactKeys(e)[0]! } } })),
];

/** Default actions of a controller: which weights classify, and what places of flows are found with. */
const OWN_DEFAULTS: ReadonlySet<number> = new Set([flowModel.id, flowSecret(1).id]);

/** Whether what was read of such a device says anything. */
export const isHeldOfFlows = (entity: Entity): boolean =>
  isHeld(entity) ||
  (OWN_DEFAULTS.has(entity.tableEntry?.tableId ?? 0) && entity.tableEntry?.action !== undefined);

const weightsSlot = ({ tableEntry }: Entity): number | undefined =>
  weightsPlace(tableEntry?.tableId ?? 0)?.slot;

const decision = (slot: number): Entity =>
  entityOf({ table: flowModel, keys: [], action: decide, parameters: [slot] });

/**
 * What a device that classifies flows is to hold, and all of it. Other weights go beside those that classify, and one write makes them
 * classify: no flow is classified by a part of each.
 * @param wanted all but weights and what is drawn @param entities as they were read
 */
export function flowWrites(
  { base, program }: KnownProgram,
  entities: readonly Entity[],
  wanted: readonly Entity[],
): readonly Write[] {
  const [first, second] = program.slots as [number, number];
  const decides = (slot: number): Write => ({ part: (e) => isOf(flowModel, e), wanted: [decision(slot)] });
  const current = updatesOf(entities, decides(second)).length === 0 ? second : first;
  const load = (slot: number): Write => ({
    part: (e) => weightsSlot(e) === slot,
    wanted: program.weights(base, slot),
  });
  const isFresh = !entities.some((e) => weightsSlot(e) === current);
  const isRight = updatesOf(entities, load(current)).length === 0;
  const slot = isFresh || isRight ? current : first + second - current;
  return [
    load(slot),
    decides(slot),
    {
      part: (e) => weightsSlot(e) === undefined && !isOf(flowModel, e),
      wanted: [...wanted, ...(program.drawn?.(entities) ?? [])],
    },
  ];
}
