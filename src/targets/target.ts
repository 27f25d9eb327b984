import { z } from 'zod';
import type { Need } from '../backends/common/need.ts';
import type { ProgramOptions } from '../backends/common/program-options.ts';
import { type Diagnostic, madeOrRefuse } from '../diagnostics/index.ts';
import type { FeatureDefinition } from '../features/definition.ts';
import type { Model } from '../model/model.ts';
import type { Entity, P4Info } from '../p4runtime/types.ts';
import type { BenchResult } from '../runtime/bench.ts';
import type { Engine } from '../runtime/engine.ts';
import type { CostModel } from './cost-model.ts';
import type { KindProfiles } from './profiles.ts';

/** Layers of a model as a program of one target: decided on to the last bit, not yet written. */
export interface TargetProgram {
  /** What it needs of each resource, beside what the target has. */
  readonly needs: readonly Need[];
  /** How the layer with this index is computed, in a few words; undefined if the program leaves it to another node. */
  describeLayer(index: number): string | undefined;
  /** The same in full, for `inspect --json`: one object a layer of the program. */
  readonly layers: readonly object[];
  /** What `inspect --json` says of the program as a whole, beside needs and layers. */
  readonly summary?: object;
  /** A drawing of its own for `inspect --svg`; without one layers and needs are drawn. */
  readonly drawing?: () => string;
  /** What is to be said of compiling it on this machine. */
  readonly remarks?: () => readonly Diagnostic[];
  /** All files but those that a compiler makes: name to content, the same bytes for the same program. */
  files(): ReadonlyMap<string, string | Uint8Array>;
  /** All text that the compiler reads, in a fixed order: what two programs have in common that do the same. */
  source(): readonly string[];
  /**
   * Compiles the files in a folder that holds those of `files`.
   * @returns names of the files that were made
   * @throws DiagnosticError, BpfError where a tool is missing or refuses
   */
  build(folder: string): Promise<readonly string[]>;
  /** What a controller pushes to a device as its part of the pipeline config. @pre the folder was built */
  deviceConfig(folder: string): Promise<Uint8Array>;
  /** Tables, actions, counters and digests of the program as a controller sees them. */
  p4info(): P4Info;
  /**
   * The weights of a version of the model as a device with this program takes them: of the one that it was planned for, or of
   * another of the same shape.
   * @param slot free on the device
   * @throws DiagnosticError `envelope-exceeded` where the version does not fit the program
   */
  replacement(model: Model, slot: number): readonly Entity[];
  /** Versions that it holds side by side where it is a device's only program, in slots from 0 on; default 2. */
  readonly slots?: number;
  /**
   * Its place among the programs that a device runs already; absent where a device runs one program alone.
   * @param running the device's part of its pipeline config
   * @param inUse whether a slot of the device holds anything: programs without such a slot make room
   * @returns undefined where it cannot run beside them
   */
  readonly beside?: (running: Uint8Array, inUse: (slot: number) => boolean) => Beside | undefined;
}

/** A program among others of one device. */
export interface Beside {
  /** Whether it is one of those that run. */
  readonly runs: boolean;
  /** Slots of the device that are its own. */
  readonly slots: readonly number[];
  /** Of all of them together. */
  p4info(): P4Info;
  /** All text that tells this set of programs from another. */
  source(): readonly string[];
  /** The config of all. @param own what `deviceConfig` says of this program alone */
  deviceConfig(own: Uint8Array): Uint8Array;
}

/** What came of planning. Needs above the target's limits are errors beside the program. */
export interface Planned {
  /** Undefined where the layers cannot be expressed at all. */
  readonly program: TargetProgram | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** Something that runs rows through the programs of a target on this machine. */
export interface TargetEngine {
  /** Its name for `--on`. */
  readonly name: string;
  /**
   * @param own options of the target, as `plan` takes them
   * @throws DiagnosticError where the model does not fit, or this machine cannot run it
   */
  open(model: Model, options: ProgramOptions, own?: OwnOptions): Promise<Engine>;
  /**
   * Times an inference beside plain forms of the same layers; absent where nothing here can be timed so.
   * @param onRound hears of each round that is done
   */
  bench?(
    model: Model,
    rows: Uint8Array,
    options: ProgramOptions,
    rounds: number,
    onRound: (done: number) => void,
  ): Promise<BenchResult>;
}

/** What a controller must know of devices that run the programs of a target. */
export interface TargetDevice {
  /** Without a sign of the device for as many ms, and as many again, its connection is made anew. */
  readonly keepaliveMs?: number;
  /**
   * Programs of several shapes on one device; absent where a device computes one shape.
   * @returns what forbids it, else all of them together
   * @throws DiagnosticError where a shape does not fit alone
   */
  together?(shapes: readonly Shape[]): Together | readonly Diagnostic[];
  /** A program that classifies flows; absent where no such device does. @throws DiagnosticError where this one cannot */
  flows?(definition: FeatureDefinition, model: Model): FlowDeviceProgram;
}

/** A program that classifies flows by a model of their features, as a controller pushes it. */
export interface FlowDeviceProgram {
  p4info(): P4Info;
  /** All text that the compiler reads. */
  source(): readonly string[];
  /** The device's part of the pipeline config, compiled in an empty folder. @throws DiagnosticError, BpfError */
  build(folder: string): Promise<Uint8Array>;
  /** The weights in one of two slots. */
  weights(slot: number): readonly Entity[];
  /** Entries with random numbers of each device's own: as it holds them, or drawn where it has none. */
  drawn(entities: readonly Entity[]): readonly Entity[];
}

/** Layers of a model, for whose shapes and lane widths a device gets a program beside others. */
export interface Shape {
  readonly model: Model;
  readonly options: ProgramOptions;
  /** Versions that it should hold side by side at least. */
  readonly slots: number;
}

/** Programs of several shapes as a device takes them: in one push. */
export interface Together {
  /** One a shape, in their order. */
  readonly parts: readonly {
    /** Slots of the device that are the shape's own. */
    readonly slots: readonly number[];
    /** As `TargetProgram.replacement`. */
    readonly replacement: TargetProgram['replacement'];
  }[];
  p4info(): P4Info;
  /** All text that tells this set of programs from another. */
  source(): readonly string[];
  /** The device's part of the pipeline config, compiled in an empty folder. @throws DiagnosticError, BpfError */
  build(folder: string): Promise<Uint8Array>;
  /** As `TargetProgram.beside`. */
  beside?(
    running: Uint8Array,
    inUse: (slot: number) => boolean,
  ): (Together & { readonly runs: boolean }) | undefined;
}

/** Own options of a target by name, as the command line or a file gives them. */
export type OwnOptions = Readonly<Record<string, unknown>>;

/**
 * A kind of machine that programs are made for. Everything that is particular to one is found here: no other code asks for a
 * target's name.
 */
export interface Target {
  /** For `--target`, `kind` of a device and of a node. */
  readonly name: string;
  /** What it is, for help texts. */
  readonly describe: string;
  /** What `build` calls, for help texts. */
  readonly compiler: string;
  /** Options beside those of all targets, with a description each. */
  readonly own: z.ZodObject;
  /** @throws Error where own options are wrong: whoever takes them from a user has parsed them by `own` */
  plan(model: Model, options: ProgramOptions, own?: OwnOptions): Planned;
  /**
   * What the planner needs of every segment between `cuts`, the indices of first layers.
   * @param own those of its own options that `planned` names
   * @throws DiagnosticError where files that they name cannot be read
   */
  profiles(model: Model, cuts: readonly number[], own?: OwnOptions): KindProfiles;
  /** Own options that `profiles` heeds: of each node, and those that are the same for all. */
  readonly planned?: { readonly node: readonly string[]; readonly model: readonly string[] };
  /** Most segments of a model on one node; any number if absent. */
  readonly segments?: number;
  /** How long an inference takes, fitted to measurements. */
  readonly cost: CostModel;
  /** Colour of its nodes in drawings. */
  readonly colour: string;
  /** Absent where nothing on this machine runs it. */
  readonly engine?: TargetEngine;
  /** Absent where no controller drives it. */
  readonly device?: TargetDevice;
}

type Specified<Own extends z.ZodObject> = Omit<Target, 'own' | 'plan' | 'profiles' | 'engine'> & {
  readonly own: Own;
  plan(model: Model, options: ProgramOptions, own: z.output<Own>): Planned;
  profiles(model: Model, cuts: readonly number[], own: z.output<Own>): KindProfiles;
  readonly engine?: Omit<TargetEngine, 'open'> & {
    open(model: Model, options: ProgramOptions, own: z.output<Own>): Promise<Engine>;
  };
};

/** A target whose `plan` and engine are given its own options as its schema types them. */
export const defineTarget = <Own extends z.ZodObject>({ engine, ...target }: Specified<Own>): Target => ({
  ...target,
  plan: (model, options, own = {}) => target.plan(model, options, target.own.parse(own)),
  profiles: (model, cuts, own = {}) => target.profiles(model, cuts, target.own.parse(own)),
  ...(engine && {
    engine: {
      ...engine,
      open: (model, options, own = {}) => engine.open(model, options, target.own.parse(own)),
    },
  }),
});

/** Of targets that have none. */
export const noOwnOptions = z.strictObject({});

/**
 * Plans, or throws all that forbids it: what does not fit is told before any compiler has worked on it.
 * @throws DiagnosticError
 */
export function planOrRefuse(
  target: Target,
  model: Model,
  options: ProgramOptions,
  own?: OwnOptions,
): TargetProgram {
  return programOrRefuse(target.plan(model, options, own));
}

/** @throws DiagnosticError with all that forbids the program */
export const programOrRefuse = ({ program, diagnostics }: Planned): TargetProgram =>
  madeOrRefuse(program, diagnostics);
