/** Devices that act on flows, each behind P4Runtime: a host with an agent, and a software switch. */
import { spawnSync } from 'node:child_process';
import type { Agent } from '../../src/agent/index.ts';
import { FLOW_DIGEST_ID } from '../../src/backends/common/flow/tables.ts';
import type { Init, P4Client } from '../../src/p4runtime/index.ts';
import { Dataplane } from '../../src/runtime/bmv2/dataplane.ts';
import { DEVICE_ID, startSwitch } from '../../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../../src/runtime/bmv2/workspace.ts';
import { connect, startOn } from '../agent/controller.ts';
import { layNetwork } from '../agent/network.ts';

const PORTS = 3;

export type Frames = Readonly<Record<1 | 2 | 3, readonly Buffer[]>>;

export interface ActingDevice {
  readonly client: P4Client;
  /** Where a controller finds it. */
  readonly at: { readonly address: string; readonly deviceId: number };
  /** Sends frames into port 1, and waits for as many out of all ports, or half a second. */
  through(frames: readonly Uint8Array[], expected: number): Promise<Frames>;
  /** The frame as it is received here: a raw socket takes the outer tag off. */
  received(frame: Uint8Array): Buffer;
  /** Ends the agent and starts it again; of a switch nothing. @returns what it said */
  restart(): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** A push waits for the verifier, on a machine that may do other work. */
const PUSH_MS = 60_000;
const PATIENCE_MS = 5000;
/** What is not expected would have come by then. */
const SILENCE_MS = 60;

async function settled(count: () => number, expected: number): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; count() < expected && Date.now() < end; )
    await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, SILENCE_MS));
}

export async function agentDevice(): Promise<ActingDevice> {
  const network = layNetwork(PORTS);
  const said: string[] = [];
  const log = (text: string): void => {
    said.push(text);
  };
  let agent: Agent = await startOn(network, { log });
  let client = await connect(agent.address, { timeoutMs: PUSH_MS });
  return {
    get client() {
      return client;
    },
    get at() {
      return { address: agent.address, deviceId: 1 };
    },
    async through(frames, expected) {
      for (const { socket } of network.ports) socket.receive();
      const out: Record<1 | 2 | 3, Buffer[]> = { 1: [], 2: [], 3: [] };
      for (const frame of frames) network.ports[0]!.socket.send(frame);
      const count = (): number => {
        for (const { port, socket } of network.ports) out[port as 1 | 2 | 3].push(...socket.receive());
        return out[1].length + out[2].length + out[3].length;
      };
      await settled(count, expected);
      count();
      return out;
    },
    received(frame) {
      const bytes = Buffer.from(frame);
      const isTagged = [0x8100, 0x88a8].includes(bytes.readUInt16BE(12));
      return isTagged ? Buffer.concat([bytes.subarray(0, 12), bytes.subarray(16)]) : bytes;
    },
    async restart() {
      client.close();
      await agent.close();
      said.length = 0;
      agent = await startOn(network, { log });
      client = await connect(agent.address, { electionId: 2n, timeoutMs: PUSH_MS });
      return said;
    },
    async close() {
      client.close();
      await agent.close();
      network[Symbol.dispose]();
    },
  };
}

export async function switchDevice(): Promise<ActingDevice> {
  const workspace = createWorkspace();
  const device = await startSwitch(workspace);
  // Its ports can be reached once it has a program.
  let dataplane: Dataplane | undefined;
  return {
    client: device.client,
    at: { address: device.runtime, deviceId: DEVICE_ID },
    async through(frames, expected) {
      dataplane ??= new Dataplane(device.dataplane, DEVICE_ID);
      const out: Record<number, Buffer[]> = { 1: [], 2: [], 3: [] };
      let count = 0;
      dataplane.listen(
        ({ port, packet }) => {
          count++;
          out[port]?.push(Buffer.from(packet));
        },
        () => {},
      );
      for (const frame of frames) dataplane.send(1, frame);
      await settled(() => count, expected);
      return out as unknown as Frames;
    },
    received: (frame) => Buffer.from(frame),
    restart: async () => [],
    async close() {
      dataplane?.close();
      await device.stop();
      workspace.remove();
    },
  };
}

/** Has a device tell of flows one by one. @returns what it told so far; grows */
export async function toldOf(client: P4Client): Promise<Init<'P4Data'>[]> {
  const told: Init<'P4Data'>[] = [];
  client.on('digest', (list) => {
    told.push(...list.data);
    client.acknowledge(list);
  });
  await client.insert([
    { digestEntry: { digestId: FLOW_DIGEST_ID, config: { maxTimeoutNs: 1_000_000n, maxListSize: 1 } } },
  ]);
  return told;
}

const p4c = ['p4c-bm2-ss', 'simple_switch_grpc'].every(
  (tool) => spawnSync(tool, ['--version'], { stdio: 'ignore' }).error === undefined,
);

/** Title, target, how it is started, and whether this machine has it. */
export const actingDevices: readonly (readonly [
  string,
  'xdp' | 'bmv2',
  () => Promise<ActingDevice>,
  boolean,
])[] = [
  ['a host with an agent', 'xdp', agentDevice, true],
  ['a switch', 'bmv2', switchDevice, p4c],
];
