/**
 * The planner. `npx tsx bench/planner.ts`: CPU ms of 200 nodes x 50 layers. `npx tsx bench/planner.ts fit MODEL:A..B=RESULT.json ...`:
 * a cost model for the topology file, from results of `bench MODEL --layers A..B --json`; see docs/plan.md.
 * `npx tsx bench/planner.ts ends`: the same for the ends of a path, as `send` and `worker` compute: CPU ns of one row in the
 * reference interpreter and in ONNX Runtime.
 */
import { readFileSync } from 'node:fs';
import { multiplies, planXdp } from '../src/backends/xdp/plan.ts';
import { createFinisher } from '../src/ends/worker/finisher.ts';
import { loadWorkerModel } from '../src/ends/worker/load.ts';
import { loadOnnxRuntime } from '../src/ends/worker/onnxruntime.ts';
import { importModel } from '../src/import/index.ts';
import { valueType } from '../src/model/model.ts';
import { elementCount } from '../src/model/tensor.ts';
import { buildInstance } from '../src/planner/build-instance.ts';
import { solve } from '../src/planner/solve.ts';
import { interpret } from '../src/reference/interpreter.ts';
import { median } from '../src/runtime/bench.ts';
import { fitCost, type Sample } from '../src/targets/fit.ts';
import { requantisedNeurons, workOf } from '../src/targets/layer-work.ts';
import { largeProblem, shortages } from '../test/planner/large-problem.ts';
import { random } from '../test/support/random.ts';

const NODES = 200;
const LAYERS = 50;
const SEEDS = 5;

function timePlans(): void {
  console.log(
    `${NODES} nodes x ${LAYERS} layers, ${SEEDS} networks each: CPU ms (from the numbers to the plan), proved`,
  );
  for (const shortage of shortages) {
    for (const slack of [undefined, 1.1, 1.5, 3]) {
      const times: number[] = [];
      let proved = 0;
      const gaps: number[] = [];
      for (let seed = 0; seed < SEEDS; seed++) {
        const fastest = solved(seed, shortage, { minimise: 'latency' });
        const bound = ((fastest.solution.walk?.ps ?? 1e8) / 1e6) * (slack ?? 1);
        const { ms, solution } =
          slack === undefined ? fastest : solved(seed, shortage, { minimise: 'cost', latencyUs: bound });
        times.push(ms);
        const { proof, walk } = solution;
        if (proof.kind === 'optimal') proved++;
        else
          gaps.push(
            walk === undefined ? Number.NaN : (slack === undefined ? walk.ps : walk.price) / proof.bound - 1,
          );
      }
      const objective = slack === undefined ? 'latency' : `cost within ${slack} x the least latency`;
      const off = gaps.map((gap) => `${(100 * gap).toFixed(1)} %`).join(', ');
      console.log(
        `${shortage.padEnd(9)} ${objective.padEnd(36)} ${times.map((t) => t.toFixed(0).padStart(5)).join(' ')}   ${proved} of ${SEEDS}${off && `; the others within ${off}`}`,
      );
    }
  }
}

function solved(
  seed: number,
  shortage: (typeof shortages)[number],
  objective: Parameters<typeof largeProblem>[4],
) {
  const { chain, topology } = largeProblem(random(seed), NODES, LAYERS, shortage, objective);
  // CPU time of all threads: the machine may be busy with other work.
  const start = process.cpuUsage();
  const solution = solve(buildInstance(chain, topology, 'bench'));
  const { user, system } = process.cpuUsage(start);
  return { ms: (user + system) / 1000, solution };
}

async function printFit(given: readonly string[]): Promise<void> {
  const samples: Sample[] = [];
  for (const argument of given) {
    const [, file, from, to, result] = /^(.+):(\d+)\.\.(\d+)=(.+)$/.exec(argument) ?? [];
    if (file === undefined || result === undefined)
      throw new Error(`${argument}: expected MODEL:A..B=RESULT.json`);
    const { model } = await importModel(file);
    const range = { from: Number(from), to: Number(to) };
    const { packetNs } = JSON.parse(readFileSync(result, 'utf8')) as { packetNs: number };
    const work = {
      multiplies: planXdp(model, range).plan!.layers.reduce((sum, p) => sum + multiplies(p), 0),
      neurons: model.layers.slice(range.from, range.to).reduce((sum, l) => sum + requantisedNeurons(l), 0),
    };
    samples.push({ work, ns: packetNs });
    console.error(`${argument}: ${JSON.stringify({ work, ns: packetNs })}`);
  }
  const { worstError, ...cost } = fitCost(samples);
  const origin = `packetNs of bench, ${samples.length} measurements, off by ${(100 * worstError).toFixed(0)} % at worst`;
  console.log(JSON.stringify({ ...cost, origin }, undefined, 2));
}

const ENDS = ['digits-mlp', 'traffic-mlp', 'digits-cnn'] as const;

async function printEnds(): Promise<void> {
  const runtime = await loadOnnxRuntime();
  const edge: Sample[] = [];
  const worker: Sample[] = [];
  for (const name of ENDS) {
    const { model, onnx } = await loadWorkerModel(`examples/${name}.onnx`);
    const layers = model.layers.length;
    for (let cut = 0; cut <= layers; cut++) {
      const row = new Uint8Array(elementCount(valueType(model, cut).shape)).map((_, i) => i * 37);
      if (cut > 0) {
        const input = new Uint8Array(elementCount(model.input.shape)).map((_, i) => i * 37);
        const ns = await cpuNs(() => interpret(model, input, 0, cut));
        edge.push({ work: workOf(model, 0, cut), ns });
      }
      if (cut === layers) continue;
      const options = { model, onnx, runtime, on: 'onnxruntime', onDiagnostic: () => {} } as const;
      const finisher = await createFinisher(cut, options);
      worker.push({ work: workOf(model, cut, layers), ns: await cpuNs(() => finisher.run(row, 1)) });
      await finisher.close();
    }
  }
  for (const [kind, samples] of Object.entries({ edge, worker })) {
    console.log(`${kind}: ${JSON.stringify(fitCost(samples))}`);
    for (const { work, ns } of samples)
      console.log(
        `  { work: { multiplies: ${work.multiplies}, neurons: ${work.neurons} }, ns: ${Math.round(ns)} },`,
      );
  }
}

const BLOCKS = 9;

/** CPU ns of all threads, the median of blocks of some 50 ms. */
async function cpuNs(work: () => unknown): Promise<number> {
  let runs = 1;
  const block = async (): Promise<number> => {
    const start = process.cpuUsage();
    for (let i = 0; i < runs; i++) await work();
    const { user, system } = process.cpuUsage(start);
    return (user + system) * 1000;
  };
  while ((await block()) < 50e6) runs *= 2;
  const blocks: number[] = [];
  for (let i = 0; i < BLOCKS; i++) blocks.push((await block()) / runs);
  return median(blocks);
}

const [mode, ...rest] = process.argv.slice(2);
if (mode === 'fit') await printFit(rest);
else if (mode === 'ends') await printEnds();
else timePlans();
