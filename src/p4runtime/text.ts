import type { Enum, Field, Type } from 'protobufjs';
import { p4runtimeRoot } from './schema.ts';
import type { P4Info, Update } from './types.ts';

const snake = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** Bytes as protobuf's text format writes them: printable ASCII as it is, the usual escapes, else three octal digits. */
function quoteBytes(bytes: Uint8Array): string {
  const escapes: Readonly<Record<string, string>> = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '"': '\\"',
    "'": "\\'",
    '\\': '\\\\',
  };
  let text = '';
  for (const byte of bytes) {
    const char = String.fromCharCode(byte);
    if (escapes[char] !== undefined) text += escapes[char];
    else if (byte >= 0x20 && byte < 0x7f) text += char;
    else text += `\\${byte.toString(8).padStart(3, '0')}`;
  }
  return `"${text}"`;
}

function scalarText(field: Field, value: unknown): string {
  if (field.type === 'string') return quoteBytes(Buffer.from(String(value), 'utf8'));
  if (value instanceof Uint8Array) return quoteBytes(value);
  return String(value);
}

/** Whether proto3 leaves the field out: a scalar outside a oneof that has its default value. */
function isDefault(field: Field, value: unknown): boolean {
  if (field.partOf !== null) return false;
  const zeroEnum = isEnum(field) && (field.resolvedType as Enum).values[String(value)] === 0;
  return (
    value === 0 ||
    value === '' ||
    value === false ||
    zeroEnum ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

const isEnum = (field: Field): boolean => field.resolvedType !== null && 'values' in field.resolvedType;

function printMessage(type: Type, message: object, indent: string, lines: string[]): void {
  const values = message as Readonly<Record<string, unknown>>;
  for (const field of [...type.fieldsArray].sort((a, b) => a.id - b.id)) {
    const value = values[field.name];
    if (value === undefined || value === null) continue;
    if (!field.repeated && isDefault(field, value)) continue;
    for (const item of field.repeated ? (value as readonly unknown[]) : [value]) {
      if (field.resolvedType === null || isEnum(field)) {
        lines.push(`${indent}${snake(field.name)}: ${scalarText(field, item)}`);
        continue;
      }
      lines.push(`${indent}${snake(field.name)} {`);
      printMessage(field.resolvedType as Type, item as object, `${indent}  `, lines);
      lines.push(`${indent}}`);
    }
  }
}

/** Protobuf's text format of one message, fields in order of their numbers, as the C++ library prints it. */
export function messageText(fullName: string, message: object): string {
  const lines: string[] = [];
  printMessage(p4runtimeRoot.lookupType(fullName), message, '', lines);
  return `${lines.join('\n')}\n`;
}

export const p4InfoText = (p4info: P4Info): string => messageText('p4.config.v1.P4Info', p4info);

/** A WriteRequest; device and election id are the sender's to fill in. */
export const writeRequestText = (updates: readonly Update[]): string =>
  messageText('p4.v1.WriteRequest', { updates });
