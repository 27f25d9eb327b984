import type { FieldValues } from '../fields.ts';
import { floorLog2, log8 } from '../log8.ts';
import { MOST_DURATION, type Typed, type TypedOperator } from './typed.ts';

/** What one packet of a flow sees. */
export interface Context {
  readonly fields: FieldValues;
  /** The packet's arrival in units of the clock. */
  readonly now: number;
  /** The flow's state before this packet. */
  readonly before: Float64Array;
  /** And with it. */
  readonly after: Float64Array;
}

/** A formula that is ready to be run over packets. */
export type Evaluator = (context: Context) => number;

/** An expression as a function of a packet and its flow. */
export function evaluator(e: Typed): Evaluator {
  switch (e.kind) {
    case 'constant':
      return () => e.value;
    case 'field':
      return (c) => c.fields[e.name];
    case 'now':
      return (c) => c.now;
    case 'state':
      return e.before ? (c) => c.before[e.index]! : (c) => c.after[e.index]!;
    case 'operator':
      return binary(e.operator, evaluator(e.left), evaluator(e.right), e.type.kind === 'duration');
    case 'shift': {
      const operand = evaluator(e.operand);
      const factor = 2 ** e.bits;
      return e.to === 'left' ? (c) => operand(c) * factor : (c) => Math.floor(operand(c) / factor);
    }
    case 'divide': {
      const operand = evaluator(e.operand);
      return (c) => Math.floor(operand(c) / e.by);
    }
    case 'choice': {
      const [condition, whenTrue, whenFalse] = [e.condition, e.whenTrue, e.whenFalse].map(evaluator) as [
        Evaluator,
        Evaluator,
        Evaluator,
      ];
      return (c) => (condition(c) !== 0 ? whenTrue(c) : whenFalse(c));
    }
    case 'log8':
    case 'log2': {
      const operand = evaluator(e.operand);
      const of = e.kind === 'log8' ? log8 : floorLog2;
      return (c) => of(operand(c));
    }
    case 'table': {
      const operand = evaluator(e.operand);
      return (c) => e.table[operand(c)]!;
    }
    case 'bins': {
      const operand = evaluator(e.operand);
      return (c) => binOf(e.thresholds, operand(c));
    }
  }
}

function binOf(thresholds: readonly number[], value: number): number {
  let bin = 0;
  while (bin < thresholds.length && thresholds[bin]! <= value) bin++;
  return bin;
}

function binary(operator: TypedOperator, a: Evaluator, b: Evaluator, duration: boolean): Evaluator {
  switch (operator) {
    case '+':
      return (c) => a(c) + b(c);
    case '-':
      return duration
        ? (c) => Math.min(MOST_DURATION, Math.max(0, a(c) - b(c)))
        : (c) => Math.max(0, a(c) - b(c));
    case '*':
      return (c) => a(c) * b(c);
    case '&':
      return (c) => (a(c) & b(c)) >>> 0;
    case '|':
      return (c) => (a(c) | b(c)) >>> 0;
    case '^':
      return (c) => (a(c) ^ b(c)) >>> 0;
    case '<':
      return (c) => (a(c) < b(c) ? 1 : 0);
    case '<=':
      return (c) => (a(c) <= b(c) ? 1 : 0);
    case '==':
      return (c) => (a(c) === b(c) ? 1 : 0);
    case 'min':
      return (c) => Math.min(a(c), b(c));
    case 'max':
      return (c) => Math.max(a(c), b(c));
  }
}
