import { basename, extname } from 'node:path';
import { type Diagnostic, throwErrors } from '../diagnostics/index.ts';
import type { Model, ValueId } from '../model/model.ts';
import type { TensorType } from '../model/tensor.ts';
import type { TfliteRounding } from '../model/tflite-rounding.ts';
import { verifyModel } from '../model/verify.ts';

/** The tensor of the source that holds a value of the model. */
export interface SourceTensor {
  readonly name: string;
  /** As the source sees it, without the batch: the shape may be another view of the same elements. */
  readonly type: TensorType;
  /** It holds the reals of that grid instead of their integers. */
  readonly real: boolean;
}

/** Whose integers those of a TFLite file are: the kernels round once or twice where they scale. */
export interface RuntimeRounding {
  readonly kind: TfliteRounding;
  /** What decided it, for people. */
  readonly because: string;
}

/** An imported model, and what there is to say of it. */
export interface ImportResult {
  readonly model: Model;
  /** Warnings and notes; errors are thrown. */
  readonly diagnostics: readonly Diagnostic[];
  /** Where the source holds each value; not every value is held. Of ONNX only. */
  readonly sources?: ReadonlyMap<ValueId, SourceTensor>;
  /** Of TFLite only. */
  readonly rounding?: RuntimeRounding;
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
