import { status } from '@grpc/grpc-js';
import { expect } from 'vitest';
import { toUint128 } from '../../../src/p4runtime/election.ts';
import { detailsMetadata, writeFailure } from '../../../src/p4runtime/rpc-errors.ts';
import { MAX_BATCH } from '../../../src/p4runtime/writer.ts';
import { act, counter, exact, forward, keyed, tableId } from './build.ts';
import type { Case } from './case.ts';
import { AE, FP, IA, NF, OK, PD, RE, UK, UN } from './target.ts';

const insert = (entity: object | undefined) => ({ type: 'INSERT' as const, entity });
const serviceError = (code: number, details: string, metadata: ReturnType<typeof detailsMetadata>) =>
  Object.assign(new Error(details), { code, details, metadata });

/** Write: 37-50. */
export const writeCases: readonly Case[] = [
  {
    id: 37,
    title: 'checks in order: device, primary, pipeline',
    bmv2: 'an unknown device is PERMISSION_DENIED',
    async server(t) {
      const update = insert(keyed('exact16', '01'));
      expect(await t.write([update], { deviceId: 99, electionId: toUint128(t.base) })).toEqual([
        t.known(-NF, -PD),
      ]);
      await t.stream().become({ id: t.base });
      expect(await t.write([update], { electionId: toUint128(t.base - 1n) })).toEqual([-PD]);
      expect(await t.write([update])).toEqual([-FP]);
    },
  },
  {
    id: 38,
    title: 'a Write with any other election id is PERMISSION_DENIED',
    async primary(t, stream) {
      const update = insert(keyed('exact16', '01'));
      for (const id of [t.base - 1n, t.base + 1n])
        expect(await t.write([update], { electionId: toUint128(id) })).toEqual([-PD]);
      expect(await t.write([update], {})).toEqual([-PD]);
      stream.close();
      if (!t.bmv2) await expect.poll(() => t.write([update])).toEqual([-PD]);
    },
  },
  {
    id: 39,
    title: 'INSERT of an existing key, and into a full table',
    bmv2: 'full is UNKNOWN',
    async primary(t) {
      expect(await t.insert(keyed('small', '01', { action: forward('01') }))).toEqual([OK]);
      expect(await t.insert(keyed('small', '01', { action: forward('02') }))).toEqual([AE]);
      const [kept] = await t.entries({ tableId: tableId('small') });
      expect([...kept!.action!.action!.params[0]!.value]).toEqual([1]);
      const codes = await t.insert(...['02', '03', '04', '05'].map((k) => keyed('small', k)));
      expect(codes).toEqual([OK, OK, OK, t.known(RE, UK)]);
    },
  },
  {
    id: 40,
    title: 'MODIFY is the whole new state; of a missing entry NOT_FOUND',
    async primary(t) {
      await t.insert(keyed('exact16', '01', { metadata: new Uint8Array([7]) }));
      expect(await t.modify(keyed('exact16', '01', { action: forward('02') }))).toEqual([OK]);
      const [read] = await t.entries({ tableId: tableId('exact16') });
      expect([read!.metadata.length, read!.action!.action!.params[0]!.value[0]]).toEqual([0, 2]);
      expect(await t.modify(keyed('exact16', '09'))).toEqual([NF]);
    },
  },
  {
    id: 41,
    title: 'DELETE reads only the key',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      expect(await t.delete(keyed('exact16', '01', { action: act('drop', '01', '02') }))).toEqual([OK]);
      expect(await t.delete(keyed('exact16', '01'))).toEqual([NF]);
    },
  },
  {
    id: 42,
    title: 'ids that are 0, unknown or of another type; a type or an entity that is unset',
    bmv2: 'an unset entity is UNKNOWN',
    async primary(t) {
      for (const id of [0, 0x02ffffff, 0x01000001])
        expect(await t.insert(keyed('exact16', '01', { tableId: id }))).toEqual([IA]);
      expect(await t.each('UNSPECIFIED', keyed('exact16', '01'))).toEqual([IA]);
      expect(await t.write([insert({})])).toEqual([t.known(IA, UK)]);
    },
  },
  {
    id: 43,
    title: 'a failed batch has an error for every update, in order',
    async primary(t) {
      const keys = ['01', '01', '02', '02'].map((k) => insert(keyed('exact16', k)));
      expect(await t.write(keys)).toEqual([OK, AE, OK, AE]);
    },
    client() {
      const errors = [{}, { canonicalCode: 6, message: 'there' }];
      const error = writeFailure(
        serviceError(UK, 'x', detailsMetadata(UK, 'x', errors)),
        [{}, { type: 'INSERT' }],
        10,
      );
      expect(error.updates).toEqual([{ index: 11, code: 6, message: 'there', update: { type: 'INSERT' } }]);
    },
  },
  {
    id: 44,
    title: 'no updates: OK',
    async primary(t) {
      expect(await t.write([])).toEqual([]);
    },
  },
  {
    id: 45,
    title: 'details that are missing or miscounted: one error for the call',
    reason: 'a rule for clients',
    client() {
      for (const errors of [[], [{ canonicalCode: 6 }]]) {
        const error = writeFailure(serviceError(UK, 'why', detailsMetadata(UK, 'x', errors)), [{}, {}]);
        expect([error.kind, error.updates.length, error.code]).toEqual(['rpc', 0, UK]);
      }
    },
  },
  {
    id: 46,
    title: 'batches are bounded, and RESOURCE_EXHAUSTED without details is one error',
    async server(t) {
      if (t.bmv2) return;
      await t.ready();
      const many = Array.from({ length: 3_000 }, () => insert(keyed('exact16', '01')));
      expect(await t.write(many)).toEqual([-RE]);
    },
    notOnBmv2: 'it sends trailers of any size: client-bmv2.test.ts writes 2,000 failing updates',
    client() {
      expect(MAX_BATCH).toBeLessThanOrEqual(250);
    },
  },
  {
    id: 47,
    title: 'CONTINUE_ON_ERROR tries every update',
    async primary(t) {
      const updates = [
        insert(keyed('exact16', '01', { action: act('drop', '01') })),
        insert(keyed('exact16', '02')),
      ];
      expect(await t.write(updates)).toEqual([IA, OK]);
    },
  },
  {
    id: 48,
    title: 'ROLLBACK_ON_ERROR leaves all as before; DATAPLANE_ATOMIC is unsupported',
    bmv2: 'both are unsupported',
    async primary(t) {
      const electionId = toUint128(t.base);
      const updates = [
        insert(keyed('exact16', '01')),
        insert(keyed('exact16', '01')),
        insert(keyed('exact16', '02')),
      ];
      const codes = await t.write(updates, { electionId, atomicity: 'ROLLBACK_ON_ERROR' });
      expect(codes).toEqual(t.known([status.ABORTED, AE, status.ABORTED], [-UN]));
      expect(await t.entries({ tableId: tableId('exact16') })).toEqual([]);
      expect(await t.write(updates, { electionId, atomicity: 'DATAPLANE_ATOMIC' })).toEqual([-UN]);
    },
  },
  {
    id: 49,
    title: 'one key twice in a batch ends as some order of the two',
    async primary(t) {
      await t.insert(keyed('exact16', '01'));
      const twice = ['02', '03'].map((port) => ({
        type: 'MODIFY' as const,
        entity: keyed('exact16', '01', { action: forward(port) }),
      }));
      expect(await t.write(twice)).toEqual([OK, OK]);
      const [read] = await t.entries({ tableId: tableId('exact16') });
      expect([2, 3]).toContain(read!.action!.action!.params[0]!.value[0]);
    },
  },
  {
    id: 50,
    title: 'reads see what was answered, and no half of a Write',
    async primary(t) {
      const batch = Array.from({ length: 100 }, (_, i) =>
        insert({
          tableEntry: {
            tableId: tableId('exact16'),
            match: [exact(1, (i + 1).toString(16).padStart(4, '0'))],
            action: forward(),
          },
        }),
      );
      const [, during] = await Promise.all([t.write(batch), t.entries({ tableId: tableId('exact16') })]);
      expect([0, 100]).toContain(during.length);
      expect((await t.entries({ tableId: tableId('exact16') })).length).toBe(100);
      expect((await t.read([counter(0)])).code).toBe(OK);
    },
  },
];
