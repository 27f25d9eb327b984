import type { FeatureDefinition, Scalar } from '../../../features/definition.ts';
import { partsOf, type Typed } from '../../../features/expression/index.ts';
import { knownFields } from './fields.ts';
import { constantOf } from './functions.ts';
import { type Find, type Operand, Refusal, type Sources } from './sources.ts';

/** What a stateful ALU makes of its word with a packet: one reading, one operation, one writing. */
export type RegisterOperation =
  | { readonly kind: 'add' | 'min' | 'max' | 'or' | 'set' | 'keep' }
  /** Adds one until it is `most`. */
  | { readonly kind: 'countTo'; readonly most: number };

/** A number of each flow, in a register of its own. */
export interface FlowRegister {
  readonly name: string;
  readonly scalar: number;
  readonly bits: RegisterBits;
  readonly operation: RegisterOperation;
  readonly operand: Operand;
  /** One bit: packets for which it is 0 leave the word as it is. */
  readonly condition: Operand | undefined;
  /** Before the first packet: a number, or what the operand is then. */
  readonly initial: number | 'operand';
  /** Which of its values is read. */
  readonly tells: 'before' | 'after';
}

/** Bits of a register's word. */
export type RegisterBits = 8 | 16 | 32;

const WIDTHS: readonly RegisterBits[] = [8, 16, 32];

/** Which value of a number of the state is read. */
export type Reads = ReadonlyMap<number, 'before' | 'after'>;

/** Numbers of the state that features read, or what these depend on; and which value. @throws Refusal where both */
export function readsOf(definition: FeatureDefinition): Reads {
  const reads = new Map<number, 'before' | 'after'>();
  const walk = (e: Typed): void => {
    if (e.kind !== 'state') {
      for (const part of partsOf(e)) walk(part);
      return;
    }
    const { index, before } = e;
    const known = reads.get(index);
    const value = before ? 'before' : 'after';
    if (known === value) return;
    const { name, update } = definition.state[index]!;
    if (known !== undefined)
      throw new Refusal(
        `state ${name}`,
        'a register tells one number a packet, the one before or the one with it: keep it twice, under two names',
      );
    reads.set(index, value);
    // What it is made of, but for itself.
    for (const part of othersOf(update, index)) walk(part);
  };
  for (const { value } of definition.features) walk(knownFields(value, definition));
  return reads;
}

function othersOf(e: Typed, self: number): readonly Typed[] {
  if (e.kind === 'state') return e.index === self ? [] : [e];
  return partsOf(e).flatMap((part) => othersOf(part, self));
}

const same = (a: Typed, b: Typed): boolean => JSON.stringify(a) === JSON.stringify(b);
const isSelf = (e: Typed, self: number): boolean => e.kind === 'state' && e.index === self && e.before;
const mentions = (e: Typed, self: number): boolean =>
  isSelf(e, self) || partsOf(e).some((part) => mentions(part, self));

const REGISTER_HELP =
  'a stateful ALU adds, takes the lesser or larger, joins bits or stores, once a packet: use count, sum, min, max, or, first or last';

interface Form {
  readonly operation: RegisterOperation;
  /** What is added, compared or stored; undefined where the word stays. */
  readonly value: Typed | undefined;
  readonly condition: Typed | undefined;
}

/** What of the update a stateful ALU does. @throws Refusal */
function formOf(scalar: Scalar, self: number, definition: FeatureDefinition): Form {
  const update = knownFields(scalar.update, definition);
  const isGuarded = update.kind === 'choice' && isSelf(update.whenFalse, self);
  const condition =
    isGuarded && constantOf(update.condition) === undefined ? truth(update.condition) : undefined;
  // A condition that never holds leaves it as it was.
  const never = isGuarded && constantOf(update.condition) === 0;
  const body = never || isSelf(update, self) ? undefined : isGuarded ? update.whenTrue : update;
  if (condition !== undefined && mentions(condition, self)) throw refusalOf(scalar);
  if (body === undefined) return { operation: { kind: 'keep' }, value: undefined, condition };
  if (!mentions(body, self)) return { operation: { kind: 'set' }, value: body, condition };
  if (body.kind !== 'operator') throw refusalOf(scalar);
  const { operator, left, right } = body;
  const most = countedTo(body, self);
  if (most !== undefined) return { operation: { kind: 'countTo', most }, value: undefined, condition };
  const [own, other] = isSelf(left, self) ? [left, right] : [right, left];
  if (!isSelf(own, self) || mentions(other, self)) throw refusalOf(scalar);
  if (operator === '+') return { operation: { kind: 'add' }, value: other, condition };
  if (operator === 'min' || operator === 'max')
    return { operation: { kind: operator }, value: other, condition };
  if (operator === '|') return { operation: { kind: 'or' }, value: other, condition };
  throw refusalOf(scalar);
}

/** The condition as 0 or 1. */
function truth(e: Typed): Typed {
  if (e.type.kind === 'integer' && e.type.most <= 1) return e;
  const type = { kind: 'integer', most: 1 } as const;
  const one: Typed = { kind: 'constant', value: 1, type };
  return { kind: 'operator', operator: '<=', left: one, right: e, type };
}

/** `min(self + 1, most)`. */
function countedTo(body: Typed & { kind: 'operator' }, self: number): number | undefined {
  const { operator, left, right } = body;
  if (operator !== 'min' || left.kind !== 'operator' || left.operator !== '+') return undefined;
  return isSelf(left.left, self) && constantOf(left.right) === 1 ? constantOf(right) : undefined;
}

function refusalOf({ name, update }: Scalar): Refusal {
  if (JSON.stringify(update).includes('"payload.byte'))
    return new Refusal(`state ${name}`, 'the parser reads headers alone: leave the payload out');
  const isAverage = update.kind === 'operator' && update.operator === '+';
  const what = isAverage ? 'an average (ewma) is two shifts and two sums of what it reads; ' : '';
  return new Refusal(`state ${name}`, `${what}${REGISTER_HELP}`);
}

/**
 * The registers of a definition, which `find` makes: each stands behind those that it reads.
 * `find` throws a Refusal with the number of the state that no stateful ALU keeps exactly.
 */
export function registersOf(
  definition: FeatureDefinition,
  reads: Reads,
  sources: Sources,
): { readonly registers: readonly FlowRegister[]; readonly find: Find } {
  const registers: FlowRegister[] = [];
  const made = new Map<number, FlowRegister | Refusal>();
  const find: Find = (self) => {
    const known = made.get(self);
    if (known instanceof Refusal) throw known;
    if (known !== undefined) return known;
    const scalar = definition.state[self]!;
    const place = `state ${scalar.name}`;
    // Until it is made, whoever reads it is read by it.
    made.set(self, new Refusal(place, 'it reads a number that reads it, and neither register can be first'));
    try {
      const own = registersOfScalar(scalar, self, definition, reads, sources, find);
      registers.push(...own);
      made.set(self, own[0]!);
      return own[0]!;
    } catch (error) {
      if (error instanceof Refusal) made.set(self, error);
      throw error;
    }
  };
  return { registers, find };
}

function registersOfScalar(
  scalar: Scalar,
  self: number,
  definition: FeatureDefinition,
  reads: Reads,
  sources: Sources,
  find: Find,
): readonly FlowRegister[] {
  const { operation, value, condition } = formOf(scalar, self, definition);
  const place = `state ${scalar.name}`;
  const flag = condition && sources.operand(place, condition, find);
  const common = { scalar: self, operation, condition: flag, tells: reads.get(self)! };
  const initial = knownFields(scalar.initial, definition);
  if (scalar.type.kind !== 'integer') {
    if ((value ?? initial).kind !== 'now' || initial.kind !== 'now')
      throw new Refusal(place, `${REGISTER_HELP}; a time is first or last`);
    // 48 bits: the lower ones, and the upper ones, which tell whether a difference is beyond those.
    return (['low', 'high'] as const).map((half) => ({
      ...common,
      name: `s${self}_${half}`,
      bits: 32,
      operand: sources.clock(half),
      initial: 'operand',
    }));
  }
  const start = constantOf(initial);
  const read = value ?? (start === undefined ? initial : undefined);
  if (start === undefined && !same(initial, read!)) throw new Refusal(place, REGISTER_HELP);
  const operand =
    read === undefined
      ? { kind: 'constant' as const, value: 1, bits: 1 }
      : sources.operand(place, read, find);
  // Before the first packet that counts it can be larger than all that enter.
  const isSeen = flag !== undefined && start !== undefined;
  const needed = operation.kind === 'add' || isSeen ? scalar.bits : Math.min(scalar.bits, operand.bits);
  const bits = WIDTHS.find((w) => w >= (operation.kind === 'countTo' ? scalar.bits : needed));
  const isSum = operation.kind === 'add';
  if (bits === undefined || (isSum && (bits !== scalar.bits || operand.bits > bits)))
    throw new Refusal(
      place,
      `it has ${scalar.bits} bits and ${operand.bits} enter, and a register has 8, 16 or 32 that stop at their largest: say bits: 32`,
    );
  return [
    {
      ...common,
      name: `s${self}`,
      bits,
      operand,
      initial: start ?? 'operand',
    },
  ];
}
