import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { type Model, type ValueId, valueType } from '../../model/model.ts';
import { tensorBytes } from '../../model/tensor.ts';
import { ipv4Bytes } from '../../wire/header.ts';

/**
 * Warnings of the tensors at the ends of layers `[from, to)` that one packet of the path does not carry; one where two ranges
 * meet. No refusal: the program is the same, and from a test in the kernel or the switch no packet leaves.
 */
export function packetWarnings(
  model: Model,
  ranges: readonly { readonly from: ValueId; readonly to: ValueId }[],
  mtu: number,
): Diagnostic[] {
  const ends = new Map<ValueId, 'input' | 'output'>();
  for (const { from, to } of ranges) {
    if (!ends.has(from)) ends.set(from, 'input');
    if (!ends.has(to)) ends.set(to, 'output');
  }
  return [...ends].flatMap(([value, tensor]) => {
    const bytes = ipv4Bytes(tensorBytes(valueType(model, value)));
    const layer = value === 0 ? undefined : model.layers[value - 1]!.name;
    const place = { file: model.file, ...(layer !== undefined && { layer }) };
    return bytes > mtu ? [diagnostic('mtu-exceeded', { tensor, bytes, mtu }, place)] : [];
  });
}
