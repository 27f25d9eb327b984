import { refuse } from '../../../diagnostics/index.ts';
import { isBroadcast } from '../../../model/broadcast.ts';
import { type Activation, sameShape } from '../../builder.ts';
import { broadcastSources, lowerGather } from '../../lower/gather.ts';
import { dimsText } from '../dims.ts';
import type { NodeReader } from '../node-reader.ts';
import { type Real, unclamped } from '../values.ts';

/** Operators of two activations. */

/** Of reals; axes of size 1 are repeated. @param fused by one kernel of integers, which rounds otherwise */
export function productOf(c: NodeReader, a: Activation, b: Activation, fused: boolean): Real {
  const [left, right] = alike(c, a, b);
  const shape = largerOf(left, right);
  return {
    kind: 'real',
    term: { kind: 'product', name: c.name, a: left, b: right, fused },
    clamp: unclamped,
    shape,
  };
}

/** Of reals, as float32 adds them; axes of size 1 are repeated. */
export function sumOf(c: NodeReader, a: Activation, b: Activation): Real {
  const [left, right] = alike(c, a, b);
  const shape = largerOf(left, right);
  return {
    kind: 'real',
    term: { kind: 'sum', name: c.name, a: left, b: right, fused: false },
    clamp: unclamped,
    shape,
  };
}

const largerOf = (a: Activation, b: Activation): readonly number[] =>
  isBroadcast(a.type.shape, b.type.shape) ? b.type.shape : a.type.shape;

/** Both of one shape, or one of an element a channel; others are repeated along their axes of size 1. */
function alike(c: NodeReader, a: Activation, b: Activation): readonly [Activation, Activation] {
  const [left, right] = [a.type.shape, b.type.shape];
  if (sameShape(left, right)) return [a, b];
  const rank = Math.max(left.length, right.length);
  const lifted = (shape: readonly number[]) => [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const [from, to] = [lifted(left), lifted(right)];
  const shape = from.map((size, i) => (size === 1 ? to[i]! : size));
  if (shape.some((size, i) => to[i] !== size && to[i] !== 1))
    refuse(
      'shape-mismatch',
      {
        expected: 'two equal shapes, but for sizes of 1',
        actual: `${dimsText(left)} and ${dimsText(right)}`,
      },
      c.place(),
    );
  const isChannels = (own: readonly number[]) =>
    own[0] === shape[0] && own.slice(1).every((size) => size === 1) && isBroadcast(own, shape);
  const spread = (x: Activation, own: readonly number[]): Activation => {
    if (sameShape(own, shape)) return { ...x, type: { ...x.type, shape } };
    if (isChannels(own)) return { ...x, type: { ...x.type, shape: own } };
    const { sources } = broadcastSources(own, shape);
    return lowerGather(c.builder, `${c.name}_repeated`, [x], shape, sources);
  };
  // One of them has the whole shape: of two that are repeated across each other, the first is spread out.
  const both = isChannels(from) && isChannels(to);
  const whole = both || (!sameShape(from, shape) && !sameShape(to, shape));
  const first = whole
    ? lowerGather(c.builder, `${c.name}_repeated`, [a], shape, broadcastSources(from, shape).sources)
    : spread(a, from);
  return [first, spread(b, to)];
}
