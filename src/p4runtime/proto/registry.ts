import { decodeMessage, encodeMessage } from './codec.ts';
import { type MessagePlan, planMessages } from './field-plan.ts';
import type {
  Config,
  ConfigInit,
  ConfigName,
  Init,
  InitOf,
  Message,
  MessageName,
  MessageOf,
} from './messages.ts';
import { packageEnums, packages } from './packages.ts';

const plans = planMessages(packages, packageEnums);

/** The compiled form of a message by its full name, such as `p4.v1.TableEntry`. */
export function messagePlan(fullName: string): MessagePlan {
  const plan = plans.get(fullName);
  if (plan === undefined) throw new Error(`the schema has no message ${fullName}`);
  return plan;
}

/** Both directions of one message type. */
export interface Codec<I, O> {
  readonly plan: MessagePlan;
  encode(message: I): Uint8Array;
  /** @throws RangeError on bytes that are no such message. */
  decode(bytes: Uint8Array): O;
}

/** The plan and the types come from the same schema; this is the one place where that is taken on trust. */
const codecOf = <I, O>(fullName: string): Codec<I, O> => {
  const plan = messagePlan(fullName);
  return {
    plan,
    encode: (message) => encodeMessage(plan, message as object),
    decode: (bytes) => decodeMessage(plan, bytes) as O,
  };
};

/** Codec of a message of `p4.v1`. */
export const v1Codec = <N extends MessageName>(name: N): Codec<Init<N>, Message<N>> =>
  codecOf(`p4.v1.${name}`);

/** Codec of a message of `p4.config.v1`. */
export const configCodec = <N extends ConfigName>(name: N): Codec<ConfigInit<N>, Config<N>> =>
  codecOf(`p4.config.v1.${name}`);

export const statusCodec: Codec<InitOf<'google.rpc', 'Status'>, MessageOf<'google.rpc', 'Status'>> = codecOf(
  'google.rpc.Status',
);
