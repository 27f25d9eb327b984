import { expect } from 'vitest';
import { Pipeline } from '../../../src/p4runtime/pipeline.ts';
import { Session } from '../../../src/p4runtime/session.ts';
import { startServer } from '../support/server.ts';
import { conformanceP4Info } from '../support/tools.ts';
import { keyed, multicast, tableId } from './build.ts';
import type { Case } from './case.ts';
import { codeOf, FP, IA, NF, OK, PD, type Target, UK, UN } from './target.ts';

const noConfig = { config: undefined };
const broken = { p4info: { tables: [{ preamble: { id: 0, name: 't', alias: 't' } }] } };

async function stored(t: Target): Promise<number> {
  return (await t.entries({ tableId: tableId('exact16') })).length;
}

/** SetForwardingPipelineConfig and GetForwardingPipelineConfig: 25-36. */
export const pipelineCases: readonly Case[] = [
  {
    id: 25,
    title: 'checks in order: device, primary, action',
    bmv2: 'an unknown device is not NOT_FOUND',
    async server(t) {
      expect(await t.setPipeline('VERIFY_AND_COMMIT', t.config, { deviceId: 99 })).toBe(t.known(NF, PD));
      await t.stream().become({ id: t.base });
      expect(await t.setPipeline('UNSPECIFIED', t.config, { electionId: { low: 3n } })).toBe(PD);
    },
  },
  {
    id: 26,
    title: 'VERIFY changes nothing, and refuses what is missing or contradicts itself',
    bmv2: 'a missing config passes',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect(await t.setPipeline('VERIFY')).toBe(OK);
      expect(await stored(t)).toBe(1);
      expect(await t.setPipeline('VERIFY', undefined, noConfig)).toBe(t.known(IA, OK));
      if (!t.bmv2) expect(await t.setPipeline('VERIFY', broken)).toBe(IA);
    },
  },
  {
    id: 27,
    title: 'VERIFY_AND_SAVE: writes refer to the saved program at once',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect(await t.setPipeline('VERIFY_AND_SAVE')).toBe(OK);
      expect(await t.insert(keyed('exact16', '02'))).toEqual([OK]);
    },
  },
  {
    id: 28,
    title: 'VERIFY_AND_COMMIT clears the state, for the same program too',
    async primary(t) {
      expect(await t.insert(keyed('exact16', '01'), multicast(7))).toEqual([OK, OK]);
      expect(await t.setPipeline('VERIFY_AND_COMMIT')).toBe(OK);
      expect(await stored(t)).toBe(0);
      expect(await t.insert(multicast(7))).toEqual([OK]);
    },
  },
  {
    id: 29,
    title: 'COMMIT realises the saved program with what was written since',
    bmv2: 'without a saved one UNKNOWN, and a config is ignored',
    async primary(t) {
      expect(await t.setPipeline('COMMIT')).toBe(t.known(NF, UK));
      await t.setPipeline('VERIFY_AND_SAVE');
      await t.insert(keyed('exact16', '02'));
      if (!t.bmv2) expect(await t.setPipeline('COMMIT', t.config)).toBe(IA);
      expect(await t.setPipeline('COMMIT')).toBe(OK);
      expect(await stored(t)).toBe(1);
    },
  },
  {
    id: 30,
    title: 'RECONCILE_AND_COMMIT keeps the state',
    bmv2: 'UNKNOWN, after loading, for a program with indirect counters or meters',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect(await t.setPipeline('RECONCILE_AND_COMMIT')).toBe(t.known(OK, UK));
      if (!t.bmv2) expect(await stored(t)).toBe(1);
    },
  },
  {
    id: 31,
    title: 'UNSPECIFIED is refused, a failed Set changes nothing, a fixed pipeline is UNIMPLEMENTED',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect(await t.setPipeline('UNSPECIFIED')).toBe(IA);
      expect(await stored(t)).toBe(1);
      expect((await t.getPipeline()).config?.cookie?.cookie).toBe(77n);
    },
    async client() {
      const { config } = { config: { p4info: conformanceP4Info, p4DeviceConfig: new Uint8Array(1) } };
      const server = await startServer({ device: { fixedPipeline: config } });
      const session = new Session({ address: server.address, deviceId: 1 });
      try {
        session.open();
        await expect.poll(() => session.state().kind).toBe('primary');
        const push = new Pipeline(session).commit({
          p4info: conformanceP4Info,
          deviceConfig: new Uint8Array(1),
        });
        expect(await codeOf(push)).toBe(UN);
      } finally {
        session.close();
        await server.close();
      }
    },
  },
  {
    id: 32,
    title: 'a P4Info with id 0 or an id twice is refused',
    notOnBmv2: 'PI takes such a P4Info for another one, and asserts on some',
    async server(t) {
      await t.stream().become({ id: t.base });
      const table = (id: number, name: string) => ({ preamble: { id, name, alias: name } });
      expect(await t.setPipeline('VERIFY', { p4info: { tables: [table(0, 'a')] } })).toBe(IA);
      expect(await t.setPipeline('VERIFY', { p4info: { tables: [table(5, 'a'), table(5, 'b')] } })).toBe(IA);
    },
  },
  {
    id: 33,
    title: 'Get before any Set: no config',
    bmv2: 'FAILED_PRECONDITION',
    async server(t) {
      if (t.bmv2) expect(await codeOf(t.getPipeline())).toBe(FP);
      else expect((await t.getPipeline()).config).toBeUndefined();
    },
    async client() {
      const server = await startServer();
      const session = new Session({ address: server.address, deviceId: 1 });
      try {
        session.open();
        await expect.poll(() => session.state().kind).toBe('primary');
        expect(await new Pipeline(session).get()).toBeUndefined();
      } finally {
        session.close();
        await server.close();
      }
    },
  },
  {
    id: 34,
    title: 'Get answers with the fields asked for',
    bmv2: 'an unknown device is FAILED_PRECONDITION',
    async primary(t) {
      expect(await codeOf(t.getPipeline({ deviceId: 99 }))).toBe(t.known(NF, FP));
      const cookie = (await t.getPipeline({ responseType: 'COOKIE_ONLY' })).config;
      expect([cookie?.p4info, cookie?.p4DeviceConfig.length, cookie?.cookie?.cookie]).toEqual([
        undefined,
        0,
        77n,
      ]);
      const program = (await t.getPipeline({ responseType: 'DEVICE_CONFIG_AND_COOKIE' })).config;
      expect([program?.p4info, program!.p4DeviceConfig.length > 0]).toEqual([undefined, true]);
      const all = (await t.getPipeline()).config;
      expect([all?.p4info?.tables.length, all!.p4DeviceConfig.length > 0]).toEqual([
        conformanceP4Info.tables.length,
        true,
      ]);
    },
  },
  {
    id: 35,
    title: 'a cookie of 0 is set, none is unset',
    async primary(t) {
      await t.setPipeline('VERIFY_AND_COMMIT', { ...t.config, cookie: { cookie: 0n } });
      expect((await t.getPipeline()).config?.cookie?.cookie).toBe(0n);
      const { cookie: _, ...without } = t.config;
      await t.setPipeline('VERIFY_AND_COMMIT', without);
      expect((await t.getPipeline()).config?.cookie).toBeUndefined();
    },
  },
  {
    id: 36,
    title: 'the P4Info comes back whole, and a config of 5 MB is taken',
    notOnBmv2: 'its config is the program, which has the size it has',
    async server(t) {
      await t.stream().become({ id: t.base });
      const p4DeviceConfig = new Uint8Array(5 * 2 ** 20);
      expect(await t.setPipeline('VERIFY_AND_COMMIT', { ...t.config, p4DeviceConfig })).toBe(OK);
      expect((await t.getPipeline()).config?.p4info).toEqual(conformanceP4Info);
    },
  },
];
