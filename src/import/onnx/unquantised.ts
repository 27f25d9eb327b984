import { type Diagnostic, type DiagnosticCode, diagnostic } from '../../diagnostics/index.ts';
import type { OnnxNode } from './proto.ts';

/** Operators that have integers, or make reals of them. */
const QUANTISED = /^(Dequantize|Quantize)Linear$|^QLinear|^QGemm$|Quant$|Integer$/;

/** Operators that find scales at run time. */
const DYNAMIC = /^Dynamic(Quantize|)/;

/** What a float network is refused for, node by node. */
const CONSEQUENCES: ReadonlySet<DiagnosticCode> = new Set<DiagnosticCode>([
  'onnx-float-value',
  'onnx-float-weights',
  'onnx-float-end',
  'onnx-unsupported-operator',
]);

/**
 * The refusals of a graph; of one that is in float32, or whose scales come at run time, the one sentence that says so in
 * place of a refusal for each of its nodes.
 */
export function refusalsOf(
  nodes: readonly OnnxNode[],
  found: readonly Diagnostic[],
  file: string,
): readonly Diagnostic[] {
  const errors = found.filter(({ severity }) => severity === 'error');
  if (errors.length === 0) return found;
  const dynamic = nodes.find(({ opType = '' }) => DYNAMIC.test(opType));
  if (dynamic !== undefined)
    return [diagnostic('onnx-dynamic-scales', { operator: dynamic.opType ?? '' }, { file })];
  const isFloat = !nodes.some(({ opType = '' }) => QUANTISED.test(opType));
  return isFloat && errors.every(({ code }) => CONSEQUENCES.has(code))
    ? [diagnostic('onnx-not-quantised', { model: file }, { file })]
    : found;
}
