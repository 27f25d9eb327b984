import type { Random } from '../support/random.ts';
import { GraphBuilder } from './onnx-blocks.ts';
import { scalar, tensor } from './onnx-writer.ts';

const DOMAIN = 'qonnx.custom_op.general';

/** What a Quant rounds to. */
export interface Width {
  readonly bits: number;
  readonly scale: number;
  readonly signed: boolean;
  readonly narrow?: boolean;
  readonly zero?: number;
  /** ROUND if absent. */
  readonly mode?: string;
}

/** A network of QONNX, or the same in plain operators, which ONNX Runtime knows. */
export class QonnxNet extends GraphBuilder {
  readonly #plain: boolean;

  constructor(plain: boolean) {
    super();
    this.#plain = plain;
  }

  #float(value: number): string {
    return this.constant('f', scalar('float', value));
  }

  quant(x: string, { bits, scale, signed, narrow = false, zero = 0, mode = 'ROUND' }: Width): string {
    if (!this.#plain)
      return this.node(
        'Quant',
        [x, this.#float(scale), this.#float(zero), this.#float(bits)],
        { signed: Number(signed), narrow: Number(narrow), rounding_mode: mode },
        DOMAIN,
      );
    const lo = signed ? Number(narrow) - 2 ** (bits - 1) : 0;
    const hi = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1 - Number(narrow);
    const levels = this.node('Add', [this.node('Div', [x, this.#float(scale)]), this.#float(zero)]);
    const isSigns = bits === 1 && signed;
    const q = isSigns
      ? this.#signs(levels, 1)
      : this.#rounded(this.node('Clip', [levels, this.#float(lo), this.#float(hi)]), mode);
    return this.node('Mul', [this.node('Sub', [q, this.#float(zero)]), this.#float(scale)]);
  }

  #rounded(x: string, mode: string): string {
    const mirrored = (of: (size: string) => string) =>
      this.node('Mul', [this.node('Sign', [x]), of(this.node('Abs', [x]))]);
    const half = (size: string, by: number) => this.node('Add', [size, this.#float(by)]);
    switch (mode) {
      case 'FLOOR':
        return this.node('Floor', [x]);
      case 'CEIL':
        return this.node('Ceil', [x]);
      case 'UP':
        return mirrored((size) => this.node('Ceil', [size]));
      case 'DOWN':
      case 'ROUND_TO_ZERO':
        return mirrored((size) => this.node('Floor', [size]));
      case 'HALF_UP':
        return mirrored((size) => this.node('Floor', [half(size, 0.5)]));
      case 'HALF_DOWN':
        return mirrored((size) => this.node('Ceil', [half(size, -0.5)]));
      default:
        return this.node('Round', [x]);
    }
  }

  #signs(x: string, scale: number): string {
    const isAbove = this.node('GreaterOrEqual', [x, this.#float(0)]);
    return this.node('Where', [isAbove, this.#float(scale), this.#float(-scale)]);
  }

  bipolar(x: string, scale: number): string {
    if (!this.#plain) return this.node('BipolarQuant', [x, this.#float(scale)], undefined, DOMAIN);
    return this.#signs(x, scale);
  }

  reals(r: Random, dims: readonly [number, number]) {
    const values = Array.from({ length: dims[0] * dims[1] }, () => r.int(-1000, 1000) / 700);
    return this.constant('w', tensor('float', dims, values));
  }
}
