import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { modelIds, models, ports } from '../../src/backends/common/table-model.ts';
import { DeployError, deploy, Rollout } from '../../src/controller/index.ts';
import { versionEntity } from '../../src/controller/versions.ts';
import { lockFile } from '../../src/durable/index.ts';
import { P4RuntimeServer } from '../../src/p4runtime/index.ts';
import { makeCertificate } from '../p4runtime/support/certificates.ts';
import { intransit } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { deployScenes, devicesOf, v1, v2 } from './deploy-scene.ts';
import { smallModel, withVerdict, writeModel } from './files.ts';
import { codes, FaultyDevice, failureOf, stepsOf } from './support.ts';

const { scene, programs } = deployScenes();

describeWithTools(['p4c-bm2-ss'], 'deploy', () => {
  beforeAll(async () => {
    const s = await scene();
    await deploy(s.file(1));
    cpSync(join(s.folder, 'deployment.state/programs'), programs, { recursive: true });
  });

  test('all of it at once, and nothing at all the second time', async () => {
    const s = await scene();
    const first = await deploy(s.file(1));
    expect(first.outcome).toBe('deployed');
    expect(first.devices.map((d) => [d.name, d.current, d.layers])).toEqual([
      ['s1', 1, { from: 0, to: 1 }],
      ['s2', 1, { from: 1, to: 2 }],
    ]);
    const changed = first.devices[0]!.tables.filter((t) => t.inserted > 0).map((t) => [t.table, t.entries]);
    expect(changed).toEqual([
      ['models', 2],
      ['model_ids', 1],
      ['ports', 1],
      ['weights_0', 1],
    ]);
    expect(s.state()).toMatchObject({ current: 1 });
    s.writes();
    const second = await deploy(s.file(1));
    expect([second.outcome, s.writes()]).toEqual(['unchanged', [0, 0]]);
    expect(second.devices.map((d) => d.versions)).toEqual(first.devices.map((d) => d.versions));
  });

  test('forwarding is last: until weights are everywhere no device forwards', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const order = s.s1.device.applied.map((c) => c.entity.tableEntry?.tableId);
    expect(order.at(-1)).toBe(ports.id);
    expect(order.slice(1, -1)).toEqual([models.id, modelIds.id, models.id]);
  });

  test('a dry run says it, and writes nothing, nowhere', async () => {
    const s = await scene();
    rmSync(join(s.folder, 'deployment.state'), { recursive: true });
    const report = await deploy(s.file(1), { dryRun: true });
    expect(report.outcome).toBe('would-change');
    expect(report.devices[0]!.steps.map((x) => x.step)).toEqual([
      'connect',
      'program',
      'current',
      'forwarding',
    ]);
    expect(report.devices[1]!.tables.find((t) => t.table === 'weights_1')).toMatchObject({ inserted: 1 });
    expect(s.writes()).toEqual([0, 0]);
    expect(readdirSync(s.folder)).not.toContain('deployment.state');
  });

  test('another version takes over, and goes back again, without the model file', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const second = await deploy(s.file(2));
    expect([second.outcome, second.previous]).toEqual(['replaced', 1]);
    for (const d of second.devices) expect([d.current, d.versions.map((v) => v.version)]).toEqual([2, [2]]);
    expect([s.s1.device.commits, s.s2.device.commits]).toEqual([1, 1]);
    const file = s.file(2);
    for (const name of ['v1.json', 'v2.json']) rmSync(join(s.folder, name));
    const back = await deploy(file, { rollback: true });
    expect([back.outcome, back.previous, back.model?.version]).toEqual(['replaced', 2, 1]);
    expect(s.state()).toMatchObject({ current: 1, previous: 2 });
  });

  test('with keep the previous version stays, and going back is one write a device', async () => {
    const s = await scene();
    await deploy(s.file(1));
    await deploy(s.file(2), { keep: true });
    s.writes();
    const back = await deploy(s.file(2), { rollback: true, keep: true });
    expect(s.writes()).toEqual([1, 1]);
    expect(back.devices.map((d) => [d.current, d.versions.map((v) => v.version)])).toEqual([
      [1, [1, 2]],
      [1, [1, 2]],
    ]);
    // A third one needs a slot: that of the version which is not current.
    const third = await deploy(s.file(3), { keep: true });
    expect(third.devices[0]!.versions.map((v) => v.version).sort()).toEqual([1, 3]);
    const tidy = await deploy(s.file(3));
    expect(tidy.devices[0]!.versions.map((v) => v.version)).toEqual([3]);
  });

  test('what was damaged, or lost with a restart, is made again', async () => {
    const s = await scene();
    await deploy(s.file(1));
    await s.withClient(s.s1, async (client) => {
      const all = await client.readAll([{ tableEntry: {} }]);
      await client.delete(
        all.filter((e) => e.tableEntry?.tableId === ports.id || e.tableEntry?.tableId === models.id),
      );
    });
    const report = await deploy(s.file(1), { electionId: 101n });
    expect(report.outcome).toBe('deployed');
    expect(report.devices.map((d) => d.tables.reduce((sum, t) => sum + t.inserted, 0))).toEqual([3, 0]);
  });

  test('a run that was broken off between two flips is finished by the next', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const rollout = await Rollout.open(s.file(2));
    await rollout.install({ model: v2, version: 2 });
    await rollout.close();
    await s.withClient(s.s1, async (client) => {
      const all = (await client.readAll([{ tableEntry: { tableId: models.id } }])).map((e) => e.tableEntry!);
      const of = (version: number) => all.find((e) => e.match[1]!.exact!.value[0] === version)!;
      await client.modify([{ tableEntry: { ...of(0), action: of(2).action } }]);
    });
    const report = await deploy(s.file(2), { electionId: 101n });
    expect(report.devices.map((d) => [d.current, d.versions.length])).toEqual([
      [2, 1],
      [2, 1],
    ]);
  });

  test('a device that does not take the weights: they are taken off again, and version 1 goes on', async () => {
    const s = await scene();
    await deploy(s.file(1));
    s.s2.device.refuses = ({ entity: { tableEntry } }) =>
      tableEntry?.isDefaultAction === true && tableEntry.action !== undefined;
    const error = (await failureOf(deploy(s.file(2)))) as DeployError;
    expect(error).toBeInstanceOf(DeployError);
    expect(codes(error)).toEqual(['device-failed']);
    expect(error.message).toContain('device s2 failed at "weights"');
    expect(error.report?.outcome).toBe('failed');
    expect(stepsOf(error.devices, 's1')).toEqual(['connect done', 'weights done', 'weights undone']);
    expect(stepsOf(error.devices, 's2')).toEqual(['connect done', 'weights failed', 'weights undone']);
    for (const d of error.devices) expect([d.current, d.versions.map((v) => v.version)]).toEqual([1, [1]]);
    s.s2.device.refuses = () => false;
    s.writes();
    expect([(await deploy(s.file(1))).outcome, s.writes()]).toEqual(['unchanged', [0, 0]]);
  });

  test('a device that does not flip: the others are flipped back', async () => {
    const s = await scene();
    await deploy(s.file(1));
    s.s2.device.refuses = ({ type, entity }) => type === 'MODIFY' && entity.tableEntry?.tableId === models.id;
    const error = (await failureOf(deploy(s.file(2)))) as DeployError;
    expect(stepsOf(error.devices, 's1').slice(3)).toEqual([
      'current done',
      'current undone',
      'weights undone',
    ]);
    expect(stepsOf(error.devices, 's2').slice(3)).toEqual([
      'current failed',
      'current undone',
      'weights undone',
    ]);
    for (const d of error.devices) expect([d.current, d.versions.map((v) => v.version)]).toEqual([1, [1]]);
    expect(s.state()).toMatchObject({ current: 1 });
  });

  test('a device that is gone between two steps: what could not be taken back is told', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const rollout = await Rollout.open(s.file(2), { timeoutMs: 500 });
    try {
      await rollout.install({ model: v2, version: 2 });
      await s.s2.server.close();
      const error = (await failureOf(rollout.flip(2))) as DeployError;
      expect(codes(error)).toEqual(['device-unreachable']);
      expect(stepsOf(error.devices, 's1').slice(-2)).toEqual(['current done', 'current undone']);
      expect(stepsOf(error.devices, 's2').slice(-2)).toEqual(['current failed', 'current left']);
      expect(rollout.tasks[0]!.currentOf(1)).toBe(1);
    } finally {
      await rollout.close();
    }
  });

  test('one version has one set of weights', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const error = await failureOf(deploy(s.file(2, { model: { file: 'v2.json', version: 1 } })));
    expect(codes(error)).toEqual(['version-taken', 'version-taken']);
  });

  test('weights that do not fit the program are refused, and pushed with a program of their own on demand', async () => {
    const s = await scene();
    await deploy(s.file(1));
    writeModel(s.folder, 'wide.json', smallModel(5));
    const wide = s.file(2, { model: { file: 'wide.json', version: 2 } });
    s.writes();
    const error = await failureOf(deploy(wide));
    expect(new Set(codes(error))).toEqual(new Set(['version-misfit']));
    expect(error.message).toContain('--replace-program');
    expect(s.writes()).toEqual([0, 0]);
    const report = await deploy(wide, { replaceProgram: true });
    expect([report.outcome, report.previous]).toEqual(['replaced', 1]);
    expect(report.devices[0]!.current).toBe(2);
    expect(codes(await failureOf(deploy(wide, { rollback: true })))).toContain('version-misfit');
    const back = await deploy(wide, { rollback: true, replaceProgram: true });
    expect(back.devices.map((d) => [d.current, d.versions.length])).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  test("a program of somebody else's is replaced on demand only", async () => {
    const s = await scene();
    await deploy(s.file(1));
    const other = s.file(1, {
      devices: devicesOf(s).map((d, i) => ({ ...d, layers: i === 0 ? '0..2' : '1..2' })),
    });
    expect(codes(await failureOf(deploy(other)))).toEqual(['device-program']);
    expect((await deploy(other, { replaceProgram: true })).devices[0]!.layers).toEqual({ from: 0, to: 2 });
  });

  test('a lost state is made again where it can be; the rest is said', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const forget = () => rmSync(join(s.folder, 'deployment.state'), { recursive: true });
    forget();
    s.writes();
    expect([(await deploy(s.file(1))).outcome, s.writes()]).toEqual(['unchanged', [0, 0]]);
    expect(s.state()).toMatchObject({ current: 1 });
    forget();
    expect(codes(await failureOf(deploy(s.file(1), { rollback: true })))).toEqual(['no-previous']);
    await deploy(s.file(1));
    await deploy(s.file(2), { keep: true });
    forget();
    const back = await deploy(s.file(2), { rollback: true });
    expect(back.devices.map((d) => [d.current, d.versions.map((v) => v.version)])).toEqual([
      [1, [1]],
      [1, [1]],
    ]);
  });

  test('devices that cannot be had are named, all of them, and nothing is done to the others', async () => {
    const s = await scene();
    const quick = { connectTimeoutMs: 300 };
    const [d1, d2] = devicesOf(s).map((d) => ({ ...d, layers: '0..1' }));
    const gone = s.file(1, { devices: [d1!, { ...d2!, address: '127.0.0.1:1' }] });
    const unreachable = await failureOf(deploy(gone, quick));
    expect(codes(unreachable)).toEqual(['device-unreachable']);
    expect(unreachable.message).toMatch(/device s2 does not answer at 127.0.0.1:1: .*ECONNREFUSED/);
    const wrong = s.file(1, { devices: [d1!, { ...d2!, deviceId: 7 }] });
    expect(codes(await failureOf(deploy(wrong, quick)))).toEqual(['device-id']);
    await s.withClient(s.s2, async () => {
      const error = await failureOf(deploy(s.file(1), quick));
      expect(codes(error)).toEqual(['device-not-primary']);
      expect(error.message).toContain('that of the primary is 100');
      // A dry run only looks.
      expect((await deploy(s.file(1), { ...quick, dryRun: true })).outcome).toBe('would-change');
    });
    expect(s.writes()).toEqual([0, 0]);
  });

  test('a controller with a higher election id ends it with a clear error', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const rollout = await Rollout.open(s.file(2));
    try {
      await s.withClient(s.s1, async () => {
        const error = await failureOf(rollout.install({ model: v2, version: 2 }));
        expect(codes(error)).toEqual(['device-not-primary']);
        expect(stepsOf((error as DeployError).devices, 's2')).toContain('weights undone');
      });
    } finally {
      await rollout.close();
    }
  });

  test('a model that takes the place of another of the file; models of other files stay', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const ids = async (state?: string) => {
      const report = await deploy(s.file(1, { model: { file: 'v1.json', id: 9, version: 1 } }), {
        ...(state !== undefined && { state }),
      });
      return report.devices[0]!.tables.find((t) => t.table === 'models')!.entries;
    };
    // Of another state it is another deployment: nothing of the first is touched.
    expect(await ids(join(s.folder, 'other.state'))).toBe(4);
    expect((await deploy(s.file(1))).outcome).toBe('unchanged');
    expect(await ids()).toBe(2);
  });

  test('the threshold of a verdict is part of the entry, and may change alone', async () => {
    const s = await scene();
    const verdict = writeModel(s.folder, 'verdict.json', withVerdict(v1));
    const file = (threshold: number) =>
      s.file(1, {
        model: { file: verdict },
        devices: [{ ...devicesOf(s)[0]!, layers: '..', threshold }],
      });
    await deploy(file(17));
    const report = await deploy(file(40));
    expect(report.devices[0]!.tables.filter((t) => t.modified > 0)).toEqual([
      { table: 'models', entries: 2, inserted: 0, modified: 2, deleted: 0 },
    ]);
    const written = s.s1.device.applied.at(-1)!.entity.tableEntry!.action!.action!.params!.at(-1)!;
    expect([...written.value!]).toEqual([40]);
  });

  test('an encrypted connection, with the certificate of the file', async () => {
    const s = await scene();
    const certificate = makeCertificate(s.folder, 'localhost');
    const server = new P4RuntimeServer();
    server.addDevice(new FaultyDevice(), { deviceId: 1n });
    const tls = { cert: certificate.cert, key: certificate.key };
    const address = await server.listen({ address: '127.0.0.1:0', tls });
    const file = (own: object) =>
      s.file(1, {
        devices: [
          { ...devicesOf(s)[0]!, layers: '0..1', address: address.replace('127.0.0.1', 'localhost'), ...own },
        ],
      });
    writeFileSync(join(s.folder, 'ca.pem'), certificate.cert);
    expect((await deploy(file({ tls: { ca: 'ca.pem' } }))).outcome).toBe('deployed');
    const error = await failureOf(deploy(file({ tls: {} }), { connectTimeoutMs: 500 }));
    expect(codes(error)).toEqual(['device-tls']);
    await server.close();
  });

  test('one deployment at a time', async () => {
    const s = await scene();
    await deploy(s.file(1));
    const lock = join(s.folder, 'deployment.state/lock');
    const held = lockFile(lock);
    expect(codes(await failureOf(deploy(s.file(2))))).toEqual(['deploy-locked']);
    held?.release();
    // What a killed process left, whatever it says: a lock ends with its process.
    writeFileSync(lock, `${process.ppid}`);
    expect((await deploy(s.file(2))).outcome).toBe('replaced');
  });

  test.each(['v1model', 'xdp'] as const)('a device of kind %s that only forwards', async (kind) => {
    const s = await scene();
    const [d1, d2] = devicesOf(s);
    const between = {
      ...d1!,
      kind,
      ports: [{ ingress: 1, egress: 2 }],
      steering: [{ nextLayer: 0, port: 3 }],
    };
    const devices = (version: number) => s.file(version, { devices: [between, { ...d2!, layers: '..' }] });
    const first = await deploy(devices(1));
    expect([first.outcome, first.diagnostics]).toEqual(['deployed', []]);
    const [, s1] = first.devices;
    expect([s1!.name, s1!.layers, s1!.current, s1!.versions]).toEqual(['s1', undefined, undefined, []]);
    expect(stepsOf(first.devices, 's1')).toEqual([
      'connect done',
      'program done',
      'forwarding done',
      'remove unchanged',
    ]);
    const held = s1!.tables.filter((t) => t.entries > 0).map((t) => [t.table, t.entries]);
    expect(held).toEqual([
      ['ports', 1],
      ['steer', 1],
    ]);
    s.writes();
    expect([(await deploy(devices(1))).outcome, s.writes()]).toEqual(['unchanged', [0, 0]]);
    // Versions and models come and go elsewhere.
    expect((await deploy(devices(2), { keep: true })).outcome).toBe('replaced');
    expect((await deploy(devices(2), { rollback: true })).outcome).toBe('replaced');
    writeModel(s.folder, 'wide.json', smallModel(5));
    const wide = { devices: [between, { ...d2!, layers: '..' }], model: { file: 'wide.json', version: 3 } };
    await deploy(s.file(3, wide), { replaceProgram: true });
    expect(s.s1.writes()).toBe(0);
    // Entries of a model there are nobody's.
    await s.withClient(s.s1, async (client) => {
      const held = { slot: 0, version: 3, from: 0, to: 1, layerCount: 2, threshold: 0 };
      await client.insert([versionEntity(1, 3, held)]);
    });
    const mended = await deploy(s.file(3, wide), { electionId: 101n });
    expect(mended.devices[1]!.tables.find((t) => t.deleted > 0)).toMatchObject({
      table: 'models',
      entries: 0,
    });
    // With layers it needs another program.
    const other = s.file(3, {
      devices: [
        { ...between, layers: '0..1' },
        { ...d2!, layers: '1..' },
      ],
    });
    expect(codes(await failureOf(deploy(other, { electionId: 101n })))).toContain('device-program');
  });

  test('layers come from a plan', async () => {
    const s = await scene();
    const plan = {
      format: 'intransit-plan',
      feasible: true,
      model: { layers: v1.layers.map((l) => l.name) },
      steps: [
        { step: 'compute', node: 's1', kind: 'v1model', layers: { from: 0, to: 1 } },
        { step: 'cross', from: 's1', to: 's2' },
        { step: 'compute', node: 's2', kind: 'v1model', layers: { from: 1, to: 2 } },
      ],
    };
    const write = (change: object) =>
      writeFileSync(join(s.folder, 'plan.json'), JSON.stringify({ ...plan, ...change }));
    write({});
    const file = () => s.file(1, { plan: 'plan.json', devices: devicesOf(s) });
    const report = await deploy(file());
    expect(report.devices.map((d) => d.layers)).toEqual([
      { from: 0, to: 1 },
      { from: 1, to: 2 },
    ]);
    write({ model: { layers: ['other'] } });
    expect((await failureOf(deploy(file()))).message).toContain('it was made for other');
    write({ steps: [{ ...plan.steps[0], kind: 'xdp' }, plan.steps[2]] });
    expect((await failureOf(deploy(file()))).message).toContain('s1 is of kind xdp in the plan');
    write({ feasible: false });
    expect((await failureOf(deploy(file()))).message).toContain('feasible');
    // A node to which the plan gives nothing only forwards.
    write({ steps: plan.steps.slice(1) });
    const half = await deploy(file(), { replaceProgram: true });
    expect(half.devices.map((d) => d.layers)).toEqual([{ from: 1, to: 2 }, undefined]);
    expect(half.diagnostics.map((d) => d.message)).toEqual([
      'no device computes first: they are left to a worker',
      'device s2 begins at layer 1, to which no other device of this file computes',
    ]);
  });

  test('the command: exit codes, one JSON document, progress on stderr', async () => {
    const s = await scene();
    const file = s.file(1);
    const dry = await intransit('deploy', file, '--dry-run');
    expect([dry.code, dry.out]).toEqual([0, expect.stringContaining('a dry run, nothing was written')]);
    const first = await intransit('deploy', file, '--json');
    expect([first.code, JSON.parse(first.out).outcome]).toEqual([0, 'deployed']);
    expect(first.err).toContain('s1: weights done: version 1 in slot 0, read back, digest');
    const again = await intransit('deploy', file);
    expect([again.code, again.out]).toEqual([0, expect.stringContaining('nothing was written')]);
    s.s1.device.refuses = () => true;
    const failed = await intransit('deploy', s.file(2));
    expect([failed.code, failed.out]).toEqual([1, '']);
    expect(failed.err).toMatch(/s1 +weights +failed/);
    expect(failed.err).toContain('[device-failed]');
    const json = await intransit('deploy', s.file(2), '--json');
    expect([json.code, JSON.parse(json.out).outcome]).toEqual([1, 'failed']);
    expect((await intransit('deploy', file, '--election-id', 'x')).code).toBe(2);
  });
});
