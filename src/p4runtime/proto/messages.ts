import type { Long } from '@grpc/proto-loader';
import type { Any__Output } from './generated/google/protobuf/Any.ts';
import type { ConfigV1, Protobuf, Rpc, V1 } from './generated/names.ts';

/**
 * The messages as programs see them, made from the types of proto-loader's generator.
 *
 * - `Message` is what was decoded: scalars, lists and maps are there, sub-messages and members of a oneof may not be.
 * - `Init` is what may be encoded: anything may be left out, and a 64-bit field takes a number too.
 *
 * 64-bit integers are bigints, byte strings `Uint8Array`, enums their names (a number where the name is not known).
 */

/** google.protobuf.Any: the bytes of a message, and the URL that names its type. */
export interface AnyMessage {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

/** Names of an enum; other strings are any. */
type Named<T extends string> = string extends T ? string : T | number;

/** The same both ways. */
type Plain = Uint8Array | string | number | boolean;
type PlainOf<T extends Plain> = [T] extends [Uint8Array] ? Uint8Array : [T] extends [string] ? Named<T> : T;

type Decoded<T> = [T] extends [Long]
  ? bigint
  : [T] extends [Plain]
    ? PlainOf<T>
    : [T] extends [readonly (infer Item)[]]
      ? readonly Decoded<Item>[]
      : [T] extends [Any__Output]
        ? AnyMessage
        : string extends keyof T
          ? { readonly [K in keyof T]: Decoded<T[K]> }
          : DecodedMessage<T>;

type MayBeAbsent<T> = undefined extends T ? true : null extends T ? true : false;

type DecodedMessage<T> = {
  readonly [K in keyof T as MayBeAbsent<T[K]> extends true ? never : K]: Decoded<T[K]>;
} & {
  readonly [K in keyof T as MayBeAbsent<T[K]> extends true ? K : never]?: Decoded<NonNullable<T[K]>>;
};

type Encodable<T> = [T] extends [Long]
  ? bigint | number
  : [T] extends [Plain]
    ? PlainOf<T>
    : [T] extends [readonly (infer Item)[]]
      ? readonly Encodable<Item>[]
      : [T] extends [Any__Output]
        ? { readonly [K in keyof AnyMessage]?: AnyMessage[K] | undefined }
        : string extends keyof T
          ? { readonly [K in keyof T]: Encodable<T[K]> }
          : EncodableMessage<T>;

type EncodableMessage<T> = {
  readonly [K in keyof T]?: Encodable<NonNullable<T[K]>> | undefined;
};

/** Names of the messages of `p4.v1`. */
export type MessageName = keyof V1;
/** A decoded message of `p4.v1`, such as `Message<'TableEntry'>`. */
export type Message<N extends MessageName> = DecodedMessage<V1[N]>;
/** What can be encoded as a message of `p4.v1`. */
export type Init<N extends MessageName> = EncodableMessage<V1[N]>;
/** Names of the messages of `p4.config.v1`. */
export type ConfigName = keyof ConfigV1;
/** A decoded message of `p4.config.v1`, such as `Config<'Table'>`. */
export type Config<N extends ConfigName> = DecodedMessage<ConfigV1[N]>;
/** What can be encoded as a message of `p4.config.v1`. */
export type ConfigInit<N extends ConfigName> = EncodableMessage<ConfigV1[N]>;

/** Full names of all messages, such as `p4.v1.TableEntry`. */
type FullNames = {
  readonly [N in keyof V1 as `p4.v1.${N}`]: V1[N];
} & { readonly [N in keyof ConfigV1 as `p4.config.v1.${N}`]: ConfigV1[N] } & {
  readonly [N in keyof Rpc as `google.rpc.${N}`]: Rpc[N];
} & { readonly [N in keyof Protobuf as `google.protobuf.${N}`]: Protobuf[N] };
/** As descriptors and `Any` name a message, such as `p4.v1.Entity`. */
export type FullName = keyof FullNames;
/** A decoded message by its full name. */
export type AnyMessageOf<N extends FullName> = Decoded<FullNames[N]>;
/** What can be encoded as a message, by its full name. */
export type AnyInitOf<N extends FullName> = Encodable<FullNames[N]>;
