/** Pins that somebody has put in place of an agent's own: nothing of theirs is used. */
import { chownSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openPinnedMap, openPinnedProgram, unpin } from '../../src/bpf/index.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload } from '../../src/wire/index.ts';
import { requestFrame } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { modelOf } from '../support/models.ts';
import { startOn } from './controller.ts';
import { install, leave } from './installed.ts';
import { layNetwork, type Network } from './network.ts';

const grid = { element: 'uint8', scale: 0.1, zeroPoint: 0 } as const;
const plan = planOrRefuse(
  modelOf({ ...grid, shape: [4] }, [
    { kind: 'dense', weights: [1, 2, 3, 4, 4, 3, 2, 1], weightScale: 0.1, output: grid },
  ]),
  { modelId: 3, modelVersion: 1 },
);
const ROW = Uint8Array.of(9, 8, 7, 6);
const ANYBODY = 65_534;

describeWith(loading, 'pins of an agent', () => {
  let network: Network;
  /** Of the one program. */
  let folder: string;
  beforeEach(async () => {
    network = layNetwork(2);
    await leave(network, (client) => install(client, plan));
    const own = `/sys/fs/bpf/intransit/${network.agentName}`;
    const generation = readdirSync(own).find(
      (name) => lstatSync(join(own, name)).isDirectory() && readdirSync(join(own, name)).includes('zones'),
    );
    folder = join(own, generation!);
  });
  afterEach(() => network?.[Symbol.dispose]());

  /** What runs goes on, but the agent that comes takes nothing of it for its own. */
  async function expectRefused(reason: RegExp): Promise<void> {
    const log: string[] = [];
    const agent = await startOn(network, { log: (text) => log.push(text) });
    await agent.close();
    expect([agent.restored, log.join('\n')]).toEqual([false, expect.stringMatching(reason)]);
    network.ports[0]!.socket.send(requestFrame(plan, ROW));
    const [answer] = await network.ports[1]!.socket.until(1);
    expect([...decodePacket(framePayload(answer!)!)!.activations]).toEqual([...interpret(plan.model, ROW)]);
  }

  it('are in folders of root alone', () => {
    for (let path = folder; path !== '/sys/fs/bpf'; path = join(path, '..'))
      expect([path, lstatSync(path).mode & 0o777, lstatSync(path).uid]).toEqual([path, 0o700, 0]);
  });

  it('are refused where they are of another map, another kind, or another user', async () => {
    const zones = join(folder, 'zones');
    const replace = (pin: (path: string) => void) => {
      unpin(zones);
      pin(zones);
    };
    const kept = openPinnedMap(zones);
    const other = openPinnedMap(join(folder, 'tell_refusals'));
    replace((path) => other.pin(path));
    await expectRefused(/holds other pins than this agent's: zones is a map tell_refusals/);
    const program = openPinnedProgram(join(folder, 'entry'));
    replace((path) => program.pin(path));
    await expectRefused(/zones is a prog, no map/);
    replace((path) => kept.pin(path));
    chownSync(zones, ANYBODY, ANYBODY);
    await expectRefused(/zones belongs to another user/);
    replace((path) => kept.pin(path));
    for (const open of [kept, other, program]) open.close();
    const agent = await startOn(network);
    expect(agent.restored).toBe(true);
    await agent.close();
  });
});
