/** Packages, messages, enums and services as data: what protobufjs makes of `.proto` files, with types named in full. */
export interface Descriptor {
  readonly nested?: { readonly [name: string]: NestedDescriptor };
}

type NestedDescriptor = Descriptor | MessageDescriptor | EnumDescriptor | ServiceDescriptor;

/** Fields by name, with the messages and enums that are declared inside of it. */
export interface MessageDescriptor extends Descriptor {
  readonly fields: { readonly [name: string]: FieldDescriptor };
  readonly oneofs?: { readonly [name: string]: { readonly oneof: readonly string[] } };
}

/** A field's type is a scalar, or the full name of a message or enum; `id` is its number on the wire. */
export interface FieldDescriptor {
  readonly type: string;
  readonly id: number;
  readonly rule?: 'repeated';
  /** Of a map. */
  readonly keyType?: 'string';
}

/** Numbers by name. */
export interface EnumDescriptor {
  readonly values: { readonly [name: string]: number };
}

/** Methods by name, each with the full names of what goes in and comes out. */
export interface ServiceDescriptor {
  readonly methods: {
    readonly [name: string]: {
      readonly requestType: string;
      readonly responseType: string;
      readonly requestStream?: boolean;
      readonly responseStream?: boolean;
    };
  };
}
