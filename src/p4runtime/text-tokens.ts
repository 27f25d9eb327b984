/** A piece of protobuf's text format, with the line on which it stands. */
export interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'symbol';
  readonly text: string;
  readonly line: number;
  /** Of a string: its bytes, escapes resolved. */
  readonly bytes?: Uint8Array;
}

/** Text that is not what it should be, with its line, counted from 1. */
export class TextFormatError extends Error {
  override readonly name = 'TextFormatError';
  readonly line: number;

  constructor(line: number, reason: string) {
    super(`line ${line}: ${reason}`);
    this.line = line;
  }
}

const PIECE =
  /(?<space>\s+|#[^\n]*)|(?<string>"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')|(?<number>-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?))|(?<name>[A-Za-z_][\w.]*)|(?<symbol>[{}<>:;,[\]/-])/y;

const CHARACTERS: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  a: 7,
  b: 8,
  f: 12,
  v: 11,
  '"': 34,
  "'": 39,
  '\\': 92,
  '?': 63,
};

/** Octal, hexadecimal and one-letter escapes; everything else is UTF-8. */
function unquote(quoted: string, line: number): Uint8Array {
  const parts: Buffer[] = [];
  const body = quoted.slice(1, -1);
  const piece = /\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|([\s\S]))|[^\\]+/g;
  for (const match of body.matchAll(piece)) {
    const [whole, hex, octal, letter] = match;
    if (hex !== undefined) parts.push(Buffer.of(Number.parseInt(hex, 16)));
    else if (octal !== undefined) parts.push(Buffer.of(Number.parseInt(octal, 8) & 0xff));
    else if (letter !== undefined) {
      const code = CHARACTERS[letter];
      if (code === undefined) throw new TextFormatError(line, `unknown escape \\${letter}`);
      parts.push(Buffer.of(code));
    } else parts.push(Buffer.from(whole, 'utf8'));
  }
  return Buffer.concat(parts);
}

/** @throws TextFormatError */
export function tokens(text: string): readonly Token[] {
  const found: Token[] = [];
  let line = 1;
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < text.length) {
    const at = PIECE.lastIndex;
    const groups = PIECE.exec(text)?.groups;
    if (groups === undefined)
      throw new TextFormatError(line, `unexpected ${JSON.stringify(text.slice(at, at + 12))}`);
    const { space, string, number, name, symbol } = groups;
    if (string !== undefined)
      found.push({ kind: 'string', text: string, line, bytes: unquote(string, line) });
    else if (number !== undefined) found.push({ kind: 'number', text: number, line });
    else if (name !== undefined) found.push({ kind: 'name', text: name, line });
    else if (symbol !== undefined) found.push({ kind: 'symbol', text: symbol, line });
    line += (space ?? string ?? '').split('\n').length - 1;
  }
  return found;
}
