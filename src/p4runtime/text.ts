import type { FieldPlan, FieldType, MessagePlan } from './proto/field-plan.ts';
import type { ConfigInit, Init } from './proto/messages.ts';
import { messagePlan } from './proto/registry.ts';

/** A field's name as protobuf text has it: `tableId` is `table_id`. */
export const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

const ESCAPES: Readonly<Record<string, string>> = {
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '"': '\\"',
  "'": "\\'",
  '\\': '\\\\',
};

/** Bytes as protobuf's text format writes them: printable ASCII as it is, the usual escapes, else three octal digits. */
function quoteBytes(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (ESCAPES[char] !== undefined) text += ESCAPES[char];
    else if (byte >= 0x20 && byte < 0x7f) text += char;
    else text += `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `"${text}"`;
}

function scalarText(type: FieldType, value: unknown): string {
  if (type.kind === 'scalar' && type.scalar === 'string')
    return quoteBytes(Buffer.from(String(value), 'utf8'));
  if (value instanceof Uint8Array) return quoteBytes(value);
  return String(value);
}

/** Whether proto3 leaves the field out: a scalar outside a oneof that has its default value. */
function isDefault(field: FieldPlan, value: unknown): boolean {
  if (field.oneof !== undefined) return false;
  if (field.type.kind === 'enum') return value === 0 || field.type.byName[String(value)] === 0;
  const emptyBytes = value instanceof Uint8Array && value.length === 0;
  return value === 0 || value === 0n || value === '' || value === false || emptyBytes;
}

function printValue(name: string, type: FieldType, value: unknown, indent: string, lines: string[]): void {
  if (type.kind !== 'message') {
    lines.push(`${indent}${name}: ${scalarText(type, value)}`);
    return;
  }
  lines.push(`${indent}${name} {`);
  printMessage(type.message, value as object, `${indent}  `, lines);
  lines.push(`${indent}}`);
}

function printMap(field: FieldPlan, entries: object, indent: string, lines: string[]): void {
  for (const [key, value] of Object.entries(entries)) {
    lines.push(
      `${indent}${snakeCase(field.name)} {`,
      `${indent}  key: ${quoteBytes(Buffer.from(key, 'utf8'))}`,
    );
    printValue('value', field.type, value, `${indent}  `, lines);
    lines.push(`${indent}}`);
  }
}

function printMessage(plan: MessagePlan, message: object, indent: string, lines: string[]): void {
  const values = message as Readonly<Record<string, unknown>>;
  for (const field of plan.fields) {
    const value = values[field.name];
    if (value === undefined || value === null) continue;
    if (field.rule === 'map') printMap(field, value, indent, lines);
    else if (field.rule === 'repeated')
      for (const item of value as readonly unknown[])
        printValue(snakeCase(field.name), field.type, item, indent, lines);
    else if (!isDefault(field, value)) printValue(snakeCase(field.name), field.type, value, indent, lines);
  }
}

/** Protobuf's text format of one message, fields in order of their numbers, as the C++ library prints it. */
export function messageText(fullName: string, message: object): string {
  const lines: string[] = [];
  printMessage(messagePlan(fullName), message, '', lines);
  return `${lines.join('\n')}\n`;
}

/** The whole P4Info as protobuf text, as p4c writes it. */
export const p4InfoText = (p4info: ConfigInit<'P4Info'>): string =>
  messageText('p4.config.v1.P4Info', p4info);

/** A WriteRequest; device and election id are the sender's to fill in. */
export const writeRequestText = (updates: readonly Init<'Update'>[]): string =>
  messageText('p4.v1.WriteRequest', { updates });
