/**
 * What becomes of model files that people have: imported, and the integers of their own runtime? `npx tsx bench/import.ts [--write]`
 *
 * INTRANSIT_PUBLIC_MODELS names a folder with a folder a producer, of .onnx and .tflite files in any depth; clones of public
 * repositories will do. Networks that ONNX Runtime's quantize_static makes come from scripts/quantize-static-nets.py where Python has
 * it. ONNX is compared with ONNX Runtime, each node by its own kernel; TFLite with bench/tflite_reference.py. Files are read in
 * processes of their own, which are ended where one takes longer than its time.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DiagnosticError } from '../src/diagnostics/index.ts';
import { type ImportResult, importBytes } from '../src/import/index.ts';
import { type Model, macs, outputType } from '../src/model/model.ts';
import { decodeElements, tensorBytes } from '../src/model/tensor.ts';
import { interpretRows } from '../src/reference/interpreter.ts';
import { compareWithRuntime } from '../test/support/onnx-runtime.ts';
import { random, randomRows } from '../test/support/random.ts';

const MOST_SECONDS = 150;
const ROWS = 60;
/** Multiplies of all rows of a file together. */
const MOST_WORK = 1e8;

type Outcome =
  | { readonly kind: 'equal'; readonly rows: number }
  | { readonly kind: 'off'; readonly share: number; readonly by: number; readonly warned: boolean }
  | { readonly kind: 'uncompared'; readonly reason: string }
  | { readonly kind: 'refused'; readonly code: string; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

async function outcomeOf(file: string): Promise<Outcome> {
  const bytes = new Uint8Array(readFileSync(file));
  let imported: ImportResult;
  try {
    imported = await importBytes(bytes, file);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) return { kind: 'failed', reason: String(error) };
    const first = error.diagnostics.find(({ severity }) => severity === 'error')!;
    return { kind: 'refused', code: first.code, reason: first.message };
  }
  const { model } = imported;
  const work = model.layers.reduce((sum, layer) => sum + macs(model, layer), 1);
  const count = Math.max(1, Math.min(ROWS, Math.floor(MOST_WORK / work)));
  const rows = randomRows(random(5), count, tensorBytes(model.input));
  try {
    const { mismatches, elements, furthest } =
      extname(file) === '.onnx'
        ? await compareWithRuntime(bytes, imported, rows)
        : compareWithKernels(file, imported, rows);
    if (mismatches === 0) return { kind: 'equal', rows: count };
    const warned = imported.diagnostics.some(({ severity }) => severity === 'warning');
    return { kind: 'off', share: mismatches / elements, by: furthest, warned };
  } catch (error) {
    // What Python says last is the error; what Node says of it names the command.
    const said = (error as { readonly stderr?: Buffer }).stderr?.toString().trim().split('\n').at(-1);
    return { kind: 'uncompared', reason: said ?? String((error as Error).message).split('\n')[0]! };
  }
}

/** What stands before a verdict, or a softmax at the end, is compared: the second witness leaves both out. */
function beforeVerdict(model: Model): Model {
  const writes = (kind: string) => kind === 'requantise' || kind === 'softmax' || kind === 'argmax';
  const at = model.layers.findLastIndex(({ kind }) => kind === 'softmax' || kind === 'argmax');
  if (at < 0 || !model.layers.slice(at).every(({ kind }) => writes(kind))) return model;
  return model.layers[at]!.inputs[0] === at ? { ...model, layers: model.layers.slice(0, at) } : model;
}

function compareWithKernels(file: string, { model: whole, rounding }: ImportResult, rows: Uint8Array) {
  const model = beforeVerdict(whole);
  const folder = mkdtempSync(join(tmpdir(), `intransit-import-${process.pid}-`));
  try {
    const [x, y] = [join(folder, 'x.bin'), join(folder, 'y.bin')];
    writeFileSync(x, rows);
    const script = fileURLToPath(new URL('tflite_reference.py', import.meta.url));
    execFileSync('python3', [script, file, x, y, rounding?.kind ?? 'double'], { stdio: 'pipe' });
    const { element } = outputType(model);
    const [wanted, got] = [new Uint8Array(readFileSync(y)), interpretRows(model, rows)].map((bytes) =>
      decodeElements(element, bytes),
    ) as [Int32Array, Int32Array];
    if (wanted.length !== got.length) throw new Error(`${wanted.length} elements instead of ${got.length}`);
    // Behind a softmax, which both leave out, a QUANTIZE to uint8 turns the sign bit.
    const turned = got.every((q, i) => ((q ^ wanted[i]!) & 0xff) === 0x80);
    const off = got.map((q, i) => (turned ? 0 : Math.abs(q - wanted[i]!)));
    return {
      elements: got.length,
      mismatches: off.filter((d) => d > 0).length,
      furthest: off.reduce((a, b) => Math.max(a, b), 0),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Producer {
  readonly name: string;
  readonly files: readonly string[];
}

async function report(write: boolean): Promise<void> {
  const made = mkdtempSync(join(tmpdir(), `intransit-nets-${process.pid}-`));
  try {
    const producers = [...staticNets(made), ...publicModels()];
    const sections: string[] = [];
    const table = [
      '| producer | files | imported | equal | within one step, warned | further off | not compared | refused |',
      '|---|---|---|---|---|---|---|---|',
    ];
    for (const producer of producers) {
      const outcomes = await outcomesOf(producer);
      table.push(line(producer, outcomes));
      sections.push(...details(producer, outcomes));
    }
    const text = `${table.join('\n')}\n${sections.join('\n')}\n`;
    console.log(text);
    if (write) writeFileSync(new URL('import.md', import.meta.url), `${HEAD}${text}`);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

const HEAD = `# Files that people have

Made by \`npx tsx bench/import.ts --write\`; the script says what it needs. Equal: every element of up to ${ROWS} random rows (fewer of large
networks) is that of the file's own runtime, ONNX Runtime without optimisations or the reference kernels of TFLite. Public files are not
part of this repository. Of a verdict, what stands before it is compared.

Damaged files: of 100,000 mutations of some 450 files (networks of scripts/random-nets.py, quantize_static, QONNX, attention and
interpolation in ONNX; random TFLite; JSON; bytes flipped, cut and spliced, fields changed), in one run, 22,817 were imported and 77,183
refused with a message; the slowest took 783 ms, and none 1 GB. \`npm run attack -- --only 'damaged models' --scale 10\` mutates what is in
the repository, and the models of a folder that INTRANSIT_ATTACK_MODELS names.

`;

/** Networks of quantize_static; none where Python lacks it. */
function staticNets(folder: string): Producer[] {
  try {
    const script = fileURLToPath(new URL('../scripts/quantize-static-nets.py', import.meta.url));
    execFileSync('python3', [script, folder], { stdio: 'ignore' });
  } catch {
    console.error('no networks of quantize_static: python3 lacks onnxruntime');
    return [];
  }
  return [{ name: 'ONNX Runtime quantize_static, made here', files: modelsIn(folder) }];
}

function publicModels(): Producer[] {
  const folder = process.env.INTRANSIT_PUBLIC_MODELS;
  if (folder === undefined) {
    console.error('no public files: INTRANSIT_PUBLIC_MODELS is not set');
    return [];
  }
  return readdirSync(folder)
    .sort()
    .map((name) => ({ name: name.replace('+', '/'), files: modelsIn(join(folder, name)) }))
    .filter(({ files: all }) => all.length > 0);
}

const modelsIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => ['.onnx', '.tflite'].includes(extname(name)))
    .sort()
    .map((name) => join(folder, name));

/** One after the other; a process that takes too long over a file is ended, and another one goes on behind it. */
async function outcomesOf({ name, files: all }: Producer): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < all.length) {
    const before = outcomes.length;
    await new Promise<void>((resolve) => {
      const argv = ['--import', 'tsx', fileURLToPath(import.meta.url), '--files', ...all.slice(before)];
      const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
      let watch = setTimeout(() => child.kill('SIGKILL'), MOST_SECONDS * 1000);
      let text = '';
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString();
        const lines = text.split('\n');
        text = lines.pop()!;
        for (const told of lines) {
          outcomes.push(JSON.parse(told) as Outcome);
          clearTimeout(watch);
          watch = setTimeout(() => child.kill('SIGKILL'), MOST_SECONDS * 1000);
        }
        process.stderr.write(`${name}: ${outcomes.length} of ${all.length}\n`);
      });
      child.on('close', () => {
        clearTimeout(watch);
        resolve();
      });
    });
    if (outcomes.length < all.length)
      outcomes.push({ kind: 'failed', reason: `ends its process, or takes more than ${MOST_SECONDS} s` });
  }
  return outcomes;
}

function line({ name, files: all }: Producer, outcomes: readonly Outcome[]): string {
  const count = (test: (o: Outcome) => boolean) => outcomes.filter(test).length;
  const cells = [
    name,
    all.length,
    count(({ kind }) => kind !== 'refused' && kind !== 'failed'),
    count(({ kind }) => kind === 'equal'),
    count((o) => o.kind === 'off' && o.by === 1 && o.warned),
    count((o) => o.kind === 'off' && !(o.by === 1 && o.warned)),
    count(({ kind }) => kind === 'uncompared'),
    count(({ kind }) => kind === 'refused' || kind === 'failed'),
  ];
  return `| ${cells.join(' | ')} |`;
}

/** What was not equal, and why: reasons with their counts and one file. */
function details({ name, files: all }: Producer, outcomes: readonly Outcome[]): string[] {
  const reasons = new Map<string, string[]>();
  for (const [i, outcome] of outcomes.entries()) {
    const reason = reasonOf(outcome);
    if (reason === undefined) continue;
    reasons.set(reason, [...(reasons.get(reason) ?? []), all[i]!]);
  }
  if (reasons.size === 0) return [];
  const rows = [...reasons].sort(([, a], [, b]) => b.length - a.length);
  return [
    '',
    `## ${name}`,
    '',
    '| files | of them | what |',
    '|---|---|---|',
    ...rows.map(([reason, of]) => `| ${of.length} | ${shown(of)} | ${reason} |`),
  ];
}

const MOST_NAMES = 3;

const shown = (of: readonly string[]): string => {
  const all = [...new Set(of.map((file) => `\`${basename(file)}\``))];
  const names = all.slice(0, MOST_NAMES);
  return of.length > names.length ? `${names.join(', ')}, ...` : names.join(', ');
};

/** A message without the names of tensors, which differ from file to file. */
function nameless({ code, reason }: Extract<Outcome, { kind: 'refused' }>): string {
  if (code === 'onnx-several') return 'has several inputs or outputs, of which one is to be named';
  return reason
    .replace(/^(value )?\S+ is (?=int|uint|float|computed)/, 'a tensor is ')
    .replaceAll('|', '/')
    .slice(0, 160);
}

function reasonOf(outcome: Outcome): string | undefined {
  switch (outcome.kind) {
    case 'equal':
      return undefined;
    case 'off':
      return `${(100 * outcome.share).toFixed(1)} % of the elements off by up to ${outcome.by}, ${outcome.warned ? 'warned of' : 'no warning'}`;
    case 'uncompared':
      return `imported, not compared: ${outcome.reason.slice(0, 120)}`;
    case 'refused':
      return `refused (${outcome.code}): ${nameless(outcome)}`;
    case 'failed':
      return `fails: ${outcome.reason.slice(0, 160)}`;
  }
}

const [mode, ...files] = process.argv.slice(2);
if (mode === '--files') for (const file of files) console.log(JSON.stringify(await outcomeOf(file)));
else await report(mode === '--write');
