/**
 * Flow mode on XDP, ns a packet in test runs on one core: passing on, state and features, the same with traffic-mlp on every
 * packet, and a cached verdict; of one flow, and of 131,072 by turns. Beside it what one access to a table of that size costs the
 * machine. Rounds are short, so that some are not interrupted, and by turns; shown are the tenth of a hundred and the least.
 *
 *   npx tsx bench/flow.ts
 */
import { join } from 'node:path';
import { openObject, type TestRunner } from '../src/bpf/index.ts';
import { parseFeatures } from '../src/features/index.ts';
import { readText } from '../src/files.ts';
import { modelOfFeatures } from '../src/flow/model.ts';
import { loadXdpFlow } from '../src/flow/xdp.ts';
import { importModel } from '../src/import/index.ts';
import { EBPF_DIR, GALLERY_DIR } from '../src/paths.ts';
import { planFlowOrRefuse } from '../src/targets/xdp/flows.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { compileBpf } from '../src/toolchain/clang.ts';
import { tcp4 } from '../test/features/packets.ts';

const ROUNDS = 800;
const REPEAT = 4000;
const FLOWS = 131_072;

const gallery = join(GALLERY_DIR, 'traffic-16.yaml');
const imported = await importModel('examples/traffic-mlp.onnx');
const frame = tcp4({ payload: new Array<number>(60).fill(1) });

/** A program as users load it, but for what the benchmark takes away or puts in. */
async function runner(classify: string, flags: readonly string[]): Promise<TestRunner> {
  const text = readText(gallery).replace('classify: every-packet', `classify: ${classify}`);
  // Twice the places, so that all flows have one.
  const definition = parseFeatures(
    text.replace('state:', `table: { flows: ${2 * FLOWS} }\n  state:`),
    gallery,
  );
  const plan = planFlowOrRefuse(definition, modelOfFeatures(imported, definition));
  const device = await loadXdpFlow(plan, { test: false }, flags);
  return device.program.createTestRunner(frame.length);
}

async function plain(source: string, name: string): Promise<TestRunner> {
  using folder = temporaryFolder();
  const object = join(folder.path, `${name}.o`);
  await compileBpf(source, object);
  return (await openObject(object)).program(name).createTestRunner(frame.length);
}

const turns = `-DINTRANSIT_FLOW_TURNS=${FLOWS}`;
const noLayers = ['-DINTRANSIT_FLOW_NO_LAYERS', '-Wno-unused-function'];
const runners: readonly (readonly [string, TestRunner])[] = [
  ['passing on', await plain(join(EBPF_DIR, 'pass.c'), 'pass')],
  ['one access to 20 MiB', await plain('bench/flow/access.c', 'access')],
  ['state and features', await runner('every-packet', noLayers)],
  ['with traffic-mlp on every packet', await runner('every-packet', [])],
  ['cached verdict', await runner('{ packets: [2] }', [])],
  ['state and features, 131,072 flows by turns', await runner('every-packet', [...noLayers, turns])],
  ['with traffic-mlp, 131,072 flows by turns', await runner('every-packet', [turns])],
  ['cached verdict, 131,072 flows by turns', await runner('{ packets: [2] }', [turns])],
];
const times = runners.map((): number[] => []);
for (let round = 0; round < ROUNDS; round++)
  runners.forEach(([, r], i) => {
    r.run(frame, REPEAT);
    times[i]!.push(r.durationNs);
  });
for (const [i, [name]] of runners.entries()) {
  const sorted = times[i]!.sort((a, b) => a - b);
  console.log(
    `${String(sorted[ROUNDS / 10]!).padStart(5)} ns (least ${sorted[0]!}, half ${sorted[ROUNDS / 2]!})  ${name}`,
  );
}

process.exit(0);
