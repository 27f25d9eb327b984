/**
 * Flow mode on BMv2: CPU time a packet of simple_switch_grpc for an empty program, for ours passing on what is foreign, with state, 16
 * features and traffic-mlp on every packet, and with a verdict that the flow has already. All switches run at the same time and are
 * measured in turn, so that a change of the machine's pace meets all of them; shown are medians, and multiples of the empty program.
 *
 *     npx tsx bench/flow-bmv2.ts [--rounds N] [--packets N]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { insertion } from '../src/backends/common/entries.ts';
import { cross, ports } from '../src/backends/common/table-model.ts';
import { median } from '../src/engines/bench.ts';
import { type Bmv2Session, PORT_IN, PORT_OUT, sessionOf } from '../src/engines/bmv2-session.ts';
import { startSwitch } from '../src/engines/bmv2-switch.ts';
import { createWorkspace } from '../src/engines/bmv2-workspace.ts';
import { parseFeatures } from '../src/features/index.ts';
import { readText } from '../src/files.ts';
import { modelOfFeatures } from '../src/flow/model.ts';
import { flowPipelines } from '../src/flow/targets.ts';
import { importModel } from '../src/import/index.ts';
import { GALLERY_DIR } from '../src/paths.ts';
import { tcp4 } from '../test/features/packets.ts';
import { whichBuild } from './bmv2-build.ts';
import { cpuOfPackets, openEmpty, pin } from './bmv2-cpu.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    packets: { type: 'string', default: '2000' },
  },
});
const [rounds, packets] = [Number(values.rounds), Number(values.packets)];
const gallery = join(GALLERY_DIR, 'traffic-16.yaml');
const imported = await importModel('examples/traffic-mlp.onnx');

/** A switch with the definition, classifying so often. */
async function openFlows(classify: string): Promise<Bmv2Session> {
  const text = readText(gallery).replace('classify: every-packet', `classify: ${classify}`);
  const definition = parseFeatures(text, gallery);
  const { config, updates } = await flowPipelines.bmv2!(definition, modelOfFeatures(imported, definition));
  const workspace = createWorkspace();
  const device = await startSwitch(workspace);
  await device.client.pipeline.commit(config);
  const wire = { table: ports, keys: [PORT_IN], action: cross, parameters: [PORT_OUT] };
  await device.client.write([insertion(wire), ...updates]);
  return sessionOf(device, workspace);
}

/** Packets of 64 flows by turns; of another EtherType they are foreign. */
const flows = Array.from({ length: 64 }, (_, i) =>
  tcp4({ sourcePort: 40_000 + i, payload: new Array<number>(60).fill(i) }),
);
const foreign = flows.map((frame) => {
  const copy = Uint8Array.from(frame);
  copy.set([0x88, 0xb5], 12);
  return copy;
});

const build = await whichBuild(packets);
const empty = await openEmpty();
const every = await openFlows('every-packet');
const second = await openFlows('{ packets: [2] }');
const cases: readonly (readonly [string, Bmv2Session, readonly Uint8Array[]])[] = [
  ['an empty program', empty, flows],
  ['passed on: foreign', every, foreign],
  ['state, 16 features, traffic-mlp', every, flows],
  ['a verdict that the flow has', second, flows],
];
try {
  for (const session of [empty, every, second]) pin(session);
  for (const [, session, frames] of cases) await cpuOfPackets(session, frames, packets);
  const samples = cases.map((): number[] => []);
  for (let round = 0; round < rounds; round++)
    for (const [i, [, session, frames]] of cases.entries())
      samples[i]!.push(await cpuOfPackets(session, frames, packets));
  const [ofEmpty, ofForeign] = samples.map(median) as [number, number];
  console.log(`BMv2 ${JSON.stringify(build)}`);
  for (const [i, [name]] of cases.entries()) {
    const us = median(samples[i]!);
    const least = Math.min(...samples[i]!);
    const above = (us - ofForeign).toFixed(1);
    const times = ((us - ofForeign) / ofEmpty).toFixed(2);
    console.log(
      `${us.toFixed(1)} us (least ${least.toFixed(1)}), above passing on ${above}, ${times} empty programs: ${name}`,
    );
  }
} finally {
  for (const session of [empty, every, second]) await session.close();
}
process.exit(0);
