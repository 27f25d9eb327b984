/** A word of an expression and where it begins, counted from 0. */
export interface Token {
  readonly kind: 'number' | 'name' | 'operator' | 'end';
  readonly text: string;
  readonly at: number;
}

/** A fault in an expression, with its place in the text. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

const PATTERN =
  /\s*(?:(?<number>0x[0-9a-f]+|\d+)|(?<name>[a-z_]\w*(?:\.[a-z_]\w*)*)|(?<operator>&&|\|\||<<|>>|<=|>=|==|!=|[-+*&|^<>!?:()[\],]))/iy;

/** @throws ExpressionError at the first character that begins no word */
export function tokenise(text: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    PATTERN.lastIndex = at;
    const match = PATTERN.exec(text);
    if (match === null) break;
    const groups = match.groups as Partial<Record<Token['kind'], string>>;
    const kind = groups.number !== undefined ? 'number' : groups.name !== undefined ? 'name' : 'operator';
    const word = groups[kind]!;
    tokens.push({ kind, text: word, at: PATTERN.lastIndex - word.length });
    at = PATTERN.lastIndex;
  }
  const rest = text.slice(at).trimStart();
  if (rest !== '') throw new ExpressionError(`'${rest[0]}' begins no word`, text.length - rest.length);
  tokens.push({ kind: 'end', text: 'the end', at: text.length });
  return tokens;
}
