import type { Model } from '../model/model.ts';
import type { Init, PipelineConfig } from '../p4runtime/index.ts';
import type { DeviceKind } from './deployment-schema.ts';
import type { LayerRange } from './planned-layers.ts';
import { v1modelProgram } from './v1model-program.ts';
import { xdpProgram } from './xdp-program.ts';

/** What decides the program of a device besides the model. */
export interface ProgramOptions extends LayerRange {
  readonly modelId: number;
  readonly port: number;
  readonly mtu: number;
}

/**
 * The program of one device, made for the shapes and lane widths of a model, its base. It computes other versions too, as
 * far as their numbers fit.
 */
export interface DeviceProgram {
  readonly kind: DeviceKind;
  readonly p4info: PipelineConfig['p4info'];
  /** Follows from P4Info and source, so it is known, and the same anywhere, before anything is compiled. */
  readonly cookie: bigint;
  /** Compiles to what the device loads. @throws DiagnosticError where a tool is missing or fails */
  readonly build: () => Promise<Uint8Array>;
  /** Entries of a version's weights. @throws DiagnosticError `envelope-exceeded` where they do not fit the program */
  weights(model: Model, slot: number): Init<'Entity'>[];
}

/** @throws DiagnosticError where the layers do not fit a device of this kind */
export const programFor = (kind: DeviceKind, base: Model, options: ProgramOptions): DeviceProgram =>
  kind === 'v1model' ? v1modelProgram(base, options) : xdpProgram(base, options);
