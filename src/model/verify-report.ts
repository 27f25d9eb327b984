import { elementCount, formatTensorType, type TensorType } from './tensor.ts';

/** Reports one broken invariant; `tensor` where it is of one. */
export type Report = (what: string, tensor?: string) => void;

/** `weights: 12, expected 16`. */
export function verifyLength(report: Report, what: string, actual: number, expected: number): void {
  if (actual !== expected) report(`${what}: ${actual}, expected ${expected}`);
}

/** Reports two tensors whose elements cannot be taken for each other's, whatever their shapes. */
export function verifySameCount(report: Report, a: TensorType, b: TensorType): void {
  if (elementCount(a.shape) !== elementCount(b.shape))
    report(`${formatTensorType(a)} and ${formatTensorType(b)} differ in the number of elements`);
}
