import type { packageEnums, packages } from './packages.ts';

/**
 * TypeScript's view of the schema, derived from it.
 *
 * - `Message` is what was decoded: scalars, lists and maps are there, sub-messages and members of a oneof may not be.
 * - `Init` is what may be encoded: anything may be left out, and a 64-bit field takes a number too.
 *
 * 64-bit integers are bigints, byte strings `Uint8Array`, enums their names (a number where the name is not known).
 */
type Packages = typeof packages;
type PackageName = keyof Packages;

type Bits32 = 'uint32' | 'int32';
type Bits64 = 'uint64' | 'int64';

/** Package and name of a type as field `Type` of package `P` writes it. */
type Resolve<P extends PackageName, Type extends string> = Type extends `.google.protobuf.${infer N}`
  ? ['google.protobuf', N]
  : Type extends `.google.rpc.${infer N}`
    ? ['google.rpc', N]
    : Type extends `.p4.config.v1.${infer N}`
      ? ['p4.config.v1', N]
      : [P, Type];

type EnumValue<P extends PackageName, N> = N extends keyof (typeof packageEnums)[P]
  ? keyof (typeof packageEnums)[P][N] | number
  : never;

type Scalar<Type extends string, Wide> = Type extends Bits32
  ? number
  : Type extends Bits64
    ? Wide
    : Type extends 'bool'
      ? boolean
      : Type extends 'string'
        ? string
        : Type extends 'bytes'
          ? Uint8Array
          : never;

type ScalarName = Bits32 | Bits64 | 'bool' | 'string' | 'bytes';
type IsMessage<P extends PackageName, Type extends string> =
  Resolve<P, Type> extends [infer Q extends PackageName, infer N]
    ? N extends keyof Packages[Q]
      ? true
      : false
    : false;

type Decoded<P extends PackageName, Type extends string> = Type extends ScalarName
  ? Scalar<Type, bigint>
  : Resolve<P, Type> extends [infer Q extends PackageName, infer N]
    ? N extends keyof Packages[Q]
      ? MessageOf<Q, N>
      : EnumValue<Q, N>
    : never;

type Encodable<P extends PackageName, Type extends string> = Type extends ScalarName
  ? Scalar<Type, bigint | number>
  : Resolve<P, Type> extends [infer Q extends PackageName, infer N]
    ? N extends keyof Packages[Q]
      ? InitOf<Q, N>
      : EnumValue<Q, N>
    : never;

type DecodedField<P extends PackageName, F> = F extends `repeated ${infer T} ${number}`
  ? readonly Decoded<P, T>[]
  : F extends `map ${infer T} ${number}`
    ? { readonly [key: string]: Decoded<P, T> }
    : F extends `${infer T} ${number}`
      ? Decoded<P, T>
      : never;

type EncodableField<P extends PackageName, F> = F extends `repeated ${infer T} ${number}`
  ? readonly Encodable<P, T>[]
  : F extends `map ${infer T} ${number}`
    ? { readonly [key: string]: Encodable<P, T> }
    : F extends `${infer T} ${number}`
      ? Encodable<P, T>
      : never;

/** Fields that every decoded message has: scalars, lists and maps outside a oneof. */
type PresentKey<P extends PackageName, M> = {
  [K in keyof M]: M[K] extends `repeated ${string}` | `map ${string}`
    ? K
    : M[K] extends `${infer T} ${number}`
      ? IsMessage<P, T> extends true
        ? never
        : K
      : never;
}[keyof M];

type PlainKey<M> = { [K in keyof M]: M[K] extends string ? K : never }[keyof M];
type OneofOf<M> = { [K in keyof M]: M[K] extends string ? never : M[K] }[keyof M];
type UnionToIntersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void
  ? I
  : never;
/** The members of all oneofs of a message, side by side. */
type Members<M> = [OneofOf<M>] extends [never] ? unknown : UnionToIntersection<OneofOf<M>>;

export type MessageOf<P extends PackageName, N extends keyof Packages[P]> = {
  readonly [K in PresentKey<P, Packages[P][N]>]: DecodedField<P, Packages[P][N][K]>;
} & {
  readonly [K in Exclude<PlainKey<Packages[P][N]>, PresentKey<P, Packages[P][N]>>]?: DecodedField<
    P,
    Packages[P][N][K]
  >;
} & { readonly [K in keyof Members<Packages[P][N]>]?: DecodedField<P, Members<Packages[P][N]>[K]> };

export type InitOf<P extends PackageName, N extends keyof Packages[P]> = {
  readonly [K in PlainKey<Packages[P][N]>]?: EncodableField<P, Packages[P][N][K]> | undefined;
} & {
  readonly [K in keyof Members<Packages[P][N]>]?: EncodableField<P, Members<Packages[P][N]>[K]> | undefined;
};

/** Names of the messages of `p4.v1`. */
export type MessageName = keyof Packages['p4.v1'];
/** A decoded message of `p4.v1`, such as `Message<'TableEntry'>`. */
export type Message<N extends MessageName> = MessageOf<'p4.v1', N>;
/** What can be encoded as a message of `p4.v1`. */
export type Init<N extends MessageName> = InitOf<'p4.v1', N>;
/** Names of the messages of `p4.config.v1`. */
export type ConfigName = keyof Packages['p4.config.v1'];
/** A decoded message of `p4.config.v1`, such as `Config<'Table'>`. */
export type Config<N extends ConfigName> = MessageOf<'p4.config.v1', N>;
/** What can be encoded as a message of `p4.config.v1`. */
export type ConfigInit<N extends ConfigName> = InitOf<'p4.config.v1', N>;
