import type { Diagnostic } from '../diagnostics/index.ts';
import { diagnostic } from '../diagnostics/index.ts';
import type { FeaturesFile, KeyField } from './definition-schema.ts';
import {
  checkExpression,
  ExpressionError,
  parseExpression,
  type Scope,
  type Typed,
  type ValueType,
} from './expression/index.ts';
import { lowerState, type ScalarText } from './lower-state.ts';

/** A number that a flow keeps, ready for the reference and the targets. */
export interface Scalar {
  readonly name: string;
  readonly index?: number;
  /** Bits that hold it; an instant takes the width of the device's clock. */
  readonly bits: number;
  readonly type: ValueType;
  /** Before the flow's first packet, in that packet's fields. */
  readonly initial: Typed;
  /** With each packet; the value stops at the largest of its width. */
  readonly update: Typed;
}

/** A number that the model is given: a formula, whose range is proven to fit a byte. */
export interface Feature {
  readonly name: string;
  readonly value: Typed;
}

/** When a flow's features go to the model; packets count from 1. */
export type Occasion =
  | { readonly kind: 'every-packet' | 'powers-of-two' | 'end' }
  | { readonly kind: 'packets'; readonly numbers: readonly number[] };

/** Which packets are of one flow. */
export interface FlowKey {
  readonly fields: readonly KeyField[];
  /** Source and destination may change places: both directions are one flow. */
  readonly bothWays: boolean;
}

/** A feature file whose names, types and ranges are checked. */
export interface FeatureDefinition {
  readonly name: string;
  readonly file: string;
  /** Nanoseconds of a step of its clock. */
  readonly clockNs: 1 | 1000;
  readonly ipVersions: readonly (4 | 6)[];
  readonly protocols: readonly ('tcp' | 'udp' | 'icmp')[];
  readonly key: FlowKey;
  /** In units of the clock; infinite if absent. */
  readonly idleTimeout: number;
  readonly activeTimeout: number;
  /** Whether FIN and RST end a flow that is classified at its end. */
  readonly tcpClose: boolean;
  /** Of devices: places for flows (a power of two), and how long one without a packet is safe, in units of the clock. */
  readonly table: { readonly flows: number; readonly keep: number };
  readonly state: readonly Scalar[];
  readonly features: readonly Feature[];
  readonly occasion: Occasion;
  /** Names of the classes in the order of their numbers, for models and labels that do not say. */
  readonly classes?: readonly string[];
}

/** Whether flows are classified at their ends: a device then keeps which of its ends have closed, too. */
export const endsAreTold = ({ occasion }: Pick<FeatureDefinition, 'occasion'>): boolean =>
  occasion.kind === 'end';

/** State of a flow at most, in scalars: an XDP map value and a BMv2 register field hold as many. */
export const MOST_SCALARS = 256;
/** That a definition may name: each is one byte of the model's input. */
export const MOST_FEATURES = 1024;

/** No packet is under way for longer. */
const MOST_INFERENCE_NS = 1e9;

const TIME_BITS = { instant: 64, duration: 48 } as const;

const FIVE_TUPLE: readonly KeyField[] = [
  'ip.source',
  'ip.destination',
  'port.source',
  'port.destination',
  'ip.protocol',
];

/** The named keys. */
const KEYS = {
  'five-tuple': { fields: FIVE_TUPLE, bothWays: true },
  'five-tuple-one-way': { fields: FIVE_TUPLE, bothWays: false },
  host: { fields: ['ip.source'], bothWays: false },
  'host-pair': { fields: ['ip.source', 'ip.destination'], bothWays: true },
} as const satisfies Record<string, FlowKey>;

/** A file as it was read to a definition, or all its faults. */
// Long: checks in the order of the file, over what the ones before have found.
export function checkDefinition(f: FeaturesFile, file: string): FeatureDefinition | readonly Diagnostic[] {
  const faults: Diagnostic[] = [];
  const { spec } = f;
  const clockNs = spec.clock === 'ns' ? 1 : 1000;
  const fault = (path: string, what: string) =>
    faults.push(diagnostic('features-field', { path, what }, { file }));
  const attempt = <T>(path: string, make: () => T): T | undefined => {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      fault(path, error.at > 0 ? `column ${error.at + 1}: ${error.message}` : error.message);
      return undefined;
    }
  };

  for (const [name, bins] of Object.entries(spec.bins))
    if (bins.some((t, i) => i > 0 && t <= bins[i - 1]!)) fault(`spec.bins.${name}`, 'thresholds must ascend');
  if (ticksOf(spec.table.keep, 1) < MOST_INFERENCE_NS)
    fault('spec.table.keep', 'is shorter than 1s: a flow would lose its place while its packet is under way');
  const { classes = [] } = spec;
  for (const [i, name] of classes.entries())
    if (classes.indexOf(name) < i) fault(`spec.classes[${i}]`, `${name} is there twice`);
  const texts = Object.entries(spec.state).flatMap(
    ([name, variable]) => attempt(`spec.state.${name}`, () => lowerState(name, variable)) ?? [],
  );
  if (texts.length > MOST_SCALARS)
    fault('spec.state', `a flow keeps ${texts.length} numbers; at most ${MOST_SCALARS} fit a flow slot`);
  const scope = new StateScope(texts, clockNs, spec.tables, spec.bins);
  const state = texts.flatMap((text) => attempt(`spec.state.${text.name}`, () => scope.scalar(text)) ?? []);
  if (faults.length > 0) return faults;

  const occasion: Occasion =
    typeof spec.classify === 'string'
      ? { kind: spec.classify }
      : { kind: 'packets', numbers: [...new Set(spec.classify.packets)].sort((a, b) => a - b) };
  const names = Object.entries(spec.features);
  if (names.length === 0 || names.length > MOST_FEATURES)
    fault('spec.features', `${names.length} features; expected 1 to ${MOST_FEATURES}`);
  const features = names.flatMap(([name, text]) => {
    const path = `spec.features.${name}`;
    const value = attempt(path, () =>
      checkExpression(parseExpression(text), scope.of(occasion.kind !== 'end', false)),
    );
    if (value === undefined) return [];
    const why = notAByte(value.type);
    if (why === undefined) return [{ name, value }];
    fault(path, why);
    return [];
  });
  if (faults.length > 0) return faults;
  return {
    name: f.metadata.name,
    file,
    clockNs,
    ipVersions: spec.accept.ip,
    protocols: spec.accept.protocols,
    key: typeof spec.key === 'string' ? KEYS[spec.key] : spec.key,
    idleTimeout: ticksOf(spec.timeouts.idle, clockNs),
    activeTimeout: ticksOf(spec.timeouts.active, clockNs),
    tcpClose: spec.timeouts.tcpClose,
    table: { flows: spec.table.flows, keep: ticksOf(spec.table.keep, clockNs) },
    state,
    features,
    occasion,
    ...(spec.classes && { classes: spec.classes }),
  };
}

function notAByte(type: ValueType): string | undefined {
  if (type.kind === 'integer' && type.most <= 255) return undefined;
  if (type.kind === 'integer')
    return `reaches ${type.most}, and a feature is a byte: use log8(x), x >> n or min(x, 255)`;
  return type.kind === 'instant'
    ? 'is a point in time, not a number; subtract another from it'
    : 'is a time, not a number; give it a unit, for example log8(us(x))';
}

/** The state of a definition as expressions see it. */
class StateScope {
  readonly #scalars: ReadonlyMap<string, { readonly index: number; readonly text: ScalarText }>;
  readonly #types = new Map<number, ValueType>();
  readonly #underWay = new Set<number>();
  readonly #names: readonly string[];

  constructor(
    texts: readonly ScalarText[],
    readonly clockNs: number,
    readonly tables: Scope['tables'],
    readonly bins: Scope['bins'],
  ) {
    this.#scalars = new Map(texts.map((text, index) => [keyOf(text.name, text.index), { index, text }]));
    this.#names = [
      ...new Set(
        texts.filter((t) => !t.hidden).map((t) => (t.index === undefined ? t.name : `${t.name}[...]`)),
      ),
    ];
  }

  of(packet: boolean, before: boolean): Scope {
    return {
      clockNs: this.clockNs,
      tables: this.tables,
      bins: this.bins,
      before,
      packet,
      names: this.#names,
      state: (name, index) => {
        const found = this.#scalars.get(keyOf(name, index));
        return found && { index: found.index, type: this.#typeOf(found.index, found.text) };
      },
    };
  }

  scalar(text: ScalarText): Scalar {
    const type = this.#typeOf(this.#scalars.get(keyOf(text.name, text.index))!.index, text);
    const update = checkExpression(text.update, this.of(true, true));
    const bits = type.kind === 'integer' ? bitsOf(type.most) : TIME_BITS[type.kind];
    const initial: Typed =
      text.initial === 'all ones'
        ? { kind: 'constant', value: 2 ** bits - 1, type }
        : checkExpression(text.initial, this.of(true, true));
    return {
      name: text.name,
      ...(text.index !== undefined && { index: text.index }),
      bits,
      type,
      initial,
      update,
    };
  }

  /** A declared width says it; else the value that enters, which must not need the scalar's own type. */
  #typeOf(index: number, text: ScalarText): ValueType {
    const known = this.#types.get(index);
    if (known !== undefined) return known;
    if (this.#underWay.has(index))
      throw new ExpressionError(`${text.name} depends on its own range; give it bits`, 0);
    this.#underWay.add(index);
    const type: ValueType =
      text.bits !== undefined ? { kind: 'integer', most: 2 ** text.bits - 1 } : this.#typeOfEntering(text);
    this.#underWay.delete(index);
    this.#types.set(index, type);
    return type;
  }

  #typeOfEntering(text: ScalarText): ValueType {
    const scope = this.of(true, true);
    const entering = [text.initial, ...enteringValues(text)].filter((e) => e !== 'all ones');
    const types = entering.map((e) => checkExpression(e, scope).type);
    const first = types.find((t) => t.kind !== 'integer');
    if (first !== undefined) return first;
    const most = Math.max(1, ...types.map((t) => (t.kind === 'integer' ? t.most : 0)));
    return { kind: 'integer', most: 2 ** bitsOf(most) - 1 };
  }
}

/** What a packet can put into a scalar beside its own former value. */
function enteringValues(text: ScalarText): readonly Parameters<typeof checkExpression>[0][] {
  type E = Parameters<typeof checkExpression>[0];
  const isSelf = (e: E): boolean => e.kind === 'name' && e.name === text.name && e.index === text.index;
  const walk = (e: E): readonly E[] => {
    if (isSelf(e)) return [];
    if (e.kind === 'choice') return [...walk(e.whenTrue), ...walk(e.whenFalse)];
    if (e.kind === 'call' && (e.name === 'min' || e.name === 'max') && e.args.some(isSelf))
      return e.args.filter((a) => !isSelf(a));
    if (e.kind === 'binary' && e.operator === '|' && (isSelf(e.left) || isSelf(e.right)))
      return [isSelf(e.left) ? e.right : e.left];
    // An average never leaves the range of its values, of which the first is its beginning.
    if (e.kind === 'binary' && e.operator === '+' && mentions(e, isSelf)) return [];
    return [e];
  };
  return walk(text.update);
}

function mentions(
  e: Parameters<typeof checkExpression>[0],
  isIt: (e: Parameters<typeof checkExpression>[0]) => boolean,
): boolean {
  if (isIt(e)) return true;
  return e.kind === 'binary' && (mentions(e.left, isIt) || mentions(e.right, isIt));
}

const keyOf = (name: string, index: number | undefined): string =>
  index === undefined ? name : `${name}[${index}]`;
const bitsOf = (most: number): number => Math.max(1, Math.floor(Math.log2(most)) + 1);

const DURATION_NS = { us: 1e3, ms: 1e6, s: 1e9, min: 60e9, h: 3600e9 } as const;

function ticksOf(text: string | undefined, clockNs: number): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const [, count, unit] = /^(\d+)(us|ms|s|min|h)$/.exec(text)!;
  return (Number(count) * DURATION_NS[unit as keyof typeof DURATION_NS]) / clockNs;
}
