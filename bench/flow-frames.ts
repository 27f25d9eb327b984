/**
 * Flow mode on XDP beside the reference on random frames: truncated ones, odd lengths, options, stacks of tags, chains of extension
 * headers, garbage. Of each definition as many; every difference is counted, and every frame that is dropped or changed.
 *
 *     npx tsx bench/flow-frames.ts [--frames N]   in all, a million if absent
 */
import { parseArgs } from 'node:util';
import { flowOutcomes } from '../src/backends/common/flow/outcomes.ts';
import { XdpAction } from '../src/bpf/index.ts';
import { endsAreTold, FeatureExecutor, readFeatures } from '../src/features/index.ts';
import { Comparison } from '../src/flow/compare.ts';
import { verdicts } from '../src/flow/engine.ts';
import { loadXdpFlow } from '../src/flow/xdp.ts';
import { planFlowOrRefuse } from '../src/targets/xdp/flows.ts';
import { deviceDefinitions } from '../test/flow/definitions.ts';
import { randomFrame } from '../test/flow/frames.ts';
import { networkOf } from '../test/flow/networks.ts';
import { random } from '../test/support/random.ts';

const { values } = parseArgs({ options: { frames: { type: 'string', default: '1000000' } } });
const definitions = Object.entries({ ...deviceDefinitions, traffic: readFeatures('traffic-16') });
const each = Math.ceil(Number(values.frames) / definitions.length);

let wrong = 0;
for (const [seed, [name, definition]] of definitions.entries()) {
  const model = networkOf(definition);
  using device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: true });
  const executor = new FeatureExecutor(definition);
  const comparison = new Comparison([{ definition, verdictOf: verdicts(model) }]);
  const atEnd = endsAreTold(definition);
  const r = random(100 + seed);
  let changed = 0;
  let timeNs = 1_700_000_000_000_000_000n;
  for (let i = 0; i < each; i++) {
    const given = randomFrame(r);
    // Now and then the clock stands still, or steps back a little.
    timeNs += BigInt(r.chance(0.05) ? r.int(-2000, 0) : r.int(1, r.chance(0.01) ? 50_000_000 : 400_000));
    const expected = executor.frame({ ...given, link: 'ethernet', timeNs });
    const result = device.run(given.data, timeNs, given.length);
    const features = result.outcome === 'classified' ? device.features() : undefined;
    const gone = atEnd && expected.flow !== undefined ? device.gone() : undefined;
    comparison.packet(expected, { ...result, features, gone });
    if (result.action !== XdpAction.pass || Buffer.compare(device.frame, given.data) !== 0) changed++;
  }
  const { packets, mismatches, examples } = comparison.equality();
  const counts = device.counts();
  const { begun, evicted, ended } = counts;
  const counted = flowOutcomes.reduce((sum, { name: outcome }) => sum + counts[outcome], 0n);
  console.log(
    `${name}: ${packets} frames, ${mismatches} mismatches, ${changed} dropped or changed, ${counted} accounted for; ` +
      `${begun} flows, ${evicted} made room, ${ended} ended without a packet`,
  );
  for (const example of examples) console.log(`  ${example}`);
  wrong += mismatches + changed + Number(BigInt(packets) - counted);
}
process.exit(wrong === 0 ? 0 : 1);
