import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { ChipName } from '../../../src/backends/tna/chips.ts';
import { JUDGED_FILE } from '../../../src/toolchain/tofino.ts';
import { type ForestSpec, forestOnnx } from '../../support/forests.ts';
import { random, randomRows } from '../../support/random.ts';
import { perceptronDocument } from '../../support/small-models.ts';

/** Programs for Tofino whose foretold use of the chip is held against what the open compiler and its assembler place. */
export interface JudgedProgram {
  readonly name: string;
  readonly chip: ChipName;
  /**
   * Writes what it needs.
   * @param run one command line, which must succeed
   * @returns the rest of the command line after `compile`
   */
  arguments(folder: string, run: (...argv: string[]) => Promise<void>): Promise<readonly string[]>;
}

const TRAFFIC = 'examples/traffic-mlp.onnx';
const ROWS = 'examples/traffic-mlp.x.bin';

const traffic = (chip: ChipName, what: string, ...given: string[]): JudgedProgram => ({
  name: `traffic-mlp${what}`,
  chip,
  arguments: async () => [TRAFFIC, ...(given.includes('--whole') ? [] : ['--calibrate', ROWS]), ...given],
});

/** Any weights, with a verdict at the end. */
const perceptron = (chip: ChipName, widths: readonly number[], ...given: string[]): JudgedProgram => ({
  name: [widths.join('-'), ...given].join(' '),
  chip,
  async arguments(folder) {
    const model = join(folder, 'perceptron.json');
    writeFileSync(model, JSON.stringify(perceptronDocument(widths, 7, [{ kind: 'argmax' }])));
    const rows = join(folder, 'rows.bin');
    writeFileSync(rows, randomRows(random(4), 400, widths[0]!));
    return [model, '--calibrate', rows, ...given];
  },
});

/** The last of two parts: what it reads are bytes of levels, its sums are compared. */
const partWithVerdict: JudgedProgram = {
  name: '10-32-16-3, layers 1 to 3 of 32 levels',
  chip: 'tofino',
  async arguments(folder, run) {
    const [model, , rows] = await perceptron('tofino', [10, 32, 16, 3]).arguments(folder, run);
    return [model!, '--layers', '1..4', '--whole', rows!, '--levels', '32'];
  },
};

function forestFile(folder: string, spec: ForestSpec): string {
  const file = join(folder, 'forest.onnx');
  writeFileSync(file, forestOnnx(random(spec.depth), spec));
  return file;
}

/** On the features of traffic-mlp, any thresholds. */
const forest = (
  chip: ChipName,
  what: string,
  spec: Pick<ForestSpec, 'trees' | 'depth' | 'scores' | 'leaves' | 'signed'>,
): JudgedProgram => ({
  name: `${spec.trees} trees of depth ${spec.depth}, ${spec.scores} classes${what}`,
  chip,
  arguments: async (folder) => [forestFile(folder, { features: 16, ...spec }), '--calibrate', ROWS],
});

const CAPTURES = 'examples/captures';

/** With the features of `tofino-8`. @param model its file, where it is not in the gallery */
const flows = (what: string, model: (folder: string) => string): JudgedProgram => ({
  name: `tofino-8 with ${what}`,
  chip: 'tofino2',
  async arguments(folder, run) {
    const rows = join(folder, 'rows.npy');
    const captures = readdirSync(CAPTURES).filter((f) => f.endsWith('.pcap'));
    const labels = join(CAPTURES, 'labels.csv');
    const pcap = captures.map((f) => join(CAPTURES, f));
    await run('features', 'tofino-8', '--pcap', ...pcap, '--labels', labels, '-o', rows);
    return [model(folder), '--features', 'tofino-8', '--calibrate', rows];
  },
});

/** Those that are judged; all but the first few take the compiler ten seconds to a minute each. */
export const judgedPrograms: readonly JudgedProgram[] = [
  perceptron('tofino2', [4, 6, 3], '--levels', '8'),
  perceptron('tofino', [6, 8, 4, 2], '--levels', '8'),
  traffic('tofino2', ''),
  traffic('tofino2', ', `--entries 4000`', '--entries', '4000'),
  traffic('tofino', ', layer 0 of 32 levels', '--layers', '0..1', '--whole', ROWS, '--levels', '32'),
  traffic('tofino', ', layers 1 and 2 of 32 levels', '--layers', '1..3', '--whole', ROWS, '--levels', '32'),
  perceptron('tofino', [10, 32, 16, 3], '--entries', '1500'),
  perceptron('tofino2', [10, 32, 16, 3]),
  partWithVerdict,
  forest('tofino2', '', { trees: 10, depth: 8, scores: 7, leaves: 'all' }),
  forest('tofino2', '', { trees: 30, depth: 6, scores: 7, leaves: 'all' }),
  forest('tofino2', '', { trees: 50, depth: 6, scores: 7, leaves: 'all' }),
  forest('tofino', '', { trees: 5, depth: 4, scores: 3, leaves: 'all' }),
  forest('tofino', ', boosted', { trees: 12, depth: 3, scores: 3, leaves: 'one', signed: true }),
  forest('tofino2', ', boosted', { trees: 30, depth: 4, scores: 3, leaves: 'one', signed: true }),
  forest('tofino2', ' (single leaves)', { trees: 3, depth: 0, scores: 4, leaves: 'all' }),
  flows('its network', () => 'gallery/tofino-8.onnx'),
  flows('10 trees of depth 4, 6 classes', (folder) =>
    forestFile(folder, { features: 8, trees: 10, depth: 4, scores: 6, leaves: 'all' }),
  ),
  flows('single leaves', (folder) =>
    forestFile(folder, { features: 8, trees: 3, depth: 0, scores: 4, leaves: 'all' }),
  ),
];

const stages = z.looseObject({ ingress: z.number(), egress: z.number() });

const manifestShape = z.looseObject({
  weights: z.looseObject({ count: z.number() }),
  foretold: z.looseObject({
    stages,
    needs: z.array(z.looseObject({ resource: z.string(), need: z.number() })),
  }),
});

const judgedShape = z.looseObject({ stages, sram: z.number(), tcam: z.number(), busBytes: z.number() });

/** What of a resource is foretold, and what was placed. */
export interface Compared {
  readonly resource: 'ingress' | 'egress' | 'SRAM' | 'TCAM' | 'bus bytes';
  readonly foretold: number;
  readonly placed: number;
  /** How far they may be apart; undefined where it is only told. */
  readonly allowed?: number;
}

/** Of few blocks, one is much. */
const FEW_BLOCKS = 2;
const SHARE = 0.15;

/** @param folder where `compile` wrote, and both tools. @throws ZodError or an error where they did not */
export function comparedIn(folder: string): readonly Compared[] {
  const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));
  const { foretold } = manifestShape.parse(read('manifest.json'));
  const judged = judgedShape.parse(read(JUDGED_FILE));
  const need = (resource: string) => foretold.needs.find((n) => n.resource === resource)?.need ?? 0;
  const blocks = (resource: 'SRAM' | 'TCAM', placed: number): Compared => ({
    resource,
    foretold: need(resource),
    placed,
    allowed: Math.max(FEW_BLOCKS, SHARE * placed),
  });
  return [
    ...(['ingress', 'egress'] as const).map((gress) => ({
      resource: gress,
      foretold: foretold.stages[gress],
      placed: judged.stages[gress],
      allowed: 1,
    })),
    blocks('SRAM', judged.sram),
    blocks('TCAM', judged.tcam),
    { resource: 'bus bytes', foretold: need('action data bus'), placed: judged.busBytes },
  ];
}

/** Entries of one version, as `compile` wrote. */
export const entriesIn = (folder: string): number =>
  manifestShape.parse(JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'))).weights.count;
