import type { Diagnostic } from '../../diagnostics/index.ts';
import { layerCountRefusals, layerRangeRefusals } from '../../model/layer-count.ts';
import { type Model, valueType } from '../../model/model.ts';
import { elementCount, type TensorType } from '../../model/tensor.ts';
import { wideRefusals } from '../../model/wide-layers.ts';
import type { TableProgram } from '../../passes/tables/program.ts';
import { DEFAULT_PORT, ipv4Bytes, MOST_LAYERS } from '../../wire/header.ts';
import { type Need, needDiagnostics } from '../common/need.ts';
import type { ProgramOptions } from '../common/program-options.ts';
import { WEIGHT_SLOTS } from '../common/table-model.ts';
import { v1model } from './limits.ts';
import { type Lowered, type LowerOptions, lower, MAX_LOOKUP_ENTRIES, MAX_LOOKUP_TABLES } from './lower.ts';
import { lowerTables } from './lower-tables.ts';
import { widestEntry } from './tables.ts';

/** What `planV1model` may be told beyond the options of every target. */
export interface V1modelOptions extends ProgramOptions {
  /** Versions of the weights that the program holds side by side; default 16. */
  readonly slots?: number;
  /**
   * `tables`: each activation is the key of a table that adds to the sums of the next layer, as hardware without a multiplier
   * has it. Default `lanes`.
   */
  readonly lowering?: 'lanes' | 'tables';
  /** With `tables`: what is to be printed instead of the exact tables of the layers. */
  readonly tables?: TableProgram;
}

type DecidedOptions = Required<Omit<V1modelOptions, 'tables'>> & Pick<V1modelOptions, 'tables'>;

/** A program for v1model, decided on to the last bit but not yet written. */
export interface V1modelPlan {
  readonly model: Model;
  readonly options: DecidedOptions;
  readonly input: TensorType;
  readonly output: TensorType;
  /** Elements of input and output. */
  readonly inputs: number;
  readonly outputs: number;
  readonly lowered: Lowered;
  readonly needs: readonly Need[];
}

/**
 * Plans layers `[from, to)` of a verified model.
 * @returns no plan where the layers cannot be expressed at all; beside a plan, errors for what exceeds the target
 */
export function planV1model(
  model: Model,
  given: V1modelOptions = {},
): { plan?: V1modelPlan; diagnostics: Diagnostic[] } {
  const options: DecidedOptions = {
    from: given.from ?? 0,
    to: given.to ?? model.layers.length,
    lanes: given.lanes ?? 'on',
    weights: given.weights ?? 'runtime',
    modelId: given.modelId ?? 1,
    modelVersion: given.modelVersion ?? 1,
    mtu: given.mtu ?? v1model.defaultMtu,
    port: given.port ?? DEFAULT_PORT,
    slots: given.slots ?? WEIGHT_SLOTS,
    lowering: given.lowering ?? 'lanes',
    ...(given.tables && { tables: given.tables }),
  };
  const { from, to } = options;
  const noRange = layerRangeRefusals(model, from, to);
  if (noRange.length > 0) return { diagnostics: noRange };
  const tooMany = layerCountRefusals(model, MOST_LAYERS, v1model.name);
  if (tooMany.length > 0) return { diagnostics: tooMany };
  const wide = wideRefusals(model, from, to, v1model.name);
  if (wide.length > 0) return { diagnostics: wide };
  const { lowered, diagnostics: refusals } =
    options.lowering === 'tables' ? lowerTables(model, options) : lowerCheapest(model, options);
  if (lowered === undefined) return { diagnostics: refusals };
  const input = valueType(model, from);
  const output = valueType(model, to);
  const needs = needsOf(model, lowered, options);
  const plan: V1modelPlan = {
    model,
    options,
    input,
    output,
    inputs: elementCount(input.shape),
    outputs: elementCount(output.shape),
    lowered,
    needs,
  };
  return { plan, diagnostics: needDiagnostics(needs, v1model.name, model.file) };
}

/**
 * Lowers with the narrowest lanes, and with lanes as wide as the widest layer needs: then a layer can take several
 * lanes of the one before it in one multiply. Takes what costs less.
 */
function lowerCheapest(
  model: Model,
  options: DecidedOptions,
): { lowered?: Lowered; diagnostics: Diagnostic[] } {
  const at = (laneFloors: LowerOptions['laneFloors']) => lower(model, { ...options, laneFloors });
  const narrow = at(new Map());
  if (narrow.lowered === undefined || options.lanes === 'off') return narrow;
  const floors = nextNeeds(narrow.lowered);
  if (floors.size === 0) return narrow;
  const wide = at(floors);
  return wide.lowered !== undefined && wide.lowered.cost < narrow.lowered.cost ? wide : narrow;
}

/** For each matrix layer the lane width that the next one needs. */
function nextNeeds(lowered: Lowered): Map<number, number> {
  const matrices = lowered.layouts.filter((l) => l.words.length > 0);
  return new Map(
    matrices.slice(1).map((next, i) => [matrices[i]!.layer, Math.max(...next.words.map((w) => w.needBits))]),
  );
}

const HELP = 'leave layers to another node with --layers A..B, or split the layer over its outputs';

const KEYS_HELP =
  'every key has a table with all rows: use fewer keys or rows, or leave the layer to another node with --layers A..B';

const CONSTANTS_HELP =
  'p4c takes minutes for more constants: --weights runtime keeps them out of the program';

function needsOf(model: Model, lowered: Lowered, options: DecidedOptions): Need[] {
  const needs: Need[] = [];
  for (const { layer, words, products, lookups } of lowered.layouts) {
    if (words.length === 0 && lookups === undefined) continue;
    const of = { layer: model.layers[layer]!.name, help: HELP };
    const width = { limit: v1model.maxWidthBits, unit: 'bits' };
    if (words.length > 0) {
      needs.push({ ...of, resource: 'lane', need: Math.max(...words.map((l) => l.needBits)), ...width });
      const widest = Math.max(...words.flatMap((l) => l.words.map((w) => w.width)));
      needs.push({ ...of, resource: 'word', need: widest, ...width });
    }
    if (lookups !== undefined) {
      const { tables, rows } = lookups;
      const keyed = { layer: model.layers[layer]!.name, help: KEYS_HELP };
      needs.push({
        ...keyed,
        resource: 'tables by key',
        need: tables,
        limit: MAX_LOOKUP_TABLES,
        unit: 'tables',
      });
      const limit = MAX_LOOKUP_ENTRIES[options.weights];
      const entries = { resource: 'entries by key', need: tables * rows, limit, unit: 'entries' };
      needs.push({ ...keyed, ...entries, ...(options.weights === 'static' && { help: CONSTANTS_HELP }) });
      continue;
    }
    const operations = { limit: v1model.maxProducts, unit: 'operations' };
    needs.push({ ...of, resource: 'multiply-adds', need: products, ...operations });
  }
  const whole = (resource: string, need: number, limit: number, help: string) =>
    needs.push({ resource, need, limit, unit: 'bytes', help });
  const bytes = (value: number) => ipv4Bytes(elementCount(valueType(model, value).shape));
  const mtu = 'raise --mtu where the path allows it';
  const packet = { limit: options.mtu, unit: 'bytes', help: mtu, ofPath: true } as const;
  needs.push({ resource: 'request', need: bytes(options.from), ...packet });
  needs.push({ resource: 'answer', need: bytes(options.to), ...packet });
  whole('action data of one entry', widestEntry(lowered), v1model.maxEntryBytes, HELP);
  return needs;
}
