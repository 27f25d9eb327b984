/**
 * Flow mode on BMv2: CPU time a packet of simple_switch_grpc for an empty program, for ours passing on what is foreign, with state, 16
 * features and traffic-mlp on every packet, and with a verdict that the flow has already; and the same by the first and the last of four
 * models beside each other. All switches run at the same time and are
 * measured in turn, so that a change of the machine's pace meets all of them; shown are medians, and multiples of the empty program.
 *
 *     npx tsx bench/flow-bmv2.ts [--rounds N] [--packets N]
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { insertion } from '../src/backends/common/entries.ts';
import { cross, ports } from '../src/backends/common/table-model.ts';
import { type FeatureDefinition, parseFeatures } from '../src/features/index.ts';
import { selectorSchema } from '../src/features/selector.ts';
import { readText } from '../src/files.ts';
import { modelOfFeatures } from '../src/flow/model.ts';
import type { FlowPipeline } from '../src/flow/options.ts';
import type { FlowSet } from '../src/flow/set.ts';
import { flowPipelines, setPipelines } from '../src/flow/targets.ts';
import { importModel } from '../src/import/index.ts';
import { classCount } from '../src/model/classes.ts';
import { GALLERY_DIR } from '../src/paths.ts';
import { median } from '../src/runtime/bench.ts';
import { type Bmv2Session, PORT_IN, PORT_OUT, sessionOf } from '../src/runtime/bmv2/session.ts';
import { startSwitch } from '../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../src/runtime/bmv2/workspace.ts';
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

/** The definition, classifying so often. */
function definitionOf(classify: string): FeatureDefinition {
  const text = readText(gallery).replace('classify: every-packet', `classify: ${classify}`);
  return parseFeatures(text, gallery);
}

/** Four models, of which the packets' ports are the first's or the last's. */
function fourModels(): FlowSet {
  const definition = definitionOf('every-packet');
  const model = modelOfFeatures(imported, definition);
  const classes = Array.from({ length: classCount(model) }, (_, i) => i);
  const of = (name: string, when?: object) => ({
    ...{ name, definition, model, classes },
    when: when && selectorSchema.parse(when),
  });
  const members = [
    of('ports', { ports: [443] }),
    of('prefixes', { prefixes: ['10.0.0.0/8', '172.16.0.0/12'] }),
    of('tags', { vlans: [5, 6], dscp: [46] }),
    of('rest'),
  ];
  const names = classes.map((c) => `class-${c}`);
  return { name: 'four', file: 'four.yaml', members, collided: undefined, classes: names, diagnostics: [] };
}

const pipelineOf = (definition: FeatureDefinition): Promise<FlowPipeline> =>
  flowPipelines.bmv2!(definition, modelOfFeatures(imported, definition));

async function openFlows(pipeline: Promise<FlowPipeline>): Promise<Bmv2Session> {
  const { config, updates } = await pipeline;
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
const others = flows.map((_, i) =>
  tcp4({ sourcePort: 40_000 + i, destinationPort: 444, payload: new Array<number>(60).fill(i) }),
);
const foreign = flows.map((frame) => {
  const copy = Uint8Array.from(frame);
  copy.set([0x88, 0xb5], 12);
  return copy;
});

const build = await whichBuild(packets);
const empty = await openEmpty();
const every = await openFlows(pipelineOf(definitionOf('every-packet')));
const second = await openFlows(pipelineOf(definitionOf('{ packets: [2] }')));
const four = await openFlows(setPipelines.bmv2!(fourModels()));
const sessions = [empty, every, second, four];
const cases: readonly (readonly [string, Bmv2Session, readonly Uint8Array[]])[] = [
  ['an empty program', empty, flows],
  ['passed on: foreign', every, foreign],
  ['state, 16 features, traffic-mlp', every, flows],
  ['a verdict that the flow has', second, flows],
  ['every packet, the first of four models', four, flows],
  ['every packet, the last of four models', four, others],
];
try {
  for (const session of sessions) pin(session);
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
  for (const session of sessions) await session.close();
}
process.exit(0);
