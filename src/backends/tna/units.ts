import type { StageUse } from './chips.ts';

/** What is laid out over the stages, and where it then stands. */

/** Which of the two runs through the stages a packet is in: they share each stage. */
export type Gress = 'ingress' | 'egress';

/** What must stand in one stage. */
export interface Unit {
  readonly name: string;
  readonly use: Partial<StageUse>;
  /** What it takes where a stage has no room for that. */
  readonly otherwise?: Partial<StageUse>;
  /** Earliest stage, where what it reads is there before or after all that stands before its block. */
  readonly from?: number;
}

/** A layer: tables in any order, each adding to one of several sets of sums, then the sets added up, two by two. */
export interface Block {
  readonly name: string;
  /** What its tables read is found before them, in any order. */
  readonly first?: readonly Unit[];
  readonly tables: readonly Unit[];
  /** Containers of one set of sums; undefined where all tables may stand side by side. */
  readonly sums?: { readonly wide: number; readonly half: number };
}

/** What does not depend on how blocks are laid out. */
export interface Fixed {
  /** What ingress begins with, one a stage. */
  readonly before: readonly Unit[];
  /** What egress does side by side with the blocks, each a stage after the one before it at the earliest. */
  readonly beside: readonly Unit[];
}

/** A unit in its stage, counted from 0. */
export interface Placed {
  readonly name: string;
  readonly gress: Gress;
  readonly stage: number;
  readonly use: Partial<StageUse>;
}

/** How the tables of a layer are divided among sets of sums. */
export interface PlacedBlock {
  readonly gress: Gress;
  /** Sets of sums, a power of two. */
  readonly sets: number;
  /** Set of each table, in the order of the block. */
  readonly setOf: readonly number[];
  /** Order in which the tables of a set run; the first of each sets the sums. */
  readonly firsts: readonly number[];
}

/** Where everything of a program stands. */
export interface Schedule {
  readonly placed: readonly Placed[];
  readonly blocks: readonly PlacedBlock[];
  /** Stages that each gress needs; more than the chip has is a refusal. */
  readonly stages: Readonly<Record<Gress, number>>;
  /** What each stage is used for in all, by both gresses. */
  readonly uses: readonly StageUse[];
  /** Containers of 32 and of 16 bits that hold sums, of both gresses together. */
  readonly containers: { readonly wide: number; readonly half: number };
}
