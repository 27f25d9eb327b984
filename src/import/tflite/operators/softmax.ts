import { diagnostic } from '../../../diagnostics/index.ts';
import { elementCount } from '../../../model/tensor.ts';
import { asSource } from '../layout.ts';
import type { NodeReader } from '../node-reader.ts';
import type { Quantised } from '../values.ts';

/** Classes that the byte of a verdict tells apart. */
const CLASSES = 256;

/**
 * At the end, the verdict: softmax does not change which class is largest, and a network device has use for the class and
 * its margin, not for probabilities. Elsewhere it is no function of one element, and is refused.
 */
export function softmax(c: NodeReader): Quantised {
  const input = c.activation(0);
  if (!c.isLast) c.refuseOption('SOFTMAX', 'within the network', 'at its end, as a verdict');
  const count = elementCount(input.shape);
  if (input.shape.at(-1) !== count || count > CLASSES)
    c.refuseShape(`a vector of at most ${CLASSES}`, input.shape);
  c.builder.diagnostics.push(diagnostic('softmax-as-argmax', {}, c.place()));
  const source = asSource(c.builder, c.name, input);
  const output = { element: 'uint8', shape: [2], scale: 1, zeroPoint: 0 } as const;
  const activation = c.builder.add(c.name, { kind: 'argmax', inputs: [source.value], output });
  return { kind: 'quantised', activation, shape: [2], order: 'source' };
}
