import type { Model } from '../model/model.ts';
import { cookieOf, type Init, type PipelineConfig } from '../p4runtime/index.ts';
import { writeProgram } from '../targets/build.ts';
import { targetNamed } from '../targets/registry.ts';
import { planOrRefuse } from '../targets/target.ts';
import { temporaryFolder } from '../temporary.ts';
import type { LayerRange } from './planned-layers.ts';

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
  readonly p4info: PipelineConfig['p4info'];
  /** Follows from P4Info and source, so it is known, and the same anywhere, before anything is compiled. */
  readonly cookie: bigint;
  /** Compiles to what the device loads. @throws DiagnosticError where a tool is missing or fails */
  readonly build: () => Promise<Uint8Array>;
  /** Entries of a version's weights. @throws DiagnosticError `envelope-exceeded` where they do not fit the program */
  weights(model: Model, slot: number): readonly Init<'Entity'>[];
}

/** @param kind the name of a target @throws DiagnosticError where the layers do not fit a device of this kind */
export function programFor(kind: string, base: Model, options: ProgramOptions): DeviceProgram {
  const program = planOrRefuse(targetNamed(kind), base, { ...options, weights: 'runtime' });
  const p4info = program.p4info();
  return {
    p4info,
    cookie: cookieOf({ p4info, deviceConfig: Buffer.from(program.source().join('\0')) }),
    async build() {
      using folder = temporaryFolder();
      await writeProgram(program, folder.path);
      return await program.deviceConfig(folder.path);
    },
    weights: (model, slot) => program.replacement(model, slot),
  };
}
