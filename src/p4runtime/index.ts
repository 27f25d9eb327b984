export { P4RuntimeClient, type P4RuntimeClientOptions } from './client.ts';
export { P4RuntimeError, type UpdateError } from './errors.ts';
export { p4runtimeDescriptor, p4runtimeRoot } from './schema.ts';
export { descriptorOf, type Messages, type Services } from './schema-dsl.ts';
export { messageText, p4InfoText, writeRequestText } from './text.ts';
export type * from './types.ts';
export { canonical, canonicalBytes } from './values.ts';
