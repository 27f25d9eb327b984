import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Agent } from '../../src/agent/index.ts';
import { slotCounter, slotMeter } from '../../src/backends/common/table-model.ts';
import { slotOutcomes } from '../../src/dataplane/abi.ts';
import type { P4Client } from '../../src/p4runtime/index.ts';
import { planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { smallModel } from '../controller/small-model.ts';
import { answersIn } from '../support/budgets.ts';
import { requestFrame } from '../support/frames.ts';
import { describeWith, loading } from '../support/machine.ts';
import { connect, counters, startOn } from './controller.ts';
import { install, openHost } from './installed.ts';
import type { Network } from './network.ts';

const plan = planOrRefuse(smallModel(), {});
const BURST = 5;
const SENT = 40;
/** A burst, then one inference a second. */
const budgetOf = (index: number) => ({
  meterEntry: {
    meterId: slotMeter.id,
    index: { index },
    config: { cir: 1n, cburst: BigInt(BURST), pir: 1n, pburst: BigInt(BURST) },
  },
});

describeWith(loading, 'a budget', () => {
  let network: Network;
  let agent: Agent;
  let client: P4Client;
  beforeEach(async () => {
    ({ network, agent, client } = await openHost(2));
    await install(client, plan);
  });
  afterEach(async () => {
    client?.close();
    await agent?.remove();
    network?.[Symbol.dispose]();
  });

  /** Sends requests, all of which come out. @returns how many were answered */
  async function answered(): Promise<number> {
    const [a, b] = network.ports.map(({ socket }) => socket);
    const row = Uint8Array.of(1, 2, 3, 4);
    for (let n = 0; n < SENT; n++) a!.send(requestFrame(plan, row, { sequence: n, modelVersion: 0 }));
    return answersIn(await b!.until(SENT), SENT, row);
  }

  async function slotCounts(): Promise<Record<string, number>> {
    const cells = await client.readAll([{ counterEntry: { counterId: slotCounter.id } }]);
    return Object.fromEntries(
      slotOutcomes.map((name, i) => [name, Number(cells[i]!.counterEntry?.data?.packetCount ?? 0n)]),
    );
  }

  it('lets packets beyond it pass on as they came, counted as shed; without it all are computed', async () => {
    expect(await answered()).toBe(SENT);
    await client.modify([budgetOf(0)]);
    const within = await answered();
    expect(within).toBeGreaterThanOrEqual(BURST);
    // One more for each second that the machine takes.
    expect(within).toBeLessThan(SENT / 2);
    const shed = SENT - within;
    expect(await counters(client)).toEqual({ computed: SENT + within, shed });
    expect(await slotCounts()).toEqual({ computed: SENT + within, unsure: 0, shed, refused: 0 });
    // The budget outlives the agent.
    client.close();
    await agent.close();
    agent = await startOn(network);
    client = await connect(agent.address);
    expect(await answered()).toBeLessThan(SENT / 2);
    const [read] = await client.readAll([{ meterEntry: budgetOf(0).meterEntry }]);
    expect(read?.meterEntry?.config).toMatchObject({ pir: 1n, pburst: BigInt(BURST) });
    await client.modify([{ meterEntry: { meterId: slotMeter.id, index: { index: 0 } } }]);
    expect(await answered()).toBe(SENT);
  });

  it('of another slot, or of none that can be, changes nothing', async () => {
    await client.modify([budgetOf(1)]);
    expect(await answered()).toBe(SENT);
    const none = { cir: 0n, cburst: 1n, pir: 0n, pburst: 1n };
    await expect(
      client.modify([{ meterEntry: { ...budgetOf(0).meterEntry, config: none } }]),
    ).rejects.toThrow('a budget is of 1 to 1000000000 inferences a second, not 0');
    expect(await answered()).toBe(SENT);
  });
});
