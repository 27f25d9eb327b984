import { commentText } from './comment.ts';

/** Lines of a brace language: indentation, blocks and comments. Knows nothing of any language's syntax beyond that. */
export class Printer {
  readonly #lines: string[] = [];
  readonly #unit: string;
  #depth = 0;

  constructor(unit = '    ') {
    this.#unit = unit;
  }

  line(text = ''): this {
    this.#lines.push(text === '' ? '' : `${this.#unit.repeat(this.#depth)}${text}`);
    return this;
  }

  /** Each line of the text on its own, as `// ...`. */
  comment(text: string): this {
    for (const line of text.split('\n')) this.line(`// ${commentText(line)}`.trimEnd());
    return this;
  }

  /** `head {`, the body one level deeper, `}`. */
  block(head: string, body: () => void, close = '}'): this {
    this.line(`${head} {`);
    return this.indent(body).line(close);
  }

  indent(body: () => void): this {
    this.#depth++;
    body();
    this.#depth--;
    return this;
  }

  /** Ends with a newline. */
  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
