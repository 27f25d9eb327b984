import { P4InfoIndex } from '../../../src/p4runtime/p4info-index.ts';
import type { Init } from '../../../src/p4runtime/proto/messages.ts';
import { conformanceP4Info } from '../support/tools.ts';
import type { Entity } from './target.ts';

/** Entities of the conformance program, valid unless a case spoils them. */
const index = new P4InfoIndex(conformanceP4Info);

export const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
export const tableId = (name: string): number => index.tables.get(name).id;
export const actionId = (name: string): number => index.actions.get(name).id;
export const profileId = (name: string): number => index.profiles.get(name).id;
export const counterId = index.counters.get('cells').id;
export const meterId = index.meters.get('rates').id;
export const registerId = index.registers.get('memory').id;
export const valueSetId = [...index.valueSets][0]!.id;
export const digestId = [...index.digests][0]!.id;

type Match = Init<'FieldMatch'>;
export const exact = (fieldId: number, value: string): Match => ({ fieldId, exact: { value: hex(value) } });
export const lpm = (value: string, prefixLen: number): Match => ({
  fieldId: 1,
  lpm: { value: hex(value), prefixLen },
});
export const ternary = (fieldId: number, value: string, mask: string): Match => ({
  fieldId,
  ternary: { value: hex(value), mask: hex(mask) },
});
export const range = (fieldId: number, low: string, high: string): Match => ({
  fieldId,
  range: { low: hex(low), high: hex(high) },
});
export const optional = (fieldId: number, value: string): Match => ({
  fieldId,
  optional: { value: hex(value) },
});

export const call = (name: string, ...params: readonly string[]): Init<'Action'> => ({
  actionId: actionId(name),
  params: params.map((value, i) => ({ paramId: i + 1, value: hex(value) })),
});
export const act = (name: string, ...params: readonly string[]): Init<'TableAction'> => ({
  action: call(name, ...params),
});
export const forward = (port = '01'): Init<'TableAction'> => act('forward', port);

/** An entry of a table; `fields` overrides anything. */
export const entry = (table: string, match: readonly Match[], fields: Init<'TableEntry'> = {}): Entity => ({
  tableEntry: { tableId: tableId(table), match, action: forward(), ...fields },
});

/** An entry of a table whose only key is exact. */
export const keyed = (table: string, key: string, fields: Init<'TableEntry'> = {}): Entity =>
  entry(table, [exact(1, key)], fields);

/** Of `acl`: ternary, range, optional. */
export const acl = (match: readonly Match[], priority = 10, fields: Init<'TableEntry'> = {}): Entity =>
  entry('acl', match, { priority, ...fields });

export const defaultOf = (table: string, fields: Init<'TableEntry'> = {}): Entity => ({
  tableEntry: { tableId: tableId(table), isDefaultAction: true, ...fields },
});

export const member = (
  memberId: number,
  fields: Init<'ActionProfileMember'> = {},
  profile = 'groups',
): Entity => ({
  actionProfileMember: {
    actionProfileId: profileId(profile),
    memberId,
    action: call('forward', '01'),
    ...fields,
  },
});

export const group = (
  groupId: number,
  members: readonly number[],
  fields: Init<'ActionProfileGroup'> = {},
): Entity => ({
  actionProfileGroup: {
    actionProfileId: profileId('groups'),
    groupId,
    members: members.map((memberId) => ({ memberId, weight: 1 })),
    maxSize: 4,
    ...fields,
  },
});

export const oneShot = (
  ...actions: readonly (Init<'ActionProfileAction'> & { readonly weight: number })[]
): Init<'TableAction'> => ({
  actionProfileActionSet: {
    actionProfileActions: actions.map((a) => ({ action: call('forward', '01'), ...a })),
  },
});

export const counter = (index: number | undefined, data?: Init<'CounterData'>): Entity => ({
  counterEntry: { counterId, ...(index !== undefined && { index: { index } }), ...(data && { data }) },
});
export const meter = (index: number | undefined, config?: Init<'MeterConfig'>): Entity => ({
  meterEntry: { meterId, ...(index !== undefined && { index: { index } }), ...(config && { config }) },
});
export const register = (data: Init<'P4Data'>, index = 0): Entity => ({
  registerEntry: { registerId, index: { index }, data },
});
export const valueSet = (...values: readonly string[]): Entity => ({
  valueSetEntry: { valueSetId, members: values.map((v) => ({ match: [exact(1, v)] })) },
});

export const replica = (port: string, instance = 1, fields: Init<'Replica'> = {}): Init<'Replica'> => ({
  port: hex(port),
  instance,
  ...fields,
});
export const multicast = (
  multicastGroupId: number,
  replicas: readonly Init<'Replica'>[] = [replica('01')],
  fields = {},
): Entity => ({
  packetReplicationEngineEntry: { multicastGroupEntry: { multicastGroupId, replicas, ...fields } },
});
export const clone = (sessionId: number, fields: Init<'CloneSessionEntry'> = {}): Entity => ({
  packetReplicationEngineEntry: { cloneSessionEntry: { sessionId, replicas: [replica('01')], ...fields } },
});
export const digest = (config: Init<'DigestEntry.Config'> = {}, id = digestId): Entity => ({
  digestEntry: { digestId: id, config },
});

export const rates = (fields: Init<'MeterConfig'> = {}): Init<'MeterConfig'> => ({
  cir: 10,
  cburst: 5,
  pir: 20,
  pburst: 10,
  ...fields,
});
