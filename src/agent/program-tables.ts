import type { Change, Init } from '../p4runtime/index.ts';
import type { PortState } from './interfaces.ts';

/** What a running program tells of its own accord: digests, by id. */
export type Tell = (digestId: number, data: Init<'P4Data'>) => void;

/** The tables of one kind of program, as its maps have them. Methods refuse with a Fault. */
export interface ProgramTables {
  /** Brings all maps in line with a state; what is right is left alone. @returns what was not right, in words */
  fill(state: readonly Change[], interfaces: readonly PortState[]): Promise<string>;
  /** Makes maps say again what they said before others were to go on with them; absent where none do. */
  realign?(interfaces: readonly PortState[]): Promise<void>;
  /** One change, at once. */
  set(change: Change): Promise<void> | void;
  /** Tells the program which interface is which port. */
  setInterfaces(interfaces: readonly PortState[]): void;
  readCounter(counterId: number, index: number): Init<'CounterData'>;
  /** Begins to tell, and to do what the program leaves to this process. */
  listen(digests: boolean): void;
  /** The entries that the program works by, read from its maps, for the case that the disk has lost them. */
  state(interfaces: readonly PortState[], known: readonly Change[]): Change[];
  /** Ends this process's part; the maps stay as they are. */
  close(): void;
}

/** What a counter has counted that nothing has gone through. */
export const NO_COUNT: Init<'CounterData'> = { byteCount: 0n, packetCount: 0n };

/** The cells of a counter or meter that a change means: one, or all. */
export const cellsOf = ({ index }: Pick<Init<'CounterEntry'>, 'index'>, size: number): number[] =>
  index === undefined ? Array.from({ length: size }, (_, i) => i) : [Number(index.index ?? 0)];
