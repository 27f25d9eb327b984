/**
 * What a terminal would act on instead of showing it: control characters (C0, DEL, C1), and those that turn the direction of
 * the text or end a line.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const ACTING = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const escaped = (c: string): string => {
  if (c === '\n') return '\\n';
  if (c === '\t') return '\\t';
  if (c === '\r') return '\\r';
  const code = c.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** Longest piece of foreign text that a message repeats. */
const LONGEST = 1000;

/** A name that somebody else chose, as one line that a terminal only shows. Very long ones are cut. */
export function printable(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}... (${text.length} characters)` : text;
  return shown.replace(ACTING, escaped);
}

/** The same for text of several lines, such as a table or a tool's log: line ends and tabs stay. */
export const printableLines = (text: string): string =>
  text.replace(ACTING, (c) => (c === '\n' || c === '\t' ? c : escaped(c)));

/** The same for a JSON document: what `JSON.stringify` leaves as it is, in the escapes of JSON. */
export const printableJson = (json: string): string =>
  json.replace(ACTING, (c) =>
    c === '\n' || c === '\t' ? c : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** The same as it may stand in HTML and SVG, also within quotes; the latter must have no control characters at all. */
export const printableMarkup = (text: string): string =>
  text.replace(ACTING, escaped).replace(/[&<>"']/g, (c) => ENTITIES[c]!);

/** A document of JSON for a file, in lines, of which a terminal shows what it is. */
export const jsonText = (value: unknown): string => `${printableJson(JSON.stringify(value, undefined, 2))}\n`;
