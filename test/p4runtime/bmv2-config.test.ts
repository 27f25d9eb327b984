import { describe, expect, test } from 'vitest';
import { checkBmv2Config } from '../../src/p4runtime/bmv2-config.ts';
import { P4InfoIndex } from '../../src/p4runtime/p4info-index.ts';

const index = new P4InfoIndex({
  actions: [
    { preamble: { id: 0x1000001, name: 'I.set' }, params: [{ id: 1, name: 'port', bitwidth: 9 }] },
    { preamble: { id: 0x1000002, name: 'I.drop' } },
  ],
  tables: [
    {
      preamble: { id: 0x2000001, name: 'I.t' },
      matchFields: [{ id: 1, name: 'k', bitwidth: 8, matchType: 'EXACT' }],
      actionRefs: [{ id: 0x1000001 }, { id: 0x1000002 }],
    },
    { preamble: { id: 0x2000002, name: 'I.gone' }, actionRefs: [{ id: 0x1000002 }] },
  ],
});

const table = (name: string, ...kinds: readonly string[]) => ({
  name,
  key: kinds.map((k) => ({ match_type: k })),
});
const action = (name: string, ...widths: readonly number[]) => ({
  name,
  runtime_data: widths.map((bitwidth) => ({ bitwidth })),
});
const program = (tables: readonly object[], actions: readonly object[]): Uint8Array =>
  Buffer.from(JSON.stringify({ __meta__: {}, pipelines: [{ tables }], actions }));
const check = (config: Uint8Array) => () => checkBmv2Config(index, config);

describe('P4Info against BMv2’s program', () => {
  test('an action that `apply` calls stands twice, with and without its parameter', () => {
    const set = [action('I.set'), action('I.set', 9)];
    expect(check(program([table('I.t', 'exact')], set))).not.toThrow();
    expect(check(program([table('I.t', 'exact')], [...set].reverse()))).not.toThrow();
  });

  test('a table that does nothing may be left out of the program', () => {
    expect(check(program([table('I.t', 'exact')], [action('I.set', 9)]))).not.toThrow();
    expect(check(program([table('tbl_act')], []))).not.toThrow();
    expect(check(program([], []))).not.toThrow();
  });

  test('a selector’s fields are no keys', () => {
    expect(check(program([table('I.t', 'exact', 'selector', 'selector')], []))).not.toThrow();
  });

  test('another program’s P4Info is refused', () => {
    expect(check(program([table('J.t', 'exact')], []))).toThrow(/I\.t, the program has not/);
    expect(check(program([table('I.t', 'exact', 'exact')], []))).toThrow(/1 match fields in the P4Info, 2/);
    expect(check(program([table('I.t', 'exact')], [action('I.set', 9, 9)]))).toThrow(
      /1 parameters in the P4Info, 2/,
    );
  });

  test('programs of other targets pass', () => {
    for (const text of ['', '{}', '{"pipelines": []}', 'binary', '{broken'])
      expect(check(Buffer.from(text))).not.toThrow();
  });
});
