/** Two controllers on one etcd, as processes, with agents in the kernel: one is killed, stopped, or left without its store. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import type { StoredObject } from '../../src/daemon/manifests/index.ts';
import { openStore } from '../../src/daemon/store/index.ts';
import { createWorker, openControl, type Worker } from '../../src/ends/worker/index.ts';
import { startOn } from '../agent/controller.ts';
import { layNetwork, type Network } from '../agent/network.ts';
import { retrained, smallModel, writeModel } from '../controller/files.ts';
import { type RunningEtcd, startEtcd } from '../support/etcd.ts';
import { cliArguments, testFolder } from '../support/io.ts';
import { describeWith, describeWithTools, loading } from '../support/machine.ts';
import { Controller, manifest, until } from './live/controller.ts';
import { toldBy } from './live/told.ts';

const MODEL = 9;

describeWith(loading, 'agents and a worker', () => {
  describeWithTools(['etcd'], 'with two controllers on one etcd', () => {
    const folder = testFolder();
    const networks: Network[] = [];
    const agents: Agent[] = [];
    const open: Controller[] = [];
    let etcd: RunningEtcd;
    let worker: Worker;
    let door: { close(): void };
    let count = 0;

    const start = async () => {
      const made = await Controller.start(
        [process.execPath, ...cliArguments([])],
        folder,
        `c${count++}`,
        `etcd:${etcd.place}`,
      );
      open.push(made);
      return made;
    };
    const current = () => worker.held().find((m) => m.modelId === MODEL)?.current;
    const allTold = () => networks.map((n) => toldBy(n.stateFolder));

    beforeAll(async () => {
      etcd = await startEtcd(folder);
      for (let i = 0; i < 2; i++) {
        networks.push(layNetwork(2));
        agents.push(await startOn(networks[i]!));
      }
      worker = await createWorker({ listen: { host: '127.0.0.1', port: 0 }, awaitsController: true });
      door = await openControl(worker, { address: `unix:${join(folder, 'w.sock')}` }, 'reference');
    });
    afterAll(async () => {
      for (const controller of open) await controller.kill();
      door?.close();
      await worker?.close();
      for (const agent of agents) await agent.remove();
      for (const network of networks) network[Symbol.dispose]();
      await etcd?.kill();
    });

    test('the standby leads and writes nothing; one that wakes up changes neither devices nor workers', async () => {
      const first = await start();
      const v1 = smallModel();
      const versions = [v1, retrained(v1, 7), retrained(v1, 8)].map((m, i) =>
        writeModel(folder, `v${i + 1}.json`, m),
      );
      const documents = [];
      for (const [i, file] of versions.entries()) {
        const digest = await first.client.sendFile(readFileSync(file));
        const source = { name: `v${i + 1}.json`, digest };
        documents.push(manifest('ModelVersion', `m-${i + 1}`, { model: 'm', version: i + 1, source }));
      }
      const layers = [
        { layers: '0..1', nodes: ['d1'] },
        { layers: '1..2', nodes: ['d2'] },
      ];
      const service = (version: number) =>
        manifest('Service', 's', { model: 'm', version, ingress: 'd1', policy: { layers } });
      await first.apply(
        ...agents.map(({ address }, i) => manifest('Device', `d${i + 1}`, { target: 'xdp', address })),
        manifest('Worker', 'w', { control: `unix:${join(folder, 'w.sock')}` }),
        manifest('Link', 'a', { from: { node: 'd1', port: 2 }, to: { node: 'd2', port: 1 } }),
        manifest('Link', 'b', { from: { node: 'd2', port: 2 }, to: { node: 'w' } }),
        manifest('Model', 'm', { id: MODEL }),
        ...documents,
        service(1),
      );
      await first.isAt('s', 1);
      const second = await start();
      const before = allTold();

      // Killed: the other leads, reads, and writes nothing.
      await first.kill();
      await until(async () => (await second.terms()) === 2, 'the standby');
      const inSync = ({ status }: StoredObject) =>
        'state' in status &&
        status.state === 'in sync' &&
        'electionId' in status &&
        status.electionId === `${(2n << 64n) | 1n}`;
      for (const name of ['d1', 'd2']) await second.until(`devices/${name}`, inSync);
      await second.isAt('s', 1);
      expect(allTold()).toEqual(before);
      expect(current()).toBe(1);

      // Stopped in the middle of a change: the other brings another version, and the one that wakes up does not take it back.
      const third = await start();
      await second.apply(service(2));
      await until(
        async () => (await third.events()).some((e) => e.reason === 'Changing' && e.object.name === 'd1'),
        'the change',
      );
      second.program.child.kill('SIGSTOP');
      await until(async () => (await third.terms()) === 3, 'the standby');
      await third.apply(service(3));
      await third.isAt('s', 3);
      const atThree = allTold();
      second.program.child.kill('SIGCONT');
      // It asks for its lease at once, finds it gone, and stands by: it answers, and does not lead.
      await until(async () => {
        const { holder } = await leaseOf(etcd);
        return holder?.endsWith(`/${third.program.child.pid}`) === true && (await second.events()).length > 0;
      }, 'the one that woke up');
      await sleep(1500);
      expect(allTold()).toEqual(atThree);
      expect(current()).toBe(3);
      expect(await third.terms()).toBe(3);

      // Without the store for a while everything stays as it is, and goes on afterwards.
      await etcd.kill();
      await sleep(10_000);
      expect(allTold()).toEqual(atThree);
      await etcd.start();
      await until(async () => {
        try {
          await third.apply(service(1));
          return true;
        } catch {
          return false;
        }
      }, 'the store');
      await third.isAt('s', 1);
      expect(current()).toBe(1);
    }, 240_000);
  });
});

/** Who has the lease of the leader. */
async function leaseOf({ place }: RunningEtcd) {
  const store = await openStore(`etcd:${place}`);
  try {
    return { holder: (await store.leases.holder('controller'))?.holder };
  } finally {
    await store.close();
  }
}
