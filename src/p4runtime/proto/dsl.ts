/**
 * Protobuf messages as data, one short line a field, so that the built package needs no `.proto` files beside it:
 * `{ deviceId: 'uint64 1', updates: 'repeated Update 4' }`. A key `oneof:name` holds the fields of a oneof, and `map X 3`
 * is a map from strings to `X`.
 */
export type MessageFields = { readonly [name: string]: string | { readonly [member: string]: string } };

/** Name of a method to request and answer, with `stream ` before a type that streams. */
export type Methods = { readonly [method: string]: readonly [request: string, response: string] };
