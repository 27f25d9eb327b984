import protobuf from 'protobufjs/light.js';
import type { Descriptor } from './descriptor.ts';
import { DirectWriter } from './direct-writer.ts';
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
import { readShown } from './shown-form.ts';
import { wireForm } from './wire-form.ts';

/** The types of protobufjs, made when they are first needed: that takes some 10 ms. @throws Error where there is none */
export function typesOf(json: Descriptor): (fullName: string) => protobuf.Type {
  let root: protobuf.Root | undefined;
  return (fullName) => {
    root ??= protobuf.Root.fromJSON(json as protobuf.INamespace);
    return root.lookupType(fullName);
  };
}

const plans = planMessages(descriptor);
/** The types of P4Runtime. */
export const messageTypes = typesOf(descriptor);
const writer = new DirectWriter();

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

/** Both directions of a message. @param lookup types of protobufjs by their full name */
export function edgeCodec(
  plan: MessagePlan,
  lookup: (fullName: string) => protobuf.Type,
): Codec<object, object> {
  let found: protobuf.Type | undefined;
  const type = (): protobuf.Type => {
    found ??= lookup(plan.fullName);
    return found;
  };
  return {
    plan,
    encode(message) {
      // Whatever is wrong with it shows here, before the writer has begun.
      const wire = wireForm(plan, message);
      return type().encode(wire, writer.reset()).finish();
    },
    decode(bytes) {
      try {
        return readShown(plan, bytes);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new RangeError(`these bytes are no ${plan.fullName}: ${reason}`, { cause: error });
      }
    },
  };
}

/** Codec of a message by its full name; the plan, the types and the codec come from the same `.proto` files. */
const codecOf = <I, O>(fullName: string): Codec<I, O> =>
  edgeCodec(messagePlan(fullName), messageTypes) as Codec<I, O>;

/** Codec of a message of any package, such as `p4.v1.TableEntry` or `google.rpc.Status`. */
export const messageCodec = <N extends FullName>(fullName: N): Codec<AnyInitOf<N>, AnyMessageOf<N>> =>
  codecOf(fullName);

/** Codec of a message of `p4.v1`. */
export const v1Codec = <N extends MessageName>(name: N): Codec<Init<N>, Message<N>> =>
  codecOf(`p4.v1.${name}`);

/** Codec of a message of `p4.config.v1`. */
export const configCodec = <N extends ConfigName>(name: N): Codec<ConfigInit<N>, Config<N>> =>
  codecOf(`p4.config.v1.${name}`);

/** What gRPC's trailer `grpc-status-details-bin` holds. */
export const statusCodec = messageCodec('google.rpc.Status');
