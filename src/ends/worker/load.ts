import type { Diagnostic } from '../../diagnostics/index.ts';
import { readBytes } from '../../files.ts';
import { type ImportOptions, importBytes } from '../../import/index.ts';
import type { Model } from '../../model/model.ts';
import { withVerdict } from '../../model/verdict.ts';
import type { OnnxSource } from './finisher.ts';

/** A model as a worker takes it on; `onnx` is the graph that it came from, for ONNX Runtime. */
export interface LoadedModel {
  readonly model: Model;
  readonly onnx?: OnnxSource;
  readonly diagnostics: readonly Diagnostic[];
}

/** A model file as a worker needs it: with its graph, if it is ONNX. @throws DiagnosticError */
export async function loadWorkerModel(
  file: string,
  o: ImportOptions & { readonly verdict?: boolean } = {},
): Promise<LoadedModel> {
  const bytes = readBytes(file, 'model');
  const { model, diagnostics, sources } = await importBytes(bytes, file, o);
  return {
    model: o.verdict ? withVerdict(model) : model,
    diagnostics,
    ...(sources !== undefined && { onnx: { bytes, sources } }),
  };
}
