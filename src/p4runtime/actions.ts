import { type P4RuntimeError, refusal } from './errors.ts';
import type { ActionInfo, P4InfoIndex } from './p4info-index.ts';
import type { Init, Message } from './proto/messages.ts';
import { decodeAny, encodeValue, type Port, portBytes, type Value } from './values.ts';

/** An action by name. */
export interface ActionInput {
  readonly name: string;
  readonly params?: object;
}

/** One of the actions of a one-shot group. */
export interface WeightedAction {
  readonly action: ActionInput;
  readonly weight: number;
  /** Only while this port is up. */
  readonly watchPort?: Port;
}

type ActionSet = Init<'ActionProfileActionSet'>;

/** How a one-shot is meant, where the program does not say (P4Runtime 1.5). */
export interface OneShotModes {
  readonly selection?: Exclude<ActionSet['actionSelectionMode'], number | undefined>;
  readonly size?: Exclude<ActionSet['sizeSemantics'], number | undefined>;
}

/** What an entry does: an action, or what stands for one in an action profile. */
export type EntryAction =
  | ActionInput
  | { readonly member: number }
  | { readonly group: number }
  | (OneShotModes & { readonly oneShot: readonly WeightedAction[] });

/** An action as the device sent it: numbers as bigints, and strings where the program says that the type is one. */
export interface DecodedAction {
  readonly name: string;
  readonly params: { readonly [name: string]: bigint | string };
}

/** What an entry does, as `EntryAction` takes it. */
export type DecodedEntryAction =
  | DecodedAction
  | { readonly member: number }
  | { readonly group: number }
  | (OneShotModes & {
      readonly oneShot: readonly {
        readonly action: DecodedAction;
        readonly weight: number;
        readonly watchPort?: Uint8Array;
      }[];
    });

/** @throws P4RuntimeError `unknown-name`, `bad-entry` on a parameter that is missing, `bad-value` */
export function encodeAction(index: P4InfoIndex, input: ActionInput): Init<'Action'> {
  const action = index.actions.get(input.name);
  const given = (input.params ?? {}) as { readonly [name: string]: Value };
  const params = Object.keys(given).map((name) => {
    const param = action.params.get(name);
    return { paramId: param.id, value: encodeValue(param, given[name]!) };
  });
  if (params.length < action.params.size) throw missingParams(action, input.params ?? {});
  return { actionId: action.id, params };
}

function missingParams(action: ActionInfo, given: object): P4RuntimeError {
  const missing = [...action.params].filter((p) => !(p.name in given)).map((p) => p.name);
  return refusal('bad-entry', `action ${action.name} lacks ${missing.join(', ')}`);
}

/** @throws as encodeAction */
export function encodeEntryAction(index: P4InfoIndex, input: EntryAction): Init<'TableAction'> {
  if ('name' in input) return { action: encodeAction(index, input) };
  if ('member' in input) return { actionProfileMemberId: input.member };
  if ('group' in input) return { actionProfileGroupId: input.group };
  const actions = input.oneShot.map(({ action, weight, watchPort }) => ({
    action: encodeAction(index, action),
    weight,
    ...(watchPort !== undefined && { watchPort: portBytes(watchPort) }),
  }));
  const { selection, size } = input;
  return {
    actionProfileActionSet: {
      actionProfileActions: actions,
      ...(selection !== undefined && { actionSelectionMode: selection }),
      ...(size !== undefined && { sizeSemantics: size }),
    },
  };
}

/** @throws P4RuntimeError `unknown-name` on what the P4Info does not have, `bad-value` on too many bits */
export function decodeAction(index: P4InfoIndex, message: Message<'Action'>): DecodedAction {
  const action = index.actions.get(message.actionId);
  const params: Record<string, bigint | string> = {};
  for (const { paramId, value } of message.params) {
    const param = action.params.get(paramId);
    params[param.name] = decodeAny(param, value);
  }
  return { name: action.name, params };
}

/** Whether a mode is one that is not the default, and known here. */
const isNamed = <T extends string>(mode: T | number): mode is T =>
  typeof mode === 'string' && !mode.startsWith('DEFAULT');

/** @throws as decodeAction */
export function decodeEntryAction(
  index: P4InfoIndex,
  message: Message<'TableAction'>,
): DecodedEntryAction | undefined {
  if (message.action !== undefined) return decodeAction(index, message.action);
  if (message.actionProfileMemberId !== undefined) return { member: message.actionProfileMemberId };
  if (message.actionProfileGroupId !== undefined) return { group: message.actionProfileGroupId };
  const set = message.actionProfileActionSet;
  if (set === undefined) return undefined;
  const { actionSelectionMode: selection, sizeSemantics: size } = set;
  return {
    ...(isNamed(selection) && { selection }),
    ...(isNamed(size) && { size }),
    oneShot: set.actionProfileActions.map(({ action, weight, watchPort }) => {
      if (action === undefined)
        throw refusal('bad-answer', 'the device sent a one-shot member without action');
      return { action: decodeAction(index, action), weight, ...(watchPort !== undefined && { watchPort }) };
    }),
  };
}
