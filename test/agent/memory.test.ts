/** What strangers can make an agent spend: of a real process, whose memory is watched. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { status } from '@grpc/grpc-js';
import { afterAll, expect, it } from 'vitest';
import { toUint128 } from '../../src/p4runtime/election.ts';
import { v1Codec } from '../../src/p4runtime/index.ts';
import { type Flood, floods, sendFlood } from '../p4runtime/support/http2-floods.ts';
import { call, dial, ending, frame, open } from '../p4runtime/support/raw-call.ts';
import { describeWith, loading } from '../support/machine.ts';
import { connect } from './controller.ts';
import { layNetwork, type Network } from './network.ts';
import { killAgents, spawnAgent } from './process.ts';

const MIB = 2 ** 20;
/** An idle agent has some 100 MiB; the budget of strangers is 64. */
const MOST_BYTES = 450 * MIB;

/** Of each flood, on each of two connections. */
const TURNS = 100_000;

/** The most that a process ever had in memory. */
const peak = (pid: number): number =>
  1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

describeWith(loading, 'the memory of an agent', () => {
  let network: Network | undefined;
  afterAll(async () => {
    killAgents();
    await new Promise((resolve) => setTimeout(resolve, 500));
    network?.[Symbol.dispose]();
  });

  it('is bounded, whatever comes in before there is a primary', async () => {
    network = layNetwork(1);
    const agent = await spawnAgent(network);
    const { address } = agent.ready;
    const write = v1Codec('WriteRequest');
    const head = write.encode({ deviceId: 1n, electionId: toUint128(1n) });
    const updates = (count: number) => Buffer.concat([head, Buffer.alloc(2 * count, Buffer.of(0x22, 0))]);
    const bomb = frame(gzipSync(updates(25_000_000), { level: 1 }), true);
    const large = frame(updates(2_000_000));
    const sessions = await Promise.all(Array.from({ length: 8 }, () => dial(address)));
    const ends = await Promise.all(
      sessions.flatMap((session) => [
        call(session, 'Write', bomb, { 'grpc-encoding': 'gzip' }),
        ...Array.from({ length: 4 }, () => call(session, 'Write', large)),
      ]),
    );
    // One that goes on sending after its refusal is cut off, and may not have seen why.
    const refusals = [status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED, status.PERMISSION_DENIED, undefined];
    for (const { code } of ends) expect(refusals).toContain(code);
    // Four million bytes each, of which the last never comes.
    const unfinished = sessions.flatMap((session) =>
      Array.from({ length: 16 }, () => {
        const stream = open(session, 'Write');
        stream.write(frame(Buffer.alloc(4 * MIB)).subarray(0, 4 * MIB));
        return ending(stream);
      }),
    );
    const many = sessions.flatMap((session) =>
      Array.from({ length: 40 }, () => ending(open(session, 'StreamChannel'))),
    );
    const refused = (await Promise.all([Promise.race(unfinished), Promise.race(many)])).map((e) => e.code);
    for (const code of refused) expect([status.RESOURCE_EXHAUSTED, undefined]).toContain(code);
    for (const session of sessions) session.destroy();
    const client = await connect(address, { timeoutMs: 30_000 });
    expect(client.state().kind).toBe('primary');
    client.close();
    expect(peak(agent.ready.pid)).toBeLessThan(MOST_BYTES);
    expect(await agent.kill('SIGTERM')).toBe(0);
  }, 240_000);

  it('is bounded under floods of HTTP/2, during which others are served', async () => {
    const net = layNetwork(1);
    try {
      const agent = await spawnAgent(net);
      const { address } = agent.ready;
      const path = address.replace(/^unix:/, '');
      const client = await connect(address, { timeoutMs: 30_000 });
      let flooded = false;
      const served = (async () => {
        let answers = 0;
        while (!flooded) {
          await client.capabilities();
          answers++;
        }
        return answers;
      })();
      const names = Object.keys(floods) as Flood[];
      const sent = await Promise.all(
        names.flatMap((name) => [sendFlood(path, name, TURNS), sendFlood(path, name, TURNS)]),
      );
      flooded = true;
      expect(await served).toBeGreaterThan(0);
      expect(Math.min(...sent)).toBeGreaterThan(0);
      expect(client.state().kind).toBe('primary');
      client.close();
      const other = await connect(address, { timeoutMs: 30_000, electionId: 2n });
      expect(other.state().kind).toBe('primary');
      other.close();
      expect(peak(agent.ready.pid)).toBeLessThan(MOST_BYTES);
      expect(await agent.kill('SIGTERM')).toBe(0);
    } finally {
      net[Symbol.dispose]();
    }
  }, 240_000);
});
