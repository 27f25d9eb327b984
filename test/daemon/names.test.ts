/** Names of services, jobs, workflows, agents and nodes: by the API, the command line, DNS-SD records and agent cards. */

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve as resolvePath } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { levelZero } from '../../src/daemon/cats/index.ts';
import { nameRoutes, Registry } from '../../src/daemon/index.ts';
import { jobIdOf, type Kind, type StoredObject } from '../../src/daemon/manifests/index.ts';
import { Affinity } from '../../src/daemon/names/affinity.ts';
import { isDomain } from '../../src/daemon/names/dns-sd.ts';
import { parseName, resolveAll } from '../../src/daemon/names/resolve.ts';
import { registrationSchema } from '../../src/daemon/registry/index.ts';
import { ask } from '../ends/worker/inference-support.ts';
import { device, documents, manifest, type TestDaemon, testDaemon } from './api/support.ts';

const model = manifest('Model', 'digits', '{ id: 7 }');
const network = documents(
  device('s1', 1),
  manifest('Worker', 'slow.edge', '{ control: "unix:/run/a.sock", address: "10.0.0.8:18858" }'),
  manifest('Worker', 'unseen', '{ control: "unix:/run/b.sock" }'),
  model,
  manifest(
    'ModelVersion',
    'digits-3',
    `{ model: digits, version: 3, file: ${resolvePath('examples/digits-mlp.onnx')} }`,
  ),
  manifest(
    'Service',
    'read-digits',
    '{ model: digits, version: 3, ingress: s1, suspended: true }',
    ', labels: { team: vision }',
  ),
  manifest('Job', 'nightly', '{ services: [read-digits], worker: slow.edge }'),
  manifest(
    'Job',
    'pipeline',
    '{ type: workflow, services: [read-digits, read-digits], id: "18446744073709551615" }',
  ),
  manifest(
    'Job',
    'planner',
    '{ type: agent, services: [read-digits], address: "https://agents.example:8443/a2a", description: "Plans \\"routes\\"" }',
  ),
);

const metadata = (name: string) => ({
  ...{ name, generation: 1, uid: name, creationTimestamp: '', resourceVersion: '1' },
});
const object = <K extends Kind>(kind: K, name: string, spec: object, status: object = {}) =>
  ({
    ...{ apiVersion: 'intransit.dev/v1alpha1', kind, metadata: metadata(name) },
    ...{ spec, status: { conditions: [], ...status } },
  }) as unknown as StoredObject;
const workerOf = (name: string, i: number, modelIds?: readonly number[]) =>
  object(
    'Worker',
    name,
    { control: `unix:/run/${name}.sock`, address: `10.0.0.${i}:18858`, weight: 1 },
    modelIds && {
      models: modelIds.map((modelId) => ({
        modelId,
        versions: [{ version: 1, digest: 'd', layers: '..' }],
      })),
    },
  );

let daemon: TestDaemon;
beforeAll(async () => {
  let registry: Registry | undefined;
  daemon = await testDaemon(undefined, undefined, () => [
    async (objects) => {
      registry = new Registry(objects, { isLeading: () => true, sweepMs: 60_000 });
      return { routes: nameRoutes(objects, '0.0.0-test'), close: () => registry!.close() };
    },
  ]);
  const { code, err } = await daemon.cli('apply', '-f', daemon.file('n.yaml', network));
  expect([code, err]).toEqual([0, '']);
  const given = registrationSchema.parse({
    kind: 'Worker',
    name: 'fast',
    instance: 'a',
    leaseMs: 600_000,
    capability: { kind: 'worker', accelerator: 'cpu', couldHold: { layers: 1, memoryBytes: 1 }, load: 0 },
    metrics: [levelZero('compute_utilization', 10, { source: 'directly measured', statistics: 'mean' })],
    spec: { control: '10.0.0.9:7000', address: '10.0.0.9:18858' },
    labels: { rack: 'r 1' },
  });
  await registry!.register(given, { actor: 'me', isLocal: true });
});

const resolve = async (...argv: string[]) => {
  const { out, err, code } = await daemon.cli('resolve', ...argv, '--json');
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out).names;
};

describe('a name', () => {
  it('of a service gives model ids, labels, and the addresses of workers, the best first', async () => {
    expect(await resolve('read-digits')).toEqual([
      {
        name: 'read-digits',
        object: 'Service/read-digits',
        type: 'service',
        ready: false,
        labels: { team: 'vision' },
        models: [{ model: 'digits', modelId: 7, service: 'read-digits', version: 3 }],
        services: [],
        addresses: [
          {
            node: 'Worker/fast',
            address: '10.0.0.9:18858',
            protocol: 'intransit+udp',
            weight: 1,
            score: 9,
            recommendation: 'priority',
          },
          { node: 'Worker/slow.edge', address: '10.0.0.8:18858', protocol: 'intransit+udp', weight: 1 },
        ],
      },
    ]);
  });

  it('of a service leaves out workers that do not hold its model, as far as somebody has looked', () => {
    const [found] = resolveAll(
      [
        object('Model', 'large', { id: 7 }),
        object('Model', 'small', { id: 8 }),
        object('Service', 's', { models: ['large', 'small'] }, { model: 'small' }),
        ...[
          workerOf('unread', 1),
          workerOf('both', 2, [7, 8]),
          workerOf('other', 3, [7]),
          workerOf('none', 4, []),
        ],
      ],
      { type: 'service' },
    );
    expect(found!.addresses.map((a) => a.node).sort()).toEqual(['Worker/both', 'Worker/unread']);
  });

  it('of a service that nobody serves, or that has no place, gives what answers in its place', () => {
    const named = (more: object, status: object = {}) =>
      resolveAll(
        [
          object('Model', 'large', { id: 7 }),
          object('Model', 'small', { id: 8 }),
          object('Service', 's', { model: 'large', ...more }, status),
          object('Service', 'middle', { model: 'large', nodes: ['gone'], fallback: 'last' }),
          object('Service', 'last', { model: 'small', nodes: ['w'] }),
          workerOf('w', 1, [7, 8]),
        ],
        { type: 'service' },
      ).find(({ name }) => name === 's');
    const last = {
      models: [{ model: 'small', modelId: 8, service: 'last' }],
      addresses: [{ node: 'Worker/w' }],
    };
    expect(named({ nodes: ['gone'], fallback: 'middle' })).toMatchObject(last);
    const conditions = [{ type: 'Ready', status: 'False', reason: 'Unplaceable', message: '' }];
    expect(named({ fallback: 'last' }, { conditions })).toMatchObject(last);
    // Its own where there is one, and nothing where nobody answers.
    expect(named({ fallback: 'last' })!.models).toMatchObject([{ model: 'large', service: 's' }]);
    expect(named({ nodes: ['gone'] })!.addresses).toEqual([]);
    expect(named({ nodes: ['gone'], fallback: 's' })!.addresses).toEqual([]);
  });

  it('of a service names the worker of a job, which stays the same', async () => {
    const get = async (job: string) => {
      const path = `/api/v1alpha1/names/service%2Fread-digits?job=${job}`;
      const answer = await ask(daemon.address, 'GET', path);
      const { items } = JSON.parse(answer.body.toString());
      return answer.status === 200 ? items[0].worker : answer.status;
    };
    const given = await get('5');
    expect(['fast', 'slow.edge']).toContain(given);
    expect(await get('5')).toBe(given);
    expect(await get('18446744073709551616')).toBe(400);
    expect(await get('x')).toBe(400);
  });

  it('of a job, workflow or agent gives its number in packets, and where it is', async () => {
    const [job] = await resolve('job/nightly');
    // printf nightly | sha256sum: the first eight bytes.
    expect(job).toMatchObject({ type: 'job', worker: 'slow.edge', jobId: `${0x2a3b62b53ddb9f16n}` });
    expect(job.addresses.map((a: { node: string }) => a.node)).toEqual(['Worker/slow.edge']);
    const [workflow] = await resolve('pipeline');
    expect(workflow).toMatchObject({
      jobId: '18446744073709551615',
      services: ['read-digits', 'read-digits'],
    });
    const [agent] = await resolve('agent/planner');
    expect(agent.addresses[0]).toMatchObject({
      address: 'https://agents.example:8443/a2a',
      protocol: 'https',
    });
    expect(agent.models).toMatchObject([{ model: 'digits', modelId: 7 }]);
    expect(jobIdOf('x', '5')).toBe(5n);
  });

  it('is found by type, label and model', async () => {
    const names = async (...argv: string[]) =>
      (await resolve(...argv)).map((r: { name: string }) => r.name).sort();
    expect(await names()).toEqual([
      'fast',
      'nightly',
      'pipeline',
      'planner',
      'read-digits',
      's1',
      'slow.edge',
      'unseen',
    ]);
    expect(await names('--type', 'agent')).toEqual(['fast', 'planner', 's1', 'slow.edge', 'unseen']);
    expect(await names('-l', 'team=vision')).toEqual(['read-digits']);
    expect(await names('--type', 'worker', '-l', 'rack=r 1')).toEqual(['fast']);
    expect(await names('--model', '7')).toEqual(['nightly', 'pipeline', 'planner', 'read-digits']);
    const { out } = await daemon.cli('resolve', 'read-digits');
    expect(out).toMatch(
      /read-digits +service +no +digits\/7@3 +10\.0\.0\.9:18858 \(9\),10\.0\.0\.8:18858 +team=vision/,
    );
  });

  it('that nothing is known by is refused with what may be meant', async () => {
    for (const [name, reason] of [
      ['read-digit', /nothing is known by the name read-digit[\s\S]*is read-digits meant/],
      ['device/read-digits', /nothing is known/],
      ['a/b/c', /nothing is known/],
    ] as const) {
      const { code, err } = await daemon.cli('resolve', name);
      expect([name, code]).toEqual([name, 1]);
      expect(err).toMatch(reason);
    }
    expect((await daemon.cli('resolve', '-l', 'nonsense')).code).toBe(1);
    expect((await daemon.cli('resolve', '--dns-sd', '--domain', 'no domain')).err).toMatch(
      /expected a domain/,
    );
    expect((await daemon.cli('resolve', 'x', '--dns-sd')).code).toBe(2);
    expect((await daemon.cli('resolve', '--domain', 'x')).code).toBe(2);
    expect(parseName('JOB/x')).toEqual({ type: 'job', name: 'x' });
    expect(isDomain('net.example')).toBe(true);
    expect(isDomain('-x.example')).toBe(false);
  });

  it('of a job refers to what there is', async () => {
    const apply = (spec: string) =>
      daemon.cli('apply', '-f', daemon.file('j.yaml', manifest('Job', 'j', spec)));
    for (const [spec, reason] of [
      ['{ services: [none] }', /none/],
      ['{ worker: none }', /none/],
      ['{ type: thing }', /expected one of job, workflow, agent/],
      ['{ id: "0" }', /expected a text of a number/],
      ['{ id: "18446744073709551616" }', /expected a text of a number/],
      ['{ address: nowhere }', /expected a URL/],
    ] as const) {
      const { code, err } = await apply(spec);
      expect([spec, code]).toEqual([spec, 1]);
      expect(err).toMatch(reason);
    }
    expect((await daemon.cli('delete', 'service', 'read-digits')).err).toMatch(/Job\//);
  });
});

describe('DNS-SD records', () => {
  it('name services with addresses, model ids and labels', async () => {
    const { out } = await daemon.cli('resolve', '--dns-sd', '--domain', 'net.example');
    const lines = out.split('\n');
    for (const line of [
      '$ORIGIN net.example.',
      '_services._dns-sd._udp PTR _intransit._udp',
      '_intransit._udp PTR read-digits._intransit._udp',
      '_service._sub._intransit._udp PTR read-digits._intransit._udp',
      'read-digits._intransit._udp TXT "txtvers=1" "type=service" "ready=false" "model=digits/7/3" "label-team=vision"',
      'read-digits._intransit._udp SRV 0 1 18858 fast.worker',
      'read-digits._intransit._udp SRV 10 1 18858 slow.edge.worker',
      'fast.worker A 10.0.0.9',
      'slow.edge.worker A 10.0.0.8',
      'planner\\032agent._intransit._udp SRV 10 1 8443 agents.example.',
      '_intransit._udp PTR slow\\.edge\\032worker._intransit._udp',
    ])
      expect(lines).toContain(line);
  });

  const missing = spawnSync('named-checkzone', ['-v']).status !== 0;
  const why = missing ? " (skipped: BIND's named-checkzone is missing)" : '';
  it.skipIf(missing)(`are a zone that BIND loads${why}`, async () => {
    const { out } = await daemon.cli('resolve', '--dns-sd', '--domain', 'net.example');
    const file = join(daemon.folder, 'net.zone');
    writeFileSync(file, out);
    const { stdout, status } = spawnSync('named-checkzone', ['-D', 'net.example', file], {
      encoding: 'utf8',
    });
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /read-digits\._intransit\._udp\.net\.example\.\s+30 IN SRV\s+0 1 18858 fast\.worker\.net\.example\./,
    );
    expect(stdout).toMatch(/slow\\\.edge\\032worker\._intransit/);
  });
});

describe('agent cards', () => {
  it('have services as skills, and interfaces that are there', async () => {
    const { out } = await daemon.cli('resolve', '--agent-card');
    const card = JSON.parse(out);
    expect(card).toMatchObject({
      name: 'intransit',
      version: '0.0.0-test',
      supportedInterfaces: [{ protocolBinding: 'urn:intransit:api:v1alpha1', protocolVersion: 'v1alpha1' }],
      capabilities: { streaming: false },
      skills: [{ id: 'read-digits', tags: ['inference', 'model:digits', 'team=vision'] }],
    });
    const direct = await ask(daemon.address, 'GET', '/.well-known/agent-card.json', '', { host: 'ctl:9' });
    expect(direct.json().supportedInterfaces).toMatchObject([{ url: 'http://ctl:9/api/v1alpha1' }]);
    const own = JSON.parse((await daemon.cli('resolve', 'planner', '--agent-card')).out);
    expect(own.description).toBe('Plans "routes"');
    expect(own.supportedInterfaces[0]).toMatchObject({ url: 'https://agents.example:8443/a2a' });
    expect(own.skills).toHaveLength(1);
  });
});

it('a job stays with its worker for as long as its service says, and as that can be had', () => {
  const affinity = new Affinity();
  const all = new Set(['a', 'b']);
  const at = (now: number, choose: string | undefined, workers: ReadonlySet<string> = all) =>
    affinity.workerOf('s', 7n, workers, { affinityMs: 1000, choose: () => choose, now });
  expect(at(0, 'a')).toBe('a');
  // Whatever the weights say meanwhile, and counted from when it was asked for last.
  expect([at(900, 'b'), at(1900, 'b')]).toEqual(['a', 'a']);
  expect(at(2901, 'b')).toBe('b');
  expect(at(2902, 'a', new Set(['a']))).toBe('a');
  expect(at(2903, undefined, new Set())).toBeUndefined();
  const other = { affinityMs: 1000, choose: () => 'b', now: 2904 };
  expect(affinity.workerOf('other', 7n, all, other)).toBe('b');
});
