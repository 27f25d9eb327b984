/**
 * Speed of the XDP backend beside its targets, and what compiling costs: `npx tsx bench/xdp.ts [--json] [--rounds N]`. Wants
 * root and an otherwise idle machine. Figures are ratios within one run, so that they hold on other machines too.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processIo, progress, table } from '../src/cli/io.ts';
import { importModel } from '../src/import/index.ts';
import { type BenchResult, bench } from '../src/runtime/bench.ts';
import { xdpNets } from './xdp-nets.ts';

const EXAMPLES = fileURLToPath(new URL('../examples', import.meta.url));
const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));

/** Largest ratios of packed lanes to each form that are good enough; a hand-written prototype reached them. */
const targets: Readonly<Record<string, { unpackedNs: number; scalarNs: number; boundNs: number }>> = {
  'digits-mlp': { unpackedNs: 0.39, scalarNs: 0.35, boundNs: 1.6 },
  'traffic-mlp': { unpackedNs: 0.46, scalarNs: 0.31, boundNs: 1.7 },
};

/** Largest cost of `compile --no-build`. */
const compileTargets = { seconds: 1, megabytes: 300 };

interface CompileCost {
  readonly seconds: number;
  readonly megabytes: number;
}

const io = processIo();
const json = process.argv.includes('--json');
const roundsAt = process.argv.indexOf('--rounds');
const rounds = roundsAt < 0 ? 41 : Number(process.argv[roundsAt + 1]);

/** Rounds of the larger nets, whose samples take seconds. */
const NET_ROUNDS = 3;

async function speed(name: string): Promise<BenchResult> {
  const net = xdpNets[name];
  const { model } = net ?? (await importModel(join(EXAMPLES, `${name}.onnx`)));
  const rows = net?.rows ?? readFileSync(join(EXAMPLES, `${name}.x.bin`));
  const bar = progress(io, `${name}: rounds`, rounds);
  const result = await bench(model, rows, {}, net ? Math.min(rounds, NET_ROUNDS) : rounds, bar.update);
  bar.end();
  return result;
}

/**
 * The command in a process of its own, whose last words are its processor time and peak memory. The time is less that of
 * a process which only says its version: the start of the TypeScript loader is none of the compiler's.
 */
function compileCost(name: string): CompileCost {
  const folder = mkdtempSync(join(tmpdir(), 'ittbench-'));
  const report =
    'process.on("exit", () => process.stderr.write("\\n" + JSON.stringify(process.resourceUsage())))';
  const run = (...argv: string[]): CompileCost => {
    const child = spawnSync(
      process.execPath,
      ['--import', 'tsx', '--import', `data:text/javascript,${encodeURIComponent(report)}`, MAIN, ...argv],
      { encoding: 'utf8' },
    );
    if (child.status !== 0) throw new Error(`intransit ${argv.join(' ')}: ${child.stderr}`);
    const used = JSON.parse(child.stderr.split('\n').at(-1)!) as NodeJS.ResourceUsage;
    return { seconds: (used.userCPUTime + used.systemCPUTime) / 1e6, megabytes: used.maxRSS / 1024 };
  };
  try {
    const model = join(EXAMPLES, `${name}.onnx`);
    const compile = () => run('compile', model, '-o', join(folder, 'out'), '--target', 'xdp', '--no-build');
    compile();
    const start = run('--version');
    const whole = compile();
    return { seconds: whole.seconds - start.seconds, megabytes: whole.megabytes };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const speeds: Record<string, BenchResult> = {};
for (const name of [...Object.keys(targets), ...Object.keys(xdpNets)]) speeds[name] = await speed(name);
const costs = Object.fromEntries(
  ['digits-mlp', 'digits-cnn', 'traffic-mlp'].map((name) => [name, compileCost(name)]),
);

if (json) io.out(`${JSON.stringify({ speeds, targets, compile: costs, compileTargets }, undefined, 2)}\n`);
else {
  const forms = [
    ['--lanes off', 'unpackedNs'],
    ['native C, scalar', 'scalarNs'],
    ['bound (multiplies)', 'boundNs'],
    ['native C, SIMD', 'simdNs'],
  ] as const;
  const target = (name: string, form: string) => targets[name]?.[form as 'boundNs'];
  io.out(
    table([
      ['model', 'form', 'ns', 'packed / form', 'target', ''],
      ...Object.entries(speeds).flatMap(([name, r]) => [
        [name, 'packed lanes', Number(r.packedNs.toFixed(1)), '', '', ''],
        [name, 'verified instructions', r.verifiedInstructions ?? '', '', '', ''],
        ...forms.map(([label, form]) => {
          const ratio = r.packedNs / r[form];
          const most = target(name, form);
          const reached = most === undefined ? '' : ratio <= most ? 'reached' : 'missed';
          return [
            name,
            label,
            Number(r[form].toFixed(1)),
            ratio.toFixed(2),
            most === undefined ? '' : `${most}`,
            reached,
          ];
        }),
      ]),
    ]),
  );
  io.out(
    `\n${table([
      ['compile --no-build', 'seconds', 'megabytes'],
      ...Object.entries(costs).map(([name, c]) => [name, c.seconds.toFixed(2), c.megabytes.toFixed(0)]),
      ['target', `${compileTargets.seconds}`, `${compileTargets.megabytes}`],
    ])}`,
  );
}
