import { basename, extname } from 'node:path';
import { type Diagnostic, throwErrors } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import { verifyModel } from '../model/verify.ts';

export interface ImportResult {
  readonly model: Model;
  /** Warnings and notes; errors are thrown. */
  readonly diagnostics: readonly Diagnostic[];
}

/** `digits-mlp` of `models/digits-mlp.onnx`. */
export const modelName = (file: string): string => basename(file, extname(file));

/** The result of an import, verified. @throws DiagnosticError with all errors */
export function finishImport(model: Model | undefined, diagnostics: readonly Diagnostic[]): ImportResult {
  throwErrors(diagnostics);
  if (model === undefined) throw new Error('an import without a model must have told why');
  throwErrors(verifyModel(model));
  return { model, diagnostics };
}
