import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { parseTopology, readTopology } from '../../src/planner/topology.ts';
import { type TopologyInput, topologySchemaText } from '../../src/planner/topology-schema.ts';

const sound: TopologyInput = {
  format: 'intransit-topology',
  version: 1,
  nodes: [
    { name: 'a', kind: 'edge', zone: 'home' },
    { name: 'b', kind: 'xdp' },
  ],
  links: [{ from: 'a', to: 'b', latencyUs: 1, bandwidthMbps: 1000 }],
  ingress: 'a',
  egress: 'b',
};

const faultsOf = (value: unknown): string[] => {
  try {
    parseTopology(typeof value === 'string' ? value : JSON.stringify(value), 't.json');
  } catch (error) {
    if (error instanceof DiagnosticError) return error.diagnostics.map((d) => `${d.code} ${d.message}`);
    throw error;
  }
  return [];
};

describe('a topology file', () => {
  it('gets its defaults', () => {
    const t = parseTopology(JSON.stringify(sound), 't.json');
    expect(t.objective).toEqual({ minimise: 'latency' });
    expect(t.nodes[1]).toEqual({
      name: 'b',
      kind: 'xdp',
      zone: 'default',
      load: 0,
      price: 0,
      headers: [],
      limits: {},
      options: {},
    });
    expect(t.links[0]).toMatchObject({ mtu: 1500, oneWay: false });
  });

  const node = sound.nodes[0]!;
  const link = sound.links![0]!;
  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'json-syntax is no JSON'],
    ['another format', { ...sound, format: 'x' }, "json-field format: expected 'intransit-topology'"],
    ['a later version', { ...sound, version: 2 }, 'json-field version: expected 1'],
    ['a misspelt field', { ...sound, linkes: [] }, 'json-field $: there is no field linkes here'],
    ['no nodes', { ...sound, nodes: [] }, 'json-field nodes:'],
    [
      'an unknown kind',
      { ...sound, nodes: [{ ...node, kind: 'gpu' }] },
      'nodes[0].kind: expected one of edge, xdp',
    ],
    [
      'a load above 1',
      { ...sound, nodes: [{ ...node, load: 1.5 }] },
      'nodes[0].load: expected a number in 0..1',
    ],
    [
      'a negative latency',
      { ...sound, links: [{ ...link, latencyUs: -1 }] },
      'links[0].latencyUs: expected at least 0',
    ],
    [
      'no bandwidth',
      { ...sound, links: [{ ...link, bandwidthMbps: 0 }] },
      'links[0].bandwidthMbps: expected a number above 0',
    ],
    ['an MTU below 68', { ...sound, links: [{ ...link, mtu: 60 }] }, 'links[0].mtu: expected at least 68'],
    ['two nodes of a name', { ...sound, nodes: [node, node] }, 'nodes[1].name: a name of its own'],
    [
      'a link to nowhere',
      { ...sound, links: [{ ...link, to: 'c' }] },
      'links[0].to: c is no node: expected one of a, b',
    ],
    ['a link to itself', { ...sound, links: [{ ...link, to: 'a' }] }, 'links[0].to: a node other than a'],
    ['an unknown ingress', { ...sound, ingress: 'z' }, 'ingress: z is no node'],
    [
      'an unknown zone',
      { ...sound, constraints: { rawInput: ['moon'] } },
      'constraints.rawInput[0]: moon is no zone of a node',
    ],
    [
      'a rule without effect',
      { ...sound, constraints: { layers: [{ layers: 'x' }] } },
      'constraints.layers[0]: expected zones or nodes',
    ],
    ['cost without a bound', { ...sound, objective: { minimise: 'cost' } }, 'objective.latencyUs:'],
    ['an unknown objective', { ...sound, objective: { minimise: 'hops' } }, 'objective'],
  ])('with %s is refused with path and expectation', (_, value, message) => {
    expect(faultsOf(value).join('\n')).toContain(message);
  });

  it('that is not there is refused', () => {
    expect(() => readTopology('/nowhere.json')).toThrow('file-unreadable');
  });

  it.each(readdirSync('examples/topologies'))('%s of the examples is sound', (name) => {
    expect(() => readTopology(`examples/topologies/${name}`)).not.toThrow();
  });
});

describe('schema/topology.schema.json', () => {
  const file = 'schema/topology.schema.json';

  it('is generated from the zod schema (UPDATE=1 writes it)', () => {
    if (process.env.UPDATE || !existsSync(file)) writeFileSync(file, topologySchemaText());
    expect(readFileSync(file, 'utf8')).toBe(topologySchemaText());
  });
});
