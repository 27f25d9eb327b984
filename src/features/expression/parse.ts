import { ExpressionError, type Token, tokenise } from './tokens.ts';
import type { BinaryOperator, Expression } from './tree.ts';

/** How tightly an operator binds: C's order, but for `&`, `^` and `|`, which bind tighter than comparisons. */
const PRECEDENCE: Readonly<Record<BinaryOperator, number>> = {
  '||': 1,
  '&&': 2,
  '==': 3,
  '!=': 3,
  '<': 4,
  '<=': 4,
  '>': 4,
  '>=': 4,
  '|': 5,
  '^': 6,
  '&': 7,
  '<<': 8,
  '>>': 8,
  '+': 9,
  '-': 9,
  '*': 10,
};

/** Deeper nesting is a mistake or an attack. */
const MOST_DEPTH = 64;
const MOST_CHARACTERS = 2000;

const isBinary = (text: string): text is BinaryOperator => Object.hasOwn(PRECEDENCE, text);

/**
 * `min(port.source, port.destination) >> 8`: names, whole numbers, C's operators without division, `a ? b : c`, calls
 * and `name[3]`. @throws ExpressionError
 */
export function parseExpression(text: string): Expression {
  if (text.length > MOST_CHARACTERS)
    throw new ExpressionError(`is longer than ${MOST_CHARACTERS} characters`, 0);
  const parser = new Parser(tokenise(text));
  const expression = parser.choice(0);
  parser.expectEnd();
  return expression;
}

class Parser {
  #next = 0;
  readonly #tokens: readonly Token[];

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  choice(depth: number): Expression {
    if (depth > MOST_DEPTH) throw new ExpressionError('is nested too deeply', this.#peek().at);
    const condition = this.#binary(0, depth);
    const mark = this.#peek();
    if (!this.#take('?')) return condition;
    const whenTrue = this.choice(depth + 1);
    this.#expect(':');
    return { kind: 'choice', condition, whenTrue, whenFalse: this.choice(depth + 1), at: mark.at };
  }

  expectEnd(): void {
    const token = this.#peek();
    if (token.kind !== 'end') throw new ExpressionError(`did not expect '${token.text}' here`, token.at);
  }

  #binary(least: number, depth: number): Expression {
    let left = this.#unary(depth);
    for (;;) {
      const { kind, text, at } = this.#peek();
      if (kind !== 'operator' || !isBinary(text) || PRECEDENCE[text] <= least) return left;
      this.#next++;
      left = { kind: 'binary', operator: text, left, right: this.#binary(PRECEDENCE[text], depth), at };
    }
  }

  #unary(depth: number): Expression {
    if (depth > MOST_DEPTH) throw new ExpressionError('is nested too deeply', this.#peek().at);
    const { at } = this.#peek();
    if (this.#take('!')) return { kind: 'not', operand: this.#unary(depth + 1), at };
    return this.#primary(depth);
  }

  #primary(depth: number): Expression {
    const token = this.#peek();
    this.#next++;
    if (token.kind === 'number') return { kind: 'number', value: numberOf(token), at: token.at };
    if (token.text === '(') {
      const inner = this.choice(depth + 1);
      this.#expect(')');
      return inner;
    }
    if (token.kind !== 'name')
      throw new ExpressionError(`expected a name, a number or '(', not '${token.text}'`, token.at);
    if (this.#take('('))
      return { kind: 'call', name: token.text, args: this.#arguments(depth), at: token.at };
    if (!this.#take('[')) return { kind: 'name', name: token.text, at: token.at };
    const index = this.#peek();
    if (index.kind !== 'number') throw new ExpressionError('expected a number in [ ]', index.at);
    this.#next++;
    this.#expect(']');
    return { kind: 'name', name: token.text, index: numberOf(index), at: token.at };
  }

  #arguments(depth: number): readonly Expression[] {
    const args: Expression[] = [];
    if (this.#take(')')) return args;
    do args.push(this.choice(depth + 1));
    while (this.#take(','));
    this.#expect(')');
    return args;
  }

  #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)]!;
  }

  #take(text: string): boolean {
    const token = this.#peek();
    if (token.kind !== 'operator' || token.text !== text) return false;
    this.#next++;
    return true;
  }

  #expect(text: string): void {
    const token = this.#peek();
    if (!this.#take(text)) throw new ExpressionError(`expected '${text}', not '${token.text}'`, token.at);
  }
}

function numberOf(token: Token): number {
  const value = Number(token.text);
  if (!Number.isSafeInteger(value)) throw new ExpressionError(`${token.text} is too large`, token.at);
  return value;
}
