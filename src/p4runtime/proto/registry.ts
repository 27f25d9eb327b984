import { fromJSON, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { completed } from './completion.ts';
import type { Descriptor } from './descriptor.ts';
import { checked } from './edge.ts';
import { type MessagePlan, planMessages } from './field-plan.ts';
import { descriptor } from './generated/descriptor.ts';
import type {
  AnyInitOf,
  AnyMessageOf,
  Config,
  ConfigInit,
  ConfigName,
  FullName,
  Init,
  Message,
  MessageName,
} from './messages.ts';
import { settleOneofs } from './settle-oneofs.ts';

/** How proto-loader shows messages; what it leaves out, `completion.ts` fills in. protobufjs takes bigints since 7.6. */
const options = { longs: BigInt, enums: String, arrays: true, objects: true } as const;

export const loadDescriptor = (json: Descriptor): PackageDefinition =>
  fromJSON(json as Parameters<typeof fromJSON>[0], options);

const plans = planMessages(descriptor);
let loaded: PackageDefinition | undefined;

/** The whole of P4Runtime, loaded when it is first needed: that takes some 50 ms. */
const definition = (): PackageDefinition => {
  loaded ??= loadDescriptor(descriptor);
  return loaded;
};

/** The fields of a message by its full name, such as `p4.v1.TableEntry`. */
export function messagePlan(fullName: string): MessagePlan {
  const plan = plans.get(fullName);
  if (plan === undefined) throw new Error(`there is no message ${fullName}`);
  return plan;
}

/** As `messagePlan`; undefined where there is no such message. */
export const namedPlan = (fullName: string): MessagePlan | undefined => plans.get(fullName);

/** Both directions of one message type. */
export interface Codec<I, O> {
  readonly plan: MessagePlan;
  /** @throws RangeError, TypeError on a value that the field does not hold */
  encode(message: I): Uint8Array;
  /** @throws RangeError on bytes that are no such message. Unknown fields are skipped, as protobuf has it. */
  decode(bytes: Uint8Array): O;
}

/** Serialiser and deserialiser of proto-loader, for messages of programs. */
export function edgeCodec(
  plan: MessagePlan,
  type: () => MessageTypeDefinition<object, object>,
): Codec<object, object> {
  const decode = (bytes: Uint8Array): object => {
    const message = completed(plan, type().deserialize(bytes as Buffer));
    return message ?? decode(settleOneofs(plan, bytes));
  };
  return {
    plan,
    encode: (message) => type().serialize(checked(plan, message)),
    decode: (bytes) => {
      try {
        return decode(bytes);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new RangeError(`these bytes are no ${plan.fullName}: ${reason}`, { cause: error });
      }
    },
  };
}

/** Codec of a message by its full name; the plan, the types and the codec come from the same `.proto` files. */
const codecOf = <I, O>(fullName: string): Codec<I, O> => {
  let found: MessageTypeDefinition<object, object> | undefined;
  const type = () => {
    found ??= definition()[fullName] as MessageTypeDefinition<object, object>;
    return found;
  };
  return edgeCodec(messagePlan(fullName), type) as Codec<I, O>;
};

/** Codec of a message of any package, such as `p4.v1.TableEntry` or `google.rpc.Status`. */
export const messageCodec = <N extends FullName>(fullName: N): Codec<AnyInitOf<N>, AnyMessageOf<N>> =>
  codecOf(fullName);

/** Codec of a message of `p4.v1`. */
export const v1Codec = <N extends MessageName>(name: N): Codec<Init<N>, Message<N>> =>
  codecOf(`p4.v1.${name}`);

/** Codec of a message of `p4.config.v1`. */
export const configCodec = <N extends ConfigName>(name: N): Codec<ConfigInit<N>, Config<N>> =>
  codecOf(`p4.config.v1.${name}`);

export const statusCodec = messageCodec('google.rpc.Status');
