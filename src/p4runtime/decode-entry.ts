import { type DecodedEntryAction, decodeEntryAction } from './actions.ts';
import type { CounterValue, MeterRates } from './entity-inputs.ts';
import { refusal } from './errors.ts';
import { decodeMatch } from './match.ts';
import type { P4InfoIndex, TableInfo } from './p4info-index.ts';
import type { Message } from './proto/messages.ts';
import type { AnyProgram, ProgramTypes, TableName } from './typed.ts';

/** A field of a key, in the form in which `P4Program.tableEntry` takes it. */
export type DecodedField =
  | bigint
  | string
  | { readonly value: bigint; readonly prefix: number }
  | { readonly value: bigint; readonly mask: bigint }
  | { readonly low: bigint; readonly high: bigint };

/** An action of a program with its parameters: numbers, or strings where the type is one. */
export type DecodedActionOf<P extends ProgramTypes, A extends string> = A extends keyof P['actions'] & string
  ? {
      readonly name: A;
      readonly params: { readonly [N in keyof P['actions'][A]]: bigint | string };
    }
  : never;

type DecodedActions<P extends ProgramTypes, A extends string> =
  | DecodedActionOf<P, A>
  | Exclude<DecodedEntryAction, { readonly name: string }>;

/** Fields of a key that matter; of a program without types any. */
type DecodedKey<M> = string extends keyof M
  ? { readonly [field: string]: DecodedField }
  : { readonly [F in keyof M]?: DecodedField };

/** What a meter has counted of an entry's packets, by the colour that it gave them. */
export interface MeterCounts {
  readonly green: CounterValue;
  readonly yellow: CounterValue;
  readonly red: CounterValue;
}

/**
 * An entry by names; distributes over the tables of the program. Fields that do not matter are left out, as is all that the
 * device did not send. But for the counts it is what `P4Program.tableEntry` takes.
 */
export type DecodedTableEntry<
  P extends ProgramTypes = AnyProgram,
  T extends TableName<P> = TableName<P>,
> = T extends T
  ? {
      readonly table: T;
      readonly match: DecodedKey<P['tables'][T]['match']>;
      readonly action?: DecodedActions<P, P['tables'][T]['action']>;
      readonly priority?: number;
      readonly isDefault?: true;
      readonly isConst?: true;
      readonly metadata?: Uint8Array;
      readonly idleTimeoutNs?: bigint;
      readonly timeSinceLastHitNs?: bigint;
      readonly counter?: CounterValue;
      readonly meter?: MeterRates;
      readonly meterCounters?: MeterCounts;
    }
  : never;

const count = (data: Message<'CounterData'> | undefined): CounterValue => ({
  packets: data?.packetCount ?? 0n,
  bytes: data?.byteCount ?? 0n,
});

/** Numbers and strings as they are, the rest without the kind, which the table tells. */
function fieldOf(table: TableInfo, match: Message<'FieldMatch'>): readonly [string, DecodedField] {
  const field = table.fields.find(match.fieldId);
  if (field === undefined)
    throw refusal(
      'bad-answer',
      `the device sent field ${match.fieldId} of ${table.name}, which it does not have`,
    );
  const decoded = decodeMatch(field, match);
  switch (decoded.kind) {
    case 'exact':
    case 'optional':
      return [field.name, decoded.value];
    case 'lpm':
      return [field.name, { value: decoded.value, prefix: decoded.prefix }];
    case 'ternary':
      return [field.name, { value: decoded.value, mask: decoded.mask }];
    case 'range':
      return [field.name, { low: decoded.low, high: decoded.high }];
  }
}

/** @throws P4RuntimeError `unknown-name` on ids that the P4Info does not have, `bad-answer`, `bad-value` */
export function decodeTableEntry<P extends ProgramTypes = AnyProgram>(
  index: P4InfoIndex,
  entry: Message<'TableEntry'>,
): DecodedTableEntry<P> {
  const table = index.tables.get(entry.tableId);
  const action = entry.action === undefined ? undefined : decodeEntryAction(index, entry.action);
  const { counterData, meterConfig, meterCounterData: colours, timeSinceLastHit } = entry;
  const decoded: DecodedTableEntry = {
    table: table.name,
    match: Object.fromEntries(entry.match.map((m) => fieldOf(table, m))),
    ...(action !== undefined && { action }),
    ...(entry.priority !== 0 && { priority: entry.priority }),
    ...(entry.isDefaultAction && { isDefault: true as const }),
    ...(entry.isConst && { isConst: true as const }),
    ...(entry.metadata.length > 0 && { metadata: entry.metadata }),
    ...(entry.idleTimeoutNs !== 0n && { idleTimeoutNs: entry.idleTimeoutNs }),
    ...(timeSinceLastHit !== undefined && { timeSinceLastHitNs: timeSinceLastHit.elapsedNs }),
    ...(counterData !== undefined && { counter: count(counterData) }),
    ...(meterConfig !== undefined && { meter: meterConfig }),
    ...(colours !== undefined && {
      meterCounters: {
        green: count(colours.green),
        yellow: count(colours.yellow),
        red: count(colours.red),
      },
    }),
  };
  // The names are those of the P4Info that `P` was made of.
  return decoded as DecodedTableEntry<P>;
}
