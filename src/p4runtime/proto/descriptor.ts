/** Packages, messages, enums and services as data: what protobufjs makes of `.proto` files, with types named in full. */
export interface Descriptor {
  readonly nested?: { readonly [name: string]: NestedDescriptor };
}

export type NestedDescriptor = Descriptor | MessageDescriptor | EnumDescriptor | ServiceDescriptor;

export interface MessageDescriptor extends Descriptor {
  readonly fields: { readonly [name: string]: FieldDescriptor };
  readonly oneofs?: { readonly [name: string]: { readonly oneof: readonly string[] } };
}

export interface FieldDescriptor {
  readonly type: string;
  readonly id: number;
  readonly rule?: 'repeated';
  /** Of a map. */
  readonly keyType?: 'string';
}

export interface EnumDescriptor {
  readonly values: { readonly [name: string]: number };
}

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
