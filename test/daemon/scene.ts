import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll } from 'vitest';
import type { Store } from '../../src/daemon/store/index.ts';
import { createWorker, openControl, type Worker } from '../../src/ends/worker/index.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { registerTarget } from '../../src/targets/registry.ts';
import { retrained, smallModel, writeModel } from '../controller/files.ts';
import { type MemoryNode, memoryNode } from '../controller/support.ts';
import { testFolder } from '../support/io.ts';
import { psaTarget } from '../targets/psa/target.ts';
import { psaDevice, TestNetwork } from './network-support.ts';

/** What a scene is made of, where it is not made anew. */
interface Parts {
  readonly d1?: MemoryNode;
  readonly d2?: MemoryNode;
  readonly w?: { readonly worker: Worker; readonly control: string; close(): Promise<void> };
  readonly store?: Store | undefined;
}

/** Of two layers, one a device; the worker finishes what they leave. */
export const splitService = {
  model: 'small',
  ingress: 'd1',
  policy: {
    layers: [
      { layers: '0..1', nodes: ['d1'] },
      { layers: '1..2', nodes: ['d2', 'w'] },
    ],
  },
};

/** Networks for the tests of one file; what a test opened is closed after it. */
export function scenes() {
  const folder = testFolder();
  const v1 = smallModel();
  const files = [v1, retrained(v1, 7), retrained(v1, 8)].map((m, i) =>
    writeModel(folder, `v${i + 1}.json`, m),
  );

  beforeAll(() => registerTarget(psaTarget));

  const open: { close(): unknown }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });

  let count = 0;
  async function device(): Promise<MemoryNode> {
    const node = await memoryNode();
    open.push({ close: () => node.server.close() });
    return node;
  }

  async function worker(): Promise<{
    readonly worker: Worker;
    readonly control: string;
    close(): Promise<void>;
  }> {
    const listening = await createWorker({ listen: { host: '127.0.0.1', port: 0 }, awaitsController: true });
    const control = `unix:${join(folder, `w${count++}.sock`)}`;
    const door = await openControl(listening, { address: control }, 'auto');
    let closed: Promise<void> | undefined;
    const close = () => {
      door.close();
      closed ??= listening.close();
      return closed;
    };
    open.push({ close });
    return { worker: listening, control, close };
  }

  function network(options: object = {}, store?: Store): TestNetwork {
    const own = join(folder, `n${count++}`);
    mkdirSync(own);
    const made = new TestNetwork(own, options, store);
    open.push(made);
    return made;
  }

  /** Two devices with a layer each, and a worker behind them. */
  async function scene(options: object = {}, parts: Parts = {}) {
    const { d1 = await device(), d2 = await device(), w = await worker(), store } = parts;
    const net = network(options, store);
    await net.apply(
      psaDevice('d1', d1, { forwarding: { ports: [{ ingress: 1, egress: 2 }], routes: [] } }),
      psaDevice('d2', d2),
      ['Worker', 'w', { control: w.control }],
      ['Link', 'd1-d2', { from: { node: 'd1', port: 2 }, to: { node: 'd2', port: 1 } }],
      ['Link', 'd1-w', { from: { node: 'd1', port: 3 }, to: { node: 'w' }, latencyUs: 50 }],
      ['Link', 'd2-w', { from: { node: 'd2', port: 2 }, to: { node: 'w' } }],
      ['Model', 'small', { id: 7 }],
      await net.version('small', 1, files[0]!),
      ['Service', 's', splitService],
    );
    net.start();
    await net.inSync('d1', 'd2');
    await net.condition('Service', 's', 'Ready', 'InSync');
    return { d1, d2, w, net, writes: () => [d1.writes(), d2.writes()] };
  }

  return { files, folder, open, device, worker, network, scene };
}

/** A client that is above any controller, for a while. */
export async function intruder(node: MemoryNode, work: (client: P4Client) => Promise<void>): Promise<void> {
  const client = new P4Client({
    address: node.address,
    deviceId: 1n,
    electionId: 1n << 100n,
    ...psaTarget.device,
  });
  try {
    await client.connect();
    await work(client);
  } finally {
    client.close();
  }
}
