import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { run } from '../../src/cli/run.ts';
import type { PlanReport } from '../../src/planner/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'plan-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function plan(...argv: string[]) {
  let [out, err] = ['', ''];
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: (text: string) => {
      err += text;
    },
    interactive: false,
  };
  const code = await run(['plan', ...argv], io, '0.0.0');
  return { code, out, err };
}

const cnn = 'examples/digits-cnn.onnx';
const topology = (name: string) => ['--topology', `examples/topologies/${name}.json`];

describe('intransit plan', () => {
  it('prints which layers run where, and why', async () => {
    const { code, out } = await plan(cnn, ...topology('home'));
    expect(code).toBe(0);
    expect(out).toContain('proved best');
    expect(out).toMatch(/gateway\s+computes 0\.\./);
    expect(out).toContain('without it the best plan is');
    expect(out).toContain('any layer here makes the whole at least');
    expect(out).toContain('packetNs of bench');
  });

  it('prints one JSON document', async () => {
    const { code, out } = await plan(cnn, ...topology('factory'), '--json');
    expect(code).toBe(0);
    const report = JSON.parse(out) as PlanReport;
    expect(report).toMatchObject({ format: 'intransit-plan', version: 1, feasible: true });
    expect(report.totals!.latencyUs).toBeLessThanOrEqual(60);
    expect(report.nodes.map((n) => n.node)).toEqual(['sensor', 'host-a', 'leaf', 'host-b', 'bmv2', 'server']);
    expect(report.steps.flatMap((s) => (s.step === 'compute' ? s.layers.names : []))).toEqual(
      report.model.layers,
    );
  });

  it('draws it', async () => {
    const svg = join(folder, 'plan.svg');
    expect((await plan(cnn, ...topology('factory'), '--svg', svg)).code).toBe(0);
    const drawing = readFileSync(svg, 'utf8');
    expect(drawing).toMatch(/^<svg .*<\/svg>\n$/s);
    for (const name of ['sensor', 'host-a', 'leaf', 'bmv2', 'server', 'Conv_3'])
      expect(drawing).toContain(name);
    expect(drawing).not.toMatch(/NaN|undefined/);
  });

  it('refuses what cannot be, with constraint and amount, and exit code 1', async () => {
    const { code, out, err } = await plan('examples/digits-mlp.onnx', ...topology('impossible'), '--json');
    expect(code).toBe(1);
    expect(err).toContain('plan-impossible');
    expect(err).toContain('memory on sensor: needs 2688 bytes, limit 1000, 1688 too many');
    expect(err).toContain('the raw input must stay in zone home');
    const report = JSON.parse(out) as PlanReport & { diagnostics: { code: string }[] };
    expect(report.feasible).toBe(false);
    expect(report.refusals.map((r) => r.constraint)).toContain('memory');
    expect(report.diagnostics.map((d) => d.code)).toContain('plan-impossible');
  });

  it('draws the refusal as well', async () => {
    const svg = join(folder, 'none.svg');
    expect((await plan('examples/digits-mlp.onnx', ...topology('impossible'), '--svg', svg)).code).toBe(1);
    expect(readFileSync(svg, 'utf8')).toContain('no plan: ');
  });

  it('names layers that a rule has wrong', async () => {
    const file = join(folder, 'rule.json');
    const text = readFileSync('examples/topologies/factory.json', 'utf8').replace('"0..1"', '"Conv_99"');
    writeFileSync(file, text);
    const { code, err } = await plan(cnn, '--topology', file);
    expect(code).toBe(1);
    expect(err).toContain('constraints.layers[0].layers: Conv_99 is no layer of');
    expect(err).toContain('schema/topology.schema.json');
  });

  it('without a topology is wrong usage', async () => {
    expect((await plan(cnn)).code).toBe(2);
    expect((await plan(cnn, '--topology', '/nowhere.json')).code).toBe(1);
  });
});
