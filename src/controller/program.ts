import { DiagnosticError, refuse } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import { cookieOf, type Init, type PipelineConfig } from '../p4runtime/index.ts';
import { writeProgram } from '../targets/build.ts';
import { targetNamed } from '../targets/registry.ts';
import { planOrRefuse, type Shape, type TargetProgram, type Together } from '../targets/target.ts';
import { temporaryFolder } from '../temporary.ts';
import type { LayerRange } from './planned-layers.ts';
import { partOf } from './versions.ts';

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
  /** Slots of the device in which its versions stand. */
  readonly slots: readonly number[];
  /** Entries of a version's weights in one of them. @throws DiagnosticError `envelope-exceeded` where they do not fit the program */
  weights(model: Model, slot: number): readonly Init<'Entity'>[];
  /** Where it computes several shapes: the layers of each, and its slots. */
  readonly parts?: readonly (LayerRange & { readonly slots: readonly number[] })[];
  /** Set where it is pushed together with what runs already: entries of other programs stay, and no packet is lost. */
  readonly joins?: true;
  /** Of one that classifies flows, and of no other: as `FlowDeviceProgram.drawn`. */
  readonly drawn?: (entities: readonly Init<'Entity'>[]) => readonly Init<'Entity'>[];
  /** As `TargetProgram.beside`: the same program as one of several of a device. */
  readonly beside?: (
    running: Uint8Array,
    inUse: (slot: number) => boolean,
  ) => { readonly runs: boolean; readonly program: DeviceProgram } | undefined;
}

/** Whether a device with this program classifies flows, rather than to compute for services. */
export const classifiesFlows = ({ drawn }: Pick<DeviceProgram, 'drawn'>): boolean => drawn !== undefined;

/** The version that is current, and the one that is to follow it. */
const LEAST_SLOTS = 2;

/** @param kind the name of a target @throws DiagnosticError where the layers do not fit a device of this kind */
export function programFor(kind: string, base: Model, options: ProgramOptions): DeviceProgram {
  const program = planOrRefuse(targetNamed(kind), base, { ...options, weights: 'runtime' });
  const p4info = program.p4info();
  const own: DeviceProgram = {
    p4info,
    cookie: cookieOf({ p4info, deviceConfig: Buffer.from(program.source().join('\0')) }),
    async build() {
      using folder = temporaryFolder();
      await writeProgram(program, folder.path);
      return await program.deviceConfig(folder.path);
    },
    slots: Array.from({ length: program.slots ?? LEAST_SLOTS }, (_, slot) => slot),
    weights: (model, slot) => program.replacement(model, slot),
    ...(program.beside && { beside: (...there) => besideOthers(program, own, ...there) }),
  };
  return own;
}

/** One of the shapes that a device computes. */
export interface DeviceShape {
  readonly base: Model;
  readonly options: ProgramOptions;
  /** Versions that it should hold side by side at least. */
  readonly slots: number;
}

/**
 * The program of a device that computes models of several shapes.
 * @throws DiagnosticError where the layers of one do not fit a device of this kind, or not all of them together
 */
export function programOfShapes(kind: string, shapes: readonly DeviceShape[]): DeviceProgram {
  const [first, ...more] = shapes;
  if (first === undefined) throw new Error('a program without a shape');
  if (more.length === 0) return programFor(kind, first.base, first.options);
  const { device } = targetNamed(kind);
  const given = shapes.map(
    ({ base, options, slots }): Shape => ({
      model: base,
      options: { ...options, weights: 'runtime' },
      slots,
    }),
  );
  const made = device?.together?.(given);
  if (made === undefined) return refuse('shapes-apart', { target: kind, shapes: shapes.length });
  if (!('parts' in made)) throw new DiagnosticError(made);
  return togetherOf(made, shapes);
}

function togetherOf(made: Together, shapes: readonly DeviceShape[]): DeviceProgram {
  const { parts, beside } = made;
  const p4info = made.p4info();
  return {
    p4info,
    cookie: cookieOf({ p4info, deviceConfig: Buffer.from(made.source().join('\0')) }),
    async build() {
      using folder = temporaryFolder();
      return await made.build(folder.path);
    },
    slots: parts.flatMap(({ slots }) => slots),
    parts: shapes.map(({ options: { from, to } }, i) => ({ from, to, slots: parts[i]!.slots })),
    weights: (model, slot) => partOf(parts, slot).replacement(model, slot),
    ...(beside && {
      beside(running, inUse) {
        const there = beside(running, inUse);
        return there && { runs: there.runs, program: { ...togetherOf(there, shapes), joins: true } };
      },
    }),
  };
}

/** Of each model the entries, or why there are none. */
type Encoded = WeakMap<Model, readonly Init<'Entity'>[] | DiagnosticError>;

/**
 * The program with weights that are encoded once a model, alone and beside others; those that do not fit are refused once too.
 * @param as how a model is named in messages
 */
export function rememberingWeights(program: DeviceProgram, as: (model: Model) => Model): DeviceProgram {
  const known = new Map<number, Encoded>();
  const { beside } = program;
  return {
    ...program,
    weights(model, slot) {
      const inSlot: Encoded = known.get(slot) ?? new WeakMap();
      const found = inSlot.get(model) ?? orFault(() => program.weights(as(model), slot));
      known.set(slot, inSlot.set(model, found));
      if (found instanceof DiagnosticError) throw found;
      return found;
    },
    ...(beside && {
      beside(running, inUse) {
        const found = beside(running, inUse);
        return found && { ...found, program: rememberingWeights(found.program, as) };
      },
    }),
  };
}

function orFault<T>(work: () => T): T | DiagnosticError {
  try {
    return work();
  } catch (error) {
    if (error instanceof DiagnosticError) return error;
    throw error;
  }
}

function besideOthers(
  program: TargetProgram,
  own: DeviceProgram,
  running: Uint8Array,
  inUse: (slot: number) => boolean,
): { readonly runs: boolean; readonly program: DeviceProgram } | undefined {
  const beside = program.beside?.(running, inUse);
  if (beside === undefined) return undefined;
  const { runs, slots } = beside;
  const p4info = beside.p4info();
  const cookie = cookieOf({ p4info, deviceConfig: Buffer.from(beside.source().join('\0')) });
  const build = async () => beside.deviceConfig(await own.build());
  const { weights } = own;
  return { runs, program: { p4info, cookie, slots, joins: true, build, weights } };
}
