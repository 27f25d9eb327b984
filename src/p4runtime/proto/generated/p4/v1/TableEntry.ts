// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { FieldMatch as _p4_v1_FieldMatch, FieldMatch__Output as _p4_v1_FieldMatch__Output } from '../../p4/v1/FieldMatch.ts';
import type { TableAction as _p4_v1_TableAction, TableAction__Output as _p4_v1_TableAction__Output } from '../../p4/v1/TableAction.ts';
import type { MeterConfig as _p4_v1_MeterConfig, MeterConfig__Output as _p4_v1_MeterConfig__Output } from '../../p4/v1/MeterConfig.ts';
import type { CounterData as _p4_v1_CounterData, CounterData__Output as _p4_v1_CounterData__Output } from '../../p4/v1/CounterData.ts';
import type { MeterCounterData as _p4_v1_MeterCounterData, MeterCounterData__Output as _p4_v1_MeterCounterData__Output } from '../../p4/v1/MeterCounterData.ts';
import type { Long } from '@grpc/proto-loader';

/**
 * How long ago a packet last met the entry.
 */
export interface _p4_v1_TableEntry_IdleTimeout {
  'elapsedNs'?: (number | string | Long);
}

/**
 * How long ago a packet last met the entry.
 */
export interface _p4_v1_TableEntry_IdleTimeout__Output {
  'elapsedNs': (Long);
}

/**
 * An entry of a table, known by table, match and priority; with `is_default_action` what the table does on a miss.
 */
export interface TableEntry {
  'tableId'?: (number);
  'match'?: (_p4_v1_FieldMatch)[];
  'action'?: (_p4_v1_TableAction | null);
  /**
   * Larger wins; 0 where entries cannot overlap.
   */
  'priority'?: (number);
  /**
   * Deprecated for `metadata`.
   */
  'controllerMetadata'?: (number | string | Long);
  'meterConfig'?: (_p4_v1_MeterConfig | null);
  'counterData'?: (_p4_v1_CounterData | null);
  'isDefaultAction'?: (boolean);
  /**
   * 0 is never.
   */
  'idleTimeoutNs'?: (number | string | Long);
  'timeSinceLastHit'?: (_p4_v1_TableEntry_IdleTimeout | null);
  'metadata'?: (Buffer | Uint8Array | string);
  /**
   * Since 1.4.
   */
  'meterCounterData'?: (_p4_v1_MeterCounterData | null);
  /**
   * The program's own, not to be changed; since 1.4.
   */
  'isConst'?: (boolean);
}

/**
 * An entry of a table, known by table, match and priority; with `is_default_action` what the table does on a miss.
 */
export interface TableEntry__Output {
  'tableId': (number);
  'match': (_p4_v1_FieldMatch__Output)[];
  'action': (_p4_v1_TableAction__Output | null);
  /**
   * Larger wins; 0 where entries cannot overlap.
   */
  'priority': (number);
  /**
   * Deprecated for `metadata`.
   */
  'controllerMetadata': (Long);
  'meterConfig': (_p4_v1_MeterConfig__Output | null);
  'counterData': (_p4_v1_CounterData__Output | null);
  'isDefaultAction': (boolean);
  /**
   * 0 is never.
   */
  'idleTimeoutNs': (Long);
  'timeSinceLastHit': (_p4_v1_TableEntry_IdleTimeout__Output | null);
  'metadata': (Buffer);
  /**
   * Since 1.4.
   */
  'meterCounterData': (_p4_v1_MeterCounterData__Output | null);
  /**
   * The program's own, not to be changed; since 1.4.
   */
  'isConst': (boolean);
}
