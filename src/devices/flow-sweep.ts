import type { BpfMap, BpfProgram, TestRunner } from '../bpf/index.ts';

/** Buckets of one run: INTRANSIT_FLOW_SWEPT. */
const SWEPT = 64;
const RUNS_A_TURN = 16;
const ALL_PLACES = 0xf;
/** Shorter packets no program is run on. */
const LEAST_FRAME = 14;

/**
 * Ends flows that no packet comes to any more, where flows are classified at their ends: the program of the sweep runs over the
 * table, under the locks of its buckets, while packets pass.
 */
export class FlowSweeper {
  readonly #runner: TestRunner;
  readonly #range: BpfMap;
  readonly #frame = new Uint8Array(LEAST_FRAME);

  /** @param program `intransit_flow_sweep` @param range the map `flow_range` of its object */
  constructor(program: BpfProgram, range: BpfMap) {
    this.#runner = program.createTestRunner(LEAST_FRAME);
    this.#range = range;
  }

  /** @param places a bit for each of a bucket @param all whether flows end whose time is not over */
  range(from: number, count: number, places: number, all: boolean): void {
    this.#range.update(0, Buffer.from(Uint32Array.of(from, count, places, all ? 1 : 0).buffer));
    this.#runner.run(this.#frame);
  }

  /** The whole table, by turns: others run between. */
  async sweep(buckets: number, all = false): Promise<void> {
    for (let from = 0; from < buckets; from += SWEPT) {
      this.range(from, SWEPT, ALL_PLACES, all);
      if (from % (SWEPT * RUNS_A_TURN) === 0) await new Promise(setImmediate);
    }
  }
}
