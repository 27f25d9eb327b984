/** Widest help text; a wider terminal gains nothing. */
const MOST_COLUMNS = 100;

/** Where nobody knows how wide it is. */
const USUAL_COLUMNS = 80;

/** Names, and two spaces or more before what they mean. */
const NAMES = /^\s*\S+(?: \S+)*\s{2,}(?=\S)/;

/** A word, or what stands in brackets: the type of an option, its default. */
const WORDS = /\[[^\][]*\]|\S+/g;

/**
 * Help as the parser writes it, a line an option, in lines of a terminal: they end between words, and what goes on stands below what it
 * goes on from. The parser's own way of wrapping ends in the middle of words.
 * @param columns of the terminal; undefined where it is none
 */
export const wrapHelp = (text: string, columns: number | undefined): string =>
  text
    .split('\n')
    .flatMap((line) => wrapLine(line, Math.min(MOST_COLUMNS, columns ?? USUAL_COLUMNS)))
    .join('\n');

function wrapLine(line: string, columns: number): readonly string[] {
  if (line.length <= columns) return [line];
  const names = NAMES.exec(line)?.[0] ?? '';
  const indent = Math.min(names.length, Math.floor(columns / 2));
  const room = columns - indent;
  const found = line.slice(names.length).match(WORDS) ?? [];
  const words = found.flatMap((word) => (word.length > room ? word.split(' ') : [word]));
  const lines: string[] = [];
  let now = names.length > indent ? `${names.trimEnd()}\n${' '.repeat(indent)}` : names;
  let used = indent;
  for (const word of words) {
    const gap = used > indent ? 1 : 0;
    if (used + gap + word.length > columns && gap > 0) {
      lines.push(now);
      now = ' '.repeat(indent) + word;
      used = indent + word.length;
    } else {
      now += (gap > 0 ? ' ' : '') + word;
      used += gap + word.length;
    }
  }
  return [...lines, now];
}
