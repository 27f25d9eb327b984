import { readFileSync } from 'node:fs';
import { afterEach, expect, it } from 'vitest';
import {
  type Change,
  type DeviceEvent,
  type DevicePipeline,
  type DeviceState,
  Fault,
  type Init,
  P4Client,
  type P4Device,
  P4Program,
  parseP4Info,
} from '../../src/p4runtime/index.ts';
import { startServer } from './support/server.ts';

const p4info = parseP4Info(readFileSync(new URL('./fixtures/conformance.p4info.txt', import.meta.url)));
const program = new P4Program(p4info);
const pipeline = { p4info, deviceConfig: Uint8Array.of(1, 2, 3) };

/** Keeps its state in memory, as if that outlived it. */
class KeepingDevice implements P4Device {
  readonly calls: string[] = [];
  kept: DeviceState | undefined;
  full = false;

  commit(_pipeline: DevicePipeline, keep: boolean, state: readonly Change[]): void {
    this.calls.push(`commit${keep ? ' and keep' : ''} ${state.length}`);
  }

  apply({ type }: Change): void {
    this.calls.push(`apply ${type}`);
  }

  restore(): DeviceState | undefined {
    return this.kept;
  }

  resume(_pipeline: DevicePipeline, state: readonly Change[]): void {
    this.calls.push(`resume ${state.length}`);
  }

  save(state: () => DeviceState, changes: readonly Change[] | undefined): void {
    if (this.full) throw new Error('the disk is full');
    this.calls.push(`save ${changes?.map(({ type }) => type).join(' ') ?? 'all'}`);
    this.kept = state();
  }
}

let end = () => {};
afterEach(() => end());

/** A server with the device, and its primary. */
async function serve(device: P4Device, onEvent?: (event: DeviceEvent) => void) {
  const server = await startServer({ device, ...(onEvent && { serve: { onEvent } }) });
  const client = new P4Client({ address: server.address, deviceId: 1, electionId: 7n });
  await client.connect();
  end = () => {
    client.close();
    void server.close();
  };
  return client;
}

const table = [...program.index.tables].find(
  (t) => !t.info.isConstTable && t.profileId === 0 && t.fields.size === 1 && t.exactFields === 1,
)!;
const action = [...table.actions.values()].find((a) => a.scope !== 'default')!.action;
const entry = (key: number): Init<'Entity'> =>
  program.tableEntry({
    table: table.name,
    match: { [[...table.fields][0]!.name]: key },
    action: { name: action.name, params: Object.fromEntries([...action.params].map((p) => [p.name, 1])) },
  });

it('what was written outlives the server: same cookie, same entries', async () => {
  const device = new KeepingDevice();
  const first = await serve(device);
  await first.pipeline.commit(pipeline);
  await first.insert([entry(1), entry(2)]);
  await first.delete([entry(1)]);
  await first.insert([program.digest([...program.index.digests][0]!.name, { maxListSize: 4 })]);
  const requests = [{ tableEntry: {} }, { digestEntry: {} }];
  const before = [await first.pipeline.get(), await first.readAll(requests)];
  expect(device.calls).toEqual([
    'commit 0',
    'save all',
    'apply INSERT',
    'apply INSERT',
    'save INSERT INSERT',
    'apply DELETE',
    'save DELETE',
    'apply INSERT',
    'save INSERT',
  ]);
  end();

  device.calls.length = 0;
  const second = await serve(device);
  expect([await second.pipeline.get(), await second.readAll(requests)]).toEqual(before);
  await expect(second.insert([entry(2)])).rejects.toThrow(/ALREADY_EXISTS|has this entry/);
  expect(await second.pipeline.ensure(pipeline)).toBe(false);
  expect(device.calls).toEqual(['resume 2']);
});

it('a device that keeps but cannot resume is committed', async () => {
  const device = new KeepingDevice();
  const first = await serve(device);
  await first.pipeline.commit(pipeline);
  await first.insert([entry(3)]);
  end();
  device.calls.length = 0;
  const { kept } = device;
  const calls: string[] = [];
  const second = await serve({
    restore: () => kept,
    commit: (_pipeline, keep, state) => void calls.push(`commit ${keep} ${state.length}`),
  });
  expect(calls).toEqual(['commit false 1']);
  expect((await second.readAll([{ tableEntry: { tableId: table.id } }])).length).toBe(1);
});

it('only what was done is saved, and not what a saved pipeline was told', async () => {
  const device = new KeepingDevice();
  const client = await serve(device);
  await client.pipeline.commit(pipeline);
  await client.insert([entry(1)]);
  device.calls.length = 0;
  await expect(client.insert([entry(1)])).rejects.toThrow();
  expect(device.calls).toEqual([]);
  await client.pipeline.save(pipeline);
  await client.insert([entry(5)]);
  expect(device.calls).toEqual([]);
  await client.pipeline.commitSaved();
  expect(device.calls).toEqual(['commit 1', 'save all']);
  expect(device.kept?.changes.length).toBe(1);
});

it('a state that does not fit is an error, not an empty device', async () => {
  const state: DeviceState = {
    config: { p4info, p4DeviceConfig: new Uint8Array(0) },
    changes: [{ type: 'INSERT', entity: { tableEntry: { tableId: 0x02_999999 } } }],
  };
  const { P4RuntimeServer } = await import('../../src/p4runtime/index.ts');
  const server = new P4RuntimeServer();
  await expect(server.addDevice({ restore: () => state }, { deviceId: 1n })).rejects.toThrow(Fault);
  await server.close();
});

it('a state that cannot be kept fails the call', async () => {
  const device = new KeepingDevice();
  const client = await serve(device);
  await client.pipeline.commit(pipeline);
  device.full = true;
  await expect(client.insert([entry(1)])).rejects.toThrow(/the disk is full/);
});

it('tells what happens', async () => {
  const events: DeviceEvent[] = [];
  const client = await serve(new KeepingDevice(), (event) => events.push(event));
  await client.pipeline.commit({ ...pipeline, cookie: 3n });
  await client.insert([entry(1), entry(1)]).catch(() => {});
  client.close();
  await expect.poll(() => events.length).toBe(5);
  expect(events).toEqual([
    { kind: 'primary', role: '', electionId: 7n },
    { kind: 'pipeline', action: 'VERIFY_AND_COMMIT', cookie: 3n },
    // The client never has one key twice in a batch.
    { kind: 'write', updates: 1, failed: 0 },
    { kind: 'write', updates: 1, failed: 1 },
    { kind: 'primary', role: '', electionId: undefined },
  ]);
});

it('ends when what was begun is done', async () => {
  const done: string[] = [];
  let begin = (_: () => void) => {};
  const begun = new Promise<() => void>((resolve) => {
    begin = resolve;
  });
  const device: P4Device = {
    apply: () =>
      new Promise((resolve) => {
        begin(() => {
          done.push('applied');
          resolve();
        });
      }),
  };
  const server = await startServer({ device });
  const client = new P4Client({ address: server.address, deviceId: 1, reconnect: false });
  await client.connect();
  await client.pipeline.commit(pipeline);
  const write = client.insert([entry(1)]).catch(() => {});
  const finish = await begun;
  const closed = server.close().then(() => done.push('closed'));
  await write;
  expect(done).toEqual([]);
  finish();
  await closed;
  expect(done).toEqual(['applied', 'closed']);
  client.close();
});
