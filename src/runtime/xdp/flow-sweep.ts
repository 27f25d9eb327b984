import { type BpfMap, type BpfProgram, LEAST_PACKET, type TestRunner } from '../../bpf/index.ts';

/** Buckets of one run: INTRANSIT_FLOW_SWEPT. */
const SWEPT = 64;
const RUNS_A_TURN = 16;
const ALL_PLACES = 0xf;

/**
 * Ends flows that no packet comes to any more, where flows are classified at their ends: the program of the sweep runs over the
 * table, under the locks of its buckets, while packets pass.
 */
export class FlowSweeper {
  readonly #runner: TestRunner;
  readonly #range: BpfMap;
  readonly #frame = new Uint8Array(LEAST_PACKET);

  /** @param program `intransit_flow_sweep` @param range the map `flow_range` of its object */
  constructor(program: BpfProgram, range: BpfMap) {
    this.#runner = program.createTestRunner(LEAST_PACKET);
    this.#range = range;
  }

  /** @param places a bit for each of a bucket @param all whether flows end whose time is not over */
  range(from: number, count: number, places: number, all: boolean): void {
    this.#range.update(0, Buffer.from(Uint32Array.of(from, count, places, all ? 1 : 0).buffer));
    this.#runner.run(this.#frame);
  }

  /** The whole table, by turns: others run between. @param isOver asked between two turns: whether to leave the rest */
  async sweep(buckets: number, all = false, isOver = (): boolean => false): Promise<void> {
    for (let from = 0; from < buckets && !isOver(); from += SWEPT) {
      this.range(from, SWEPT, ALL_PLACES, all);
      if (from % (SWEPT * RUNS_A_TURN) === 0) await new Promise(setImmediate);
    }
  }
}

/** Between two sweeps: a flow whose time is over ends at most so much later. */
const SWEEP_MS = 1000;

/** What sweeps every second, one sweep at a time. */
export interface Sweeping {
  /** No sweep touches its maps after this: one that is under way leaves the rest. */
  stop(): void;
}

/** @param sweep of one table or of several; asks between two turns whether it is to leave the rest */
export function sweepRegularly(
  sweep: (isOver: () => boolean) => Promise<void>,
  everyMs = SWEEP_MS,
): Sweeping {
  let isStopped = false;
  let isUnderWay = false;
  const timer = setInterval(() => {
    if (isUnderWay) return;
    isUnderWay = true;
    sweep(() => isStopped)
      // What it did not come to is swept the next time.
      .catch(() => {})
      .finally(() => {
        isUnderWay = false;
      });
  }, everyMs);
  timer.unref();
  return {
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
  };
}
