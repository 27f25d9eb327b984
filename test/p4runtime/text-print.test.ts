import { describe, expect, test } from 'vitest';
import { canonicalBytes, messageText, p4InfoText, writeRequestText } from '../../src/p4runtime/index.ts';

describe('protobuf text', () => {
  test('fields in order of their numbers, defaults left out, enums by name', () => {
    const text = p4InfoText({
      typeInfo: {},
      pkgInfo: { arch: 'v1model', name: '' },
      tables: [
        {
          size: 16,
          preamble: { alias: 't', id: 33554433, name: 'in.t' },
          matchFields: [{ id: 1, name: 'k', bitwidth: 16, matchType: 'EXACT' }],
          actionRefs: [{ id: 7 }, { id: 8, scope: 'DEFAULT_ONLY', annotations: ['@defaultonly'] }],
          constDefaultActionId: 0,
        },
      ],
      actions: [],
    });
    expect(text).toBe(`pkg_info {
  arch: "v1model"
}
tables {
  preamble {
    id: 33554433
    name: "in.t"
    alias: "t"
  }
  match_fields {
    id: 1
    name: "k"
    bitwidth: 16
    match_type: EXACT
  }
  action_refs {
    id: 7
  }
  action_refs {
    id: 8
    annotations: "@defaultonly"
    scope: DEFAULT_ONLY
  }
  size: 16
}
type_info {
}
`);
  });

  test('bytes as the C++ library escapes them', () => {
    const value = Uint8Array.from([0, 7, 10, 34, 39, 92, 65, 127, 200]);
    expect(messageText('p4.v1.FieldMatch.Exact', { value })).toBe(
      `value: "\\000\\007\\n\\"\\'\\\\A\\177\\310"\n`,
    );
  });

  test('a write request', () => {
    const entry = {
      tableId: 3,
      match: [{ fieldId: 1, exact: { value: canonicalBytes(0) } }],
      action: { action: { actionId: 4, params: [{ paramId: 1, value: canonicalBytes(300) }] } },
    };
    expect(writeRequestText([{ type: 'INSERT', entity: { tableEntry: entry } }])).toBe(`updates {
  type: INSERT
  entity {
    table_entry {
      table_id: 3
      match {
        field_id: 1
        exact {
          value: "\\000"
        }
      }
      action {
        action {
          action_id: 4
          params {
            param_id: 1
            value: "\\001,"
          }
        }
      }
    }
  }
}
`);
  });
});

test.each([
  [0n, '00'],
  [255n, 'ff'],
  [256n, '0100'],
  [1n << 2047n, `80${'00'.repeat(255)}`],
])('canonical bytes of %s', (value, hex) => {
  expect(Buffer.from(canonicalBytes(value)).toString('hex')).toBe(hex);
});
