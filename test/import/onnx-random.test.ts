import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { operators } from '../../src/import/onnx/operators/index.ts';
import { netOutcome } from '../support/net-outcome.ts';

/**
 * Networks that nobody has looked at: what is imported gives ONNX Runtime's integers, or warns. Some of them; the scripts make
 * as many as one likes.
 */

/** Of scripts/random-nets.py: networks and the first seed. */
const RANDOM = ['12', '700'];
/** Each so many-th network of scripts/attribute-nets.py. */
const EVERY = '15';

const hasPython = spawnSync('python3', ['-c', 'import onnx, onnxruntime, numpy']).status === 0;
if (!hasPython) console.warn('no random networks: python3 lacks onnx, onnxruntime or numpy');

const script = (name: string) => fileURLToPath(new URL(`../../scripts/${name}`, import.meta.url));

describe.skipIf(!hasPython)('networks made by scripts', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), `intransit-nets-${process.pid}-`));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const make = (name: string, ...argv: readonly string[]): string =>
    execFileSync('python3', [script(name), ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });

  const outcomes = async (of: string) => {
    const all: string[] = [];
    for (const name of readdirSync(of)) {
      const [outcome, text] = await netOutcome(join(of, name));
      all.push(`${outcome} ${name} ${text}`);
    }
    return all;
  };
  const isWrong = (line: string) => /^(silent|thrown)/.test(line);

  it('of random operators, in five styles', async () => {
    const nets = join(folder, 'random');
    make('random-nets.py', nets, ...RANDOM);
    const all = await outcomes(nets);
    expect(all.filter(isWrong)).toEqual([]);
    expect(all.filter((line) => line.startsWith('equal')).length).toBeGreaterThan(all.length / 2);
  });

  it('of one operator, with an attribute', async () => {
    const nets = join(folder, 'attributes');
    make('attribute-nets.py', nets, EVERY);
    const all = await outcomes(nets);
    expect(all.filter(isWrong)).toEqual([]);
    expect(all.filter((line) => line.startsWith('equal')).length).toBeGreaterThan(all.length / 2);
  });

  it('every attribute of every operator is tried, by the schemas of ONNX', () => {
    const own = [...operators.keys()].filter((name) => !name.includes('.'));
    // None is written but the first.
    expect(make('attribute-nets.py', join(folder, 'none'), '1000000', ...own)).toBe('');
  });
});
