/** What one pipe of a chip has; the numbers are those of the open compiler's sources. Ingress and egress share each stage. */
export interface Chip {
  readonly name: string;
  readonly describe: string;
  /** The architecture's include file. */
  readonly include: string;
  readonly stages: number;
  /** Words of 32 bits for fields, of all kinds of containers together: bits. */
  readonly phvBits: number;
  /** Containers of 32 bits that arithmetic can write. */
  readonly wideContainers: number;
  /** Containers of 16 bits that arithmetic can write. */
  readonly halfContainers: number;
  /** Containers of 16 bits of a group: what an operation reads and writes stands in one. */
  readonly halfGroup: number;
  /** Bytes of a packet that the parser of egress may pass, what ingress sends along with them; undefined where there is no limit. */
  readonly egressParsed?: number;
}

/** All chips that programs can be laid out for. */
export const chips = {
  tofino: {
    name: 'tofino',
    describe: 'Tofino 1: 12 stages',
    include: 'tna.p4',
    stages: 12,
    phvBits: 64 * 8 + 96 * 16 + 64 * 32,
    wideContainers: 64,
    halfContainers: 96,
    halfGroup: 16,
    egressParsed: 160,
  },
  tofino2: {
    name: 'tofino2',
    describe: 'Tofino 2: 20 stages',
    include: 't2na.p4',
    stages: 20,
    phvBits: 48 * 8 + 72 * 16 + 48 * 32 + (16 * 8 + 24 * 16 + 16 * 32),
    wideContainers: 48,
    halfContainers: 72,
    halfGroup: 12,
  },
} as const satisfies Record<string, Chip>;

/** As the option `--chip` has it. */
export type ChipName = keyof typeof chips;

/** In the order of help texts. */
export const chipNames = Object.keys(chips) as readonly ChipName[];

/** What a stage has, the same in both generations. */
export const stageLimits = {
  sram: 80,
  tcam: 24,
  tables: 16,
  ternaryTables: 8,
  hashBits: 8 * 52,
  /** Units that make a hash of a key the address of action data or of a register. */
  hashUnits: 6,
  busBytes: 128,
  /** Of these bytes, how many can be data of 16 bits, two each. */
  halfSlots: 32,
  instructions: 64,
  /** Groups of five bytes that ternary keys of several words are made of. */
  keyGroups: 12,
  /** Stateful ALUs, each with a register, and the blocks of memory that can hold registers. */
  alus: 4,
  mapRams: 48,
} as const;

/** What is taken of a stage, in the units of `stageLimits`. */
export type StageUse = Record<keyof typeof stageLimits, number>;

/** Bits of action data that stand beside a match, and need no memory of their own. */
export const IMMEDIATE_BITS = 32;

/** Entries and bits of a block of SRAM, and of TCAM. */
export const SRAM_ROWS = 1024;
/** Of each entry. */
export const SRAM_BITS = 128;
/** Entries of a block of TCAM. */
export const TCAM_ROWS = 512;
/** Of each entry; wider keys take several blocks side by side. */
export const TCAM_BITS = 44;
/** Bytes of a key that are a block wide; the bits beside them hold the version. */
export const TCAM_BYTES = 5;
