import { expect } from 'vitest';
import { P4RuntimeError } from '../../../src/p4runtime/errors.ts';
import { decodeValue, encodeValue } from '../../../src/p4runtime/values.ts';
import { act, entry, exact, hex, keyed, tableId } from './build.ts';
import type { Case } from './case.ts';
import { AE, IA, OK, OR } from './target.ts';

const field = { name: 'f', bitwidth: 12 };

/** Byte strings: 1-6. */
export const valueCases: readonly Case[] = [
  {
    id: 1,
    title: 'a key with leading zeros is the same key',
    async primary(t) {
      expect(
        await t.insert(keyed('exact16', '63'), keyed('exact16', '0063'), keyed('exact16', '000063')),
      ).toEqual([OK, AE, AE]);
    },
    client: () =>
      expect(Buffer.from(encodeValue({ name: 'f', bitwidth: 16 }, 99)).toString('hex')).toBe('63'),
  },
  {
    id: 2,
    title: 'zero is one byte, and answers are in the shortest form',
    async primary(t) {
      expect(await t.insert(keyed('exact16', '0000', { action: act('forward', '0005') }))).toEqual([OK]);
      const [read] = await t.entries({ tableId: tableId('exact16') });
      expect(Buffer.from(read!.match[0]!.exact!.value).toString('hex')).toBe('00');
      expect(Buffer.from(read!.action!.action!.params[0]!.value).toString('hex')).toBe('05');
    },
    client: () => expect([...encodeValue(field, 0)]).toEqual([0]),
  },
  {
    id: 3,
    title: 'a value that is too wide is refused',
    async primary(t) {
      const widths = (b8: string, b12: string) =>
        entry('exact_widths', [exact(1, b8), exact(2, b12), exact(3, '01')]);
      const codes = await t.insert(widths('0163', '01'), widths('01', '1063'), widths('01', '004063'));
      for (const code of codes) expect([IA, OR]).toContain(code);
    },
  },
  {
    id: 4,
    title: 'an empty byte string is refused',
    bmv2: 'taken as 0',
    async primary(t) {
      const [code] = await t.insert(keyed('exact16', ''));
      expect(t.known([IA, OR], [OK])).toContain(code);
    },
  },
  {
    id: 5,
    title: 'negative and too wide values are refused before sending, and never cut on receipt',
    reason: 'a rule for clients',
    client() {
      for (const bad of [-1, 4096, 1n << 70n, hex('1000'), 1.5])
        expect(() => encodeValue(field, bad)).toThrow(P4RuntimeError);
      expect(() => decodeValue(field, hex('1000'))).toThrow(P4RuntimeError);
      expect(decodeValue(field, hex('000fff'))).toBe(4095n);
    },
  },
  {
    id: 6,
    title: 'int<W> is the shortest two’s complement, bool is bit<1>',
    notOnBmv2: 'registers are not written over P4Runtime there',
    async server() {
      const { checkData } = await import('../../../src/p4runtime/server/check-data.ts');
      const int8 = {
        bitstring: {
          int: { bitwidth: 8 },
          annotations: [],
          annotationLocations: [],
          structuredAnnotations: [],
        },
      };
      const check = (text: string) =>
        Buffer.from(checkData(undefined, int8, { bitstring: hex(text) }).bitstring!).toString('hex');
      expect(check('9d')).toBe('9d');
      expect(check('ff9d')).toBe('9d');
      expect(() => check('009d')).toThrow();
    },
    client: () => expect([...encodeValue({ name: 'b', bitwidth: 1 }, true)]).toEqual([1]),
  },
];
