/** A piece of protobuf's text format, with the line on which it stands. */
export interface Token {
  readonly kind: 'name' | 'integer' | 'float' | 'string' | 'symbol';
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

const PIECE = new RegExp(
  [
    /(?<space>\s+|#[^\n]*)/,
    /(?<string>"(?:[^"\\\n]|\\[^\n])*"|'(?:[^'\\\n]|\\[^\n])*')/,
    // A number ends where a name could not go on.
    /(?<float>(?:\d+\.\d*|\.\d+|\d+(?=[eEfF]))(?:[eE][+-]?\d+)?[fF]?(?![\w.]))/,
    /(?<integer>(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9]\d*)(?![\w.]))/,
    /(?<name>[A-Za-z_]\w*)/,
    /(?<symbol>[{}<>:;,[\]/.-])/,
  ]
    .map((piece) => piece.source)
    .join('|'),
  'y',
);

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

const ESCAPE =
  /\\(?:[xX](?<hex>[0-9a-fA-F]{1,2})|u(?<short>[0-9a-fA-F]{4})|U(?<long>[0-9a-fA-F]{8})|(?<octal>[0-7]{1,3})|(?<letter>[\s\S]))|[^\\]+/g;
const LAST_CODE_POINT = 0x10_ffff;

function octalByte(octal: string, line: number): number {
  const byte = Number.parseInt(octal, 8);
  if (byte > 0xff) throw new TextFormatError(line, `\\${octal} is no byte`);
  return byte;
}

/** Octal, hexadecimal, Unicode and one-letter escapes; everything else is UTF-8. */
function unquote(quoted: string, line: number): Uint8Array {
  const parts: Buffer[] = [];
  for (const match of quoted.slice(1, -1).matchAll(ESCAPE)) {
    const { hex, short, long, octal, letter } = match.groups ?? {};
    const point = short ?? long;
    if (hex !== undefined) parts.push(Buffer.of(Number.parseInt(hex, 16)));
    else if (octal !== undefined) parts.push(Buffer.of(octalByte(octal, line)));
    else if (point !== undefined) {
      const code = Number.parseInt(point, 16);
      if (code > LAST_CODE_POINT) throw new TextFormatError(line, `\\U${point} is no character`);
      parts.push(Buffer.from(String.fromCodePoint(code), 'utf8'));
    } else if (letter !== undefined) {
      const code = CHARACTERS[letter];
      if (code === undefined) throw new TextFormatError(line, `unknown escape \\${letter}`);
      parts.push(Buffer.of(code));
    } else parts.push(Buffer.from(match[0], 'utf8'));
  }
  return Buffer.concat(parts);
}

/** @throws TextFormatError */
export function tokens(text: string): readonly Token[] {
  const found: Token[] = [];
  let line = 1;
  // A mark of the byte order says nothing in UTF-8.
  PIECE.lastIndex = text.startsWith('\ufeff') ? 1 : 0;
  while (PIECE.lastIndex < text.length) {
    const at = PIECE.lastIndex;
    const groups = PIECE.exec(text)?.groups;
    if (groups === undefined)
      throw new TextFormatError(line, `unexpected ${JSON.stringify(text.slice(at, at + 12))}`);
    const { space, string, float, integer, name, symbol } = groups;
    if (string !== undefined)
      found.push({ kind: 'string', text: string, line, bytes: unquote(string, line) });
    else if (integer !== undefined) found.push({ kind: 'integer', text: integer, line });
    else if (float !== undefined) found.push({ kind: 'float', text: float, line });
    else if (name !== undefined) found.push({ kind: 'name', text: name, line });
    else if (symbol !== undefined) found.push({ kind: 'symbol', text: symbol, line });
    line += (space ?? '').split('\n').length - 1;
  }
  return found;
}
