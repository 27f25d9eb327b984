/**
 * `npx tsx scripts/code-shape.ts`: ends with 1 where a function of src/ is longer than 60 lines and gives no reason for it (a comment
 * that begins with `Long:`, before it or at the beginning of its body), and where an export has no docstring.
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { sourcesBelow } from './import-cycles.ts';

const MOST_LINES = 60;

/** What is wrong with the shape of a file; each begins with its place, `file:line`. */
export interface CodeShape {
  /** Functions that are too long without a reason, with their lines. */
  readonly long: readonly string[];
  /** Exports without a docstring of their own: one that a blank line parts from them is of the file, or of a group. */
  readonly bare: readonly string[];
}

export function shapeOf(file: string, text: string): CodeShape {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const lineOf = (at: number): number => source.getLineAndCharacterOfPosition(at).line + 1;
  const placeOf = (node: ts.Node): string => `${file}:${lineOf(node.getStart(source))}`;
  const commentsAt = (at: number): readonly string[] =>
    (ts.getLeadingCommentRanges(text, at) ?? []).map(({ pos, end }) => text.slice(pos, end));
  const long: string[] = [];
  const visit = (node: ts.Node, reasons: readonly string[]): void => {
    const before = ts.isStatement(node) || ts.isClassElement(node) ? commentsAt(node.getFullStart()) : [];
    const known = [...reasons, ...before];
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const lines = lineOf(node.end) - lineOf(node.getStart(source)) + 1;
      const given = [...known, ...commentsAt(node.body.getStart(source) + 1)];
      if (lines > MOST_LINES && !given.some(isReason)) long.push(`${placeOf(node)} has ${lines} lines`);
    }
    // A reason holds for what stands inside of what it was given for, too.
    ts.forEachChild(node, (child) => visit(child, known.filter(isReason)));
  };
  visit(source, []);
  const isOverload = (s: ts.Statement, i: number): boolean =>
    ts.isFunctionDeclaration(s) && nameOf(source.statements[i - 1]) === s.name?.text;
  const hasDocstring = (s: ts.Statement): boolean =>
    (ts.getLeadingCommentRanges(text, s.getFullStart()) ?? []).some(
      ({ pos, end }) => text.startsWith('/**', pos) && !/\n\s*\n/.test(text.slice(end, s.getStart(source))),
    );
  const bare = source.statements
    // The first signature of a function speaks for all.
    .filter((s, i) => !isOverload(s, i))
    .filter((s) => ts.canHaveModifiers(s) && ts.getModifiers(s)?.some(isExport) === true)
    .filter((s) => !hasDocstring(s))
    .map(placeOf);
  return { long, bare };
}

const nameOf = (s: ts.Statement | undefined): string | undefined =>
  s !== undefined && ts.isFunctionDeclaration(s) ? s.name?.text : undefined;

const isReason = (comment: string): boolean =>
  /^\/[/*]+\s*Long: \S/.test(comment) || /^\s*\*\s*Long: \S/m.test(comment);

const isExport = ({ kind }: ts.Modifier): boolean => kind === ts.SyntaxKind.ExportKeyword;

if (process.argv[1] === import.meta.filename) {
  const root = join(import.meta.dirname, '..');
  const shapes = sourcesBelow(join(root, 'src')).map((file) =>
    shapeOf(relative(root, file), readFileSync(file, 'utf8')),
  );
  const long = shapes.flatMap((s) => s.long);
  const bare = shapes.flatMap((s) => s.bare);
  for (const place of long) console.error(`${place}: take it apart, or say why not in a comment "Long: ..."`);
  for (const place of bare)
    console.error(`${place}: an export without a docstring: say what its name does not`);
  process.exit(long.length + bare.length > 0 ? 1 : 0);
}
