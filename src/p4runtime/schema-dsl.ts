import type { INamespace } from 'protobufjs';

/**
 * Protobuf messages as data, one short line a field, so that the built package needs no `.proto` files beside it:
 * `{ deviceId: 'uint64 1', updates: 'repeated p4.v1.Update 4' }`. A key `oneof:name` holds the fields of a oneof.
 */
export type MessageFields = { readonly [name: string]: string | { readonly [member: string]: string } };

/** Full name (`p4.v1.Entity`) to fields. A message may be nested in another by its name. */
export type Messages = { readonly [fullName: string]: MessageFields };

/** Full name to value names and numbers. */
export type Enums = { readonly [fullName: string]: { readonly [value: string]: number } };

/** Full name to methods: `['Request', 'Response']`, with `stream ` before a type that streams. */
export type Services = {
  readonly [fullName: string]: { readonly [method: string]: readonly [request: string, response: string] };
};

interface MutableNamespace {
  nested?: { [name: string]: MutableNamespace };
  [key: string]: unknown;
}

interface Field {
  readonly rule?: string;
  readonly type: string;
  readonly id: number;
}

function parseField(text: string): Field {
  const words = text.split(' ');
  const id = Number(words.at(-1));
  return words.length === 3 ? { rule: words[0]!, type: words[1]!, id } : { type: words[0]!, id };
}

function messageNode(message: MessageFields): { fields: object; oneofs?: object } {
  const fields: { [name: string]: Field } = {};
  const oneofs: { [name: string]: { oneof: string[] } } = {};
  for (const [name, value] of Object.entries(message)) {
    if (typeof value === 'string') {
      fields[name] = parseField(value);
      continue;
    }
    for (const [member, text] of Object.entries(value)) fields[member] = parseField(text);
    oneofs[name.replace('oneof:', '')] = { oneof: Object.keys(value) };
  }
  return Object.keys(oneofs).length === 0 ? { fields } : { fields, oneofs };
}

function methodNode([request, response]: readonly [string, string]): object {
  const bare = (type: string) => type.replace('stream ', '');
  return {
    requestType: bare(request),
    responseType: bare(response),
    ...(bare(request) !== request && { requestStream: true }),
    ...(bare(response) !== response && { responseStream: true }),
  };
}

/** The descriptor that protobufjs and proto-loader read. */
export function descriptorOf(messages: Messages, enums: Enums, services: Services): INamespace {
  const root: MutableNamespace = { nested: {} };
  const place = (fullName: string, node: object): void => {
    let at = root;
    for (const part of fullName.split('.')) {
      at.nested ??= {};
      at.nested[part] ??= {};
      at = at.nested[part];
    }
    Object.assign(at, node);
  };
  for (const [name, fields] of Object.entries(messages)) place(name, messageNode(fields));
  for (const [name, values] of Object.entries(enums)) place(name, { edition: 'proto3', values });
  for (const [name, methods] of Object.entries(services))
    place(name, {
      methods: Object.fromEntries(Object.entries(methods).map(([m, types]) => [m, methodNode(types)])),
    });
  return root as INamespace;
}
