import { relative } from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take minutes, the longest first. A clean clone knows no times, and one of these that begins last is waited for alone. */
const LONG = [
  'test/backends/v1model/lanes.test.ts',
  'test/backends/tna/tna.test.ts',
  'test/planner/solve.test.ts',
  'test/cli/odd-arguments.test.ts',
  'test/backends/xdp/random.test.ts',
  'test/runtime/bmv2-lookups.test.ts',
  'test/backends/v1model/segments.test.ts',
  'test/e2e/split.test.ts',
  'test/runtime/bmv2.test.ts',
  'test/backends/v1model/program.test.ts',
  'test/backends/xdp/layers.test.ts',
  'test/backends/xdp/images.test.ts',
  'test/backends/v1model/bmv2-layers.test.ts',
  'test/flow/bmv2.test.ts',
  'test/daemon/live.test.ts',
  'test/daemon/live-replicas.test.ts',
  'test/daemon/live-balancing.test.ts',
  'test/agent/kills.test.ts',
  'test/e2e/inference.test.ts',
  'test/e2e/failure.test.ts',
];

/** The long files first, the others in the order of vitest. */
export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification): number => {
      const place = LONG.indexOf(relative(this.ctx.config.root, moduleId));
      return place < 0 ? LONG.length : place;
    };
    return (await super.sort(files)).sort((a, b) => placeOf(a) - placeOf(b));
  }
}
