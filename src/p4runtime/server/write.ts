import { status } from '@grpc/grpc-js';
import type { Message } from '../proto/messages.ts';
import { Fault, invalid } from './fault.ts';
import {
  prepareCounter,
  prepareDirect,
  prepareMeter,
  prepareRegister,
  prepareValueSet,
} from './write-cells.ts';
import type { Prepared, WriteContext } from './write-context.ts';
import { prepareExtern } from './write-extern.ts';
import { prepareGroup, prepareMember } from './write-profile.ts';
import { prepareDigest, prepareReplication } from './write-replication.ts';
import { prepareTableEntry } from './write-table.ts';

/** Checks one update. @throws Fault */
export function prepare(context: WriteContext, update: Message<'Update'>): Prepared {
  const { type, entity = {} } = update;
  if (type === 'UNSPECIFIED' || typeof type === 'number') throw invalid('the update has no type');
  const e: Message<'Entity'> = entity;
  if (e.tableEntry) return prepareTableEntry(context, type, e.tableEntry);
  if (e.actionProfileMember) return prepareMember(context, type, e.actionProfileMember);
  if (e.actionProfileGroup) return prepareGroup(context, type, e.actionProfileGroup);
  if (e.counterEntry) return prepareCounter(context, type, e.counterEntry);
  if (e.meterEntry) return prepareMeter(context, type, e.meterEntry);
  if (e.registerEntry) return prepareRegister(context, type, e.registerEntry);
  if (e.valueSetEntry) return prepareValueSet(context, type, e.valueSetEntry);
  if (e.digestEntry) return prepareDigest(context, type, e.digestEntry);
  if (e.packetReplicationEngineEntry)
    return prepareReplication(context, type, e.packetReplicationEngineEntry);
  if (e.directCounterEntry) {
    const { tableEntry, data } = e.directCounterEntry;
    return prepareDirect(context, type, tableEntry, 'counter', {
      ...(data !== undefined && { counter: data }),
    });
  }
  if (e.directMeterEntry) {
    const { tableEntry, config, counterData } = e.directMeterEntry;
    return prepareDirect(context, type, tableEntry, 'meter', {
      ...(config !== undefined && { meter: config }),
      ...(counterData !== undefined && { counts: counterData }),
    });
  }
  if (e.externEntry) return prepareExtern(context, type, e.externEntry);
  throw invalid('the update has no entity');
}

/** @throws Fault UNIMPLEMENTED */
export function checkAtomicity(atomicity: Message<'WriteRequest'>['atomicity']): {
  readonly rollback: boolean;
} {
  if (atomicity === 'CONTINUE_ON_ERROR') return { rollback: false };
  if (atomicity === 'ROLLBACK_ON_ERROR') return { rollback: true };
  throw new Fault(status.UNIMPLEMENTED, `atomicity ${atomicity}`);
}
