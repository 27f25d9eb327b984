import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { PlannedSegment, PlanReport } from '../../src/planner/index.ts';
import { tnaTarget } from '../../src/targets/tna/target.ts';
import { exampleModel } from '../backends/v1model/examples.ts';
import { intransit } from '../support/io.ts';
import { random, randomRows } from '../support/random.ts';
import { perceptronDocument } from '../support/small-models.ts';

const folder = mkdtempSync(join(tmpdir(), 'plan-tna-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Rows enough for levels. */
function fewRows(name: string, width: number): string {
  const file = join(folder, `${name}.bin`);
  writeFileSync(file, readFileSync(`examples/${name}.x.bin`).subarray(0, 400 * width));
  return file;
}
const traffic = [
  'examples/traffic-mlp.onnx',
  '--whole',
  fewRows('traffic-mlp', 16),
  '--levels',
  '32',
] as const;

/** A line of Tofinos of these chips, from the ingress to the egress. */
function lineOf(chips: readonly string[], change: object = {}): string {
  const file = join(folder, `line-${chips.join('-')}.json`);
  const nodes = chips.map((chip, i) => ({ name: `s${i}`, kind: 'tna', options: { chip } }));
  const links = nodes.slice(1).map(({ name }, i) => {
    return { from: nodes[i]!.name, to: name, oneWay: true, latencyUs: 1, bandwidthMbps: 100_000 };
  });
  const ends = { ingress: 's0', egress: nodes.at(-1)!.name };
  const head = { format: 'intransit-topology', version: 1 };
  writeFileSync(file, JSON.stringify({ ...head, nodes, links, ...ends, ...change }));
  return file;
}

async function plan(topology: string, given: readonly string[] = traffic) {
  const { code, out, err } = await intransit('plan', ...given, '--topology', topology, '--json');
  return { code, err, report: (out === '' ? undefined : JSON.parse(out)) as PlanReport };
}

const segments = ({ steps }: PlanReport) => steps.filter((s): s is PlannedSegment => s.step === 'compute');

describe('a network over several Tofinos', () => {
  it('that fits no Tofino 1 is divided over two, each within its stages, and each part compiles', async () => {
    const { code, report } = await plan(lineOf(['tofino', 'tofino']));
    expect(code).toBe(0);
    const parts = segments(report);
    expect(parts.map(({ node, layers }) => [node, layers.from, layers.to])).toEqual([
      ['s0', 0, 1],
      ['s1', 1, 3],
    ]);
    const model = await exampleModel('traffic-mlp');
    for (const { layers, needs, us } of parts) {
      const stages = needs.filter((n) => n.unit === 'stages');
      expect(stages.map((n) => n.limit)).toEqual([12, 12]);
      expect(needs.filter((n) => n.limit !== undefined && n.need > n.limit)).toEqual([]);
      expect(us).toBeCloseTo(0.018 * stages.reduce((sum, n) => sum + n.need, 0), 6);
      const own = { chip: 'tofino', whole: traffic[2], levels: 32 };
      const { program, diagnostics } = tnaTarget.plan(model, layers, own);
      expect(diagnostics.filter((d) => d.severity === 'error')).toEqual([]);
      expect(program!.needs.map(({ help: _, ofPath: __, ...need }) => need)).toEqual(needs);
    }
  });

  it('is planned with a verdict at its end too, which stays with the sums that it compares', async () => {
    const widths = [10, 32, 16, 3];
    const file = join(folder, 'verdict.json');
    writeFileSync(file, JSON.stringify(perceptronDocument(widths, 7, [{ kind: 'argmax' }])));
    const rows = join(folder, 'verdict.bin');
    writeFileSync(rows, randomRows(random(4), 200, 10));
    const given = [file, '--whole', rows, '--levels', '32'];
    const { code, report } = await plan(lineOf(['tofino', 'tofino']), given);
    expect(code).toBe(0);
    const parts = segments(report).map(({ layers }) => [layers.from, layers.to]);
    expect(parts.at(-1)![1]).toBe(4);
    expect(parts.flat()).not.toContain(3);
  });

  it('is whole on one Tofino 2 where it fits, as a second switch takes longer', async () => {
    const { report } = await plan(lineOf(['tofino2', 'tofino2']));
    expect(segments(report).map(({ layers }) => [layers.from, layers.to])).toEqual([[0, 3]]);
    expect(report.costModels.tna!.origin).toContain('not measured');
  });

  it('that no chip holds is refused: which resource, and by how much', async () => {
    const { code, report, err } = await plan(lineOf(['tofino']));
    expect(code).toBe(1);
    expect(report.feasible).toBe(false);
    const [refusal] = report.refusals;
    expect(refusal).toMatchObject({ place: 's0', limit: 12, unit: 'stages' });
    expect(refusal!.message).toMatch(/^(in|e)gress on s0: needs \d+ stages, limit 12, \d+ too many$/);
    expect(err).toContain(refusal!.message);
  });

  it('of which one layer alone fits no chip is refused for that layer', async () => {
    const given = ['examples/digits-mlp.onnx', '--whole', fewRows('digits-mlp', 64), '--levels', '8'];
    const { code, report } = await plan(lineOf(['tofino2', 'tofino2', 'tofino2']), given);
    expect(code).toBe(1);
    // 64 tables, each of whose entries has 64 bytes.
    expect(report.refusals.map((r) => r.message)).toContainEqual(
      expect.stringMatching(/action data bus on s\d: needs \d{4} bytes, limit 2560/),
    );
  });

  it('holds one part on each switch, however often a packet comes by', async () => {
    const mirror = { name: 'mirror', kind: 'v1model', maxLayers: 0 };
    const nodes = [{ name: 's0', kind: 'tna', options: { chip: 'tofino' } }, mirror];
    const links = [{ from: 's0', to: 'mirror', latencyUs: 1, bandwidthMbps: 100_000 }];
    const { code, report } = await plan(lineOf(['tofino'], { nodes, links, egress: 's0' }));
    expect(code).toBe(1);
    expect(report.refusals.some((r) => r.constraint === 'segments' && r.limit === 1)).toBe(true);
  });

  it('is counted with exact tables where there are no rows, which takes more', async () => {
    const { code, report } = await plan(lineOf(['tofino2', 'tofino2', 'tofino2']), traffic.slice(0, 1));
    expect(code).toBe(1);
    expect(report.refusals.length).toBeGreaterThan(0);
  });

  it('tells what the approximation loses, once', async () => {
    const { code, out, err } = await intransit(
      'plan',
      ...traffic,
      '--topology',
      lineOf(['tofino', 'tofino']),
    );
    expect(code).toBe(0);
    expect(`${out}${err}`.match(/computes an approximated network/g)).toHaveLength(1);
    expect(out).toMatch(/s0 +computes 0\.\./);
  });
});

describe('options that do not go together', () => {
  it.each([
    [['--whole', 'x.bin'], 1, 'all parts have to have the same levels'],
    [['--levels', '8'], 1, 'it needs rows'],
    [['--whole', 'nowhere.bin', '--levels', '8'], 1, 'nowhere.bin'],
    [['--whole', 'x.bin', '--levels', '2'], 2, '--levels'],
  ] as const)('%j', async (given, code, message) => {
    const topology = lineOf(['tofino', 'tofino']);
    const refused = await intransit('plan', traffic[0], '--topology', topology, ...given);
    expect(refused).toMatchObject({ code, err: expect.stringContaining(message) });
  });

  it('rows without a Tofino, a chip that is none, and options of nodes that have none', async () => {
    const home = await intransit('plan', ...traffic, '--topology', 'examples/topologies/home.json');
    expect(home).toMatchObject({ code: 2, err: expect.stringContaining('no node of kind tna') });
    const chip = await intransit('plan', ...traffic, '--topology', lineOf(['tofino3']));
    expect(chip).toMatchObject({ code: 1, err: expect.stringContaining('nodes[0].options.chip') });
    const nodes = [
      { name: 's0', kind: 'xdp', options: { chip: 'tofino' } },
      { name: 's1', kind: 'tna' },
    ];
    const other = await intransit('plan', ...traffic, '--topology', lineOf(['tofino'], { nodes }));
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining('no option of a node of kind xdp') });
  });
});
