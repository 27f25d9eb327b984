import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import { readText } from '../files.ts';
import { expectation, jsonFault, MOST_FAULTS, parseJson } from '../import/json/parse.ts';
import { targetNamed } from '../targets/registry.ts';
import { nodeModel } from './node-kinds.ts';
import { type Topology, topologySchema } from './topology-schema.ts';

/** @throws DiagnosticError `file-unreadable`, or as `parseTopology` */
export const readTopology = (file: string): Topology => parseTopology(readText(file), file);

/** Text to a checked topology. @throws DiagnosticError `json-syntax`, or `json-field` for each wrong field */
export function parseTopology(text: string, file: string): Topology {
  const value = parseJson(text, file);
  const result = topologySchema.safeParse(value);
  const faults = result.success
    ? danglingNames(result.data).map(([path, expected]) => topologyFault(file, path, expected))
    : result.error.issues.map((issue) => topologyFault(file, issue.path, expectation(issue)));
  if (faults.length > 0) throw new DiagnosticError(faults.slice(0, MOST_FAULTS));
  return topologySchema.parse(value);
}

const HELP = 'see docs/plan.md, or let your editor check the file against schema/topology.schema.json';

/** What is wrong at a place of a topology file. */
export const topologyFault = (file: string, path: readonly PropertyKey[], expected: string): Diagnostic =>
  jsonFault(file, path, expected, HELP);

/** Own options of a node that its kind does not have, or that are wrong. */
function wrongOptions(
  kind: string,
  options: Readonly<Record<string, string>>,
): [name: string, expected: string][] {
  const known = nodeModel(kind).planned?.node ?? [];
  return Object.entries(options).flatMap(([name, value]): [string, string][] => {
    if (!known.includes(name))
      return [[name, `no option of a node of kind ${kind}: expected ${known.join(', ') || 'none'}`]];
    const issue = targetNamed(kind)
      .own.partial()
      .safeParse({ [name]: value }).error?.issues[0];
    return issue === undefined ? [] : [[name, issue.message]];
  });
}

type Fault = readonly [path: readonly PropertyKey[], expected: string];

/** What a schema cannot say: names are unique, and every name that is used exists. */
function danglingNames(t: Topology): Fault[] {
  const faults: Fault[] = [];
  const names = new Set<string>();
  for (const [i, { name, kind, options }] of t.nodes.entries()) {
    faults.push(
      ...wrongOptions(kind, options).map(
        ([key, expected]): Fault => [['nodes', i, 'options', key], expected],
      ),
    );
    if (names.has(name))
      faults.push([['nodes', i, 'name'], `a name of its own, but another node is ${name} too`]);
    names.add(name);
  }
  const { replicas, minReplicas = 1 } = t;
  if (replicas !== undefined && minReplicas > replicas)
    faults.push([['minReplicas'], `at most replicas, which is ${replicas}`]);
  const zones = new Set(t.nodes.map((n) => n.zone));
  const known = (set: ReadonlySet<string>, what: string, path: readonly PropertyKey[], name: string) => {
    if (!set.has(name)) faults.push([path, `${name} is no ${what}: expected one of ${[...set].join(', ')}`]);
  };
  for (const [i, link] of t.links.entries()) {
    known(names, 'node', ['links', i, 'from'], link.from);
    known(names, 'node', ['links', i, 'to'], link.to);
    if (link.from === link.to) faults.push([['links', i, 'to'], `a node other than ${link.from}`]);
  }
  known(names, 'node', ['ingress'], t.ingress);
  known(names, 'node', ['egress'], t.egress);
  for (const [i, zone] of (t.constraints.rawInput ?? []).entries())
    known(zones, 'zone of a node', ['constraints', 'rawInput', i], zone);
  for (const [i, rule] of t.constraints.layers.entries()) {
    const path = ['constraints', 'layers', i] as const;
    for (const [j, zone] of (rule.zones ?? []).entries())
      known(zones, 'zone of a node', [...path, 'zones', j], zone);
    for (const [j, node] of (rule.nodes ?? []).entries()) known(names, 'node', [...path, 'nodes', j], node);
    if (rule.zones === undefined && rule.nodes === undefined) faults.push([path, 'expected zones or nodes']);
  }
  return faults;
}
