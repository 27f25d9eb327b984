import type { P4Info, P4InfoAction, P4InfoTable, Preamble } from '../../p4runtime/types.ts';
import {
  type ActionModel,
  actionsOf,
  type DigestModel,
  type TableModel,
  type TableSet,
} from './table-model.ts';

const preamble = (id: number, name: string): Preamble => ({ id, name, alias: name });

/** The P4Info of a device with these tables; in order of ids. */
export function p4infoOf({ tables, counters, digests, meters = [] }: TableSet, arch = 'v1model'): P4Info {
  return {
    pkgInfo: { arch },
    tables: [...tables].sort((a, b) => a.id - b.id).map(tableInfo),
    actions: actionsOf(tables).map(actionInfo),
    counters: counters.map((c) => ({
      preamble: preamble(c.id, c.name),
      spec: { unit: c.unit ?? 'PACKETS' },
      size: c.size,
    })),
    ...(meters.length > 0 && {
      meters: meters.map((m) => ({
        preamble: preamble(m.id, m.name),
        spec: { unit: m.unit ?? ('BYTES' as const) },
        size: m.size,
      })),
    }),
    digests: digests.map((d) => ({
      preamble: preamble(d.id, d.name),
      typeSpec: { struct: { name: d.name } },
    })),
    typeInfo: { structs: Object.fromEntries(digests.map((d) => [d.name, structOf(d)])) },
  };
}

function tableInfo(t: TableModel): P4InfoTable {
  // An action that entries may also name needs no annotation to be the default.
  const defaultOnly = t.actions.includes(t.defaultAction)
    ? []
    : [{ id: t.defaultAction.id, annotations: ['@defaultonly'], scope: 'DEFAULT_ONLY' as const }];
  return {
    preamble: preamble(t.id, t.name),
    matchFields: t.keys.map((key, i) => ({
      id: i + 1,
      name: key.name,
      bitwidth: key.bits,
      matchType: key.match,
    })),
    actionRefs: [...t.actions.map((a) => ({ id: a.id })), ...defaultOnly],
    ...(t.keys.length > 0 && { constDefaultActionId: t.defaultAction.id }),
    size: t.size,
  };
}

const actionInfo = (a: ActionModel): P4InfoAction => ({
  preamble: preamble(a.id, a.name),
  params: a.parameters.map((p, i) => ({ id: i + 1, name: p.name, bitwidth: p.bits })),
});

const structOf = ({ fields }: DigestModel) => ({
  members: fields.map(({ name, bits }) => ({
    name,
    typeSpec: { bitstring: { bit: { bitwidth: bits } } },
  })),
});
