import type { OnnxModel } from './proto.ts';

/** Keys under which exporters keep the names of classes, in lower case. */
const KEYS: readonly string[] = ['classes', 'class_names', 'labels', 'label_names', 'names'];

/**
 * Names of the classes in the properties of a model file: a JSON list, a map from index to name (as JSON or as Python
 * prints it), or names between commas or on lines of their own.
 */
export function classesOf(properties: OnnxModel['metadataProps']): readonly string[] | undefined {
  for (const { key = '', value = '' } of properties)
    if (KEYS.includes(key.toLowerCase())) {
      const names = parseNames(value);
      if (names !== undefined) return names;
    }
  return undefined;
}

function parseNames(text: string): readonly string[] | undefined {
  const trimmed = text.trim();
  if (trimmed.startsWith('{')) return fromMap(trimmed);
  const list = trimmed.startsWith('[') ? (fromJson(trimmed) ?? quoted(trimmed)) : split(trimmed);
  return list.length > 0 && list.every((name) => name !== '') ? list : undefined;
}

function fromJson(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value.map(String) : undefined;
  } catch {
    // Not JSON: perhaps a list as Python prints it.
    return undefined;
  }
}

const split = (text: string): string[] =>
  text.split(text.includes('\n') ? /\r?\n/ : ',').map((name) => name.trim());

/** The strings of a literal of Python or JSON, in their order. */
const quoted = (text: string): string[] =>
  [...text.matchAll(/'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/g)].map((m) => m[1] ?? m[2] ?? '');

/** `{0: 'cat', 1: 'dog'}` or `{"0": "cat", "1": "dog"}`. */
function fromMap(text: string): readonly string[] | undefined {
  const entries = [...text.matchAll(/["']?(\d{1,6})["']?\s*:\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g)];
  const names: string[] = [];
  for (const [, index, name] of entries)
    if (Number(index) < entries.length) names[Number(index)] = name!.slice(1, -1);
  return names.length === entries.length && names.length > 0 && !names.includes(undefined as never)
    ? names
    : undefined;
}
