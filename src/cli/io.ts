import type { Diagnostic } from '../diagnostics/index.ts';
import { formatDiagnostic, printable, printableJson, printableLines } from '../diagnostics/index.ts';

/** What a command may touch of the world around it, so that tests run it without a process. */
export interface Io {
  /** Results. With `--json` one document and nothing else. */
  readonly out: (text: string) => void;
  /** Messages and progress. */
  readonly err: (text: string) => void;
  /** Whether `err` is a terminal, on which a line may be written over. */
  readonly interactive: boolean;
  /** On such a terminal: writes over the line that it is on. */
  readonly overwrite?: (line: string) => void;
}

/** The streams of this process. */
export const processIo = (): Io => ({
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  interactive: process.stderr.isTTY === true,
  overwrite: (line) => process.stderr.write(`\r${line}\x1b[K`),
});

/**
 * The same, but for what a terminal would act on: names out of files and packets, and what peers say, are only shown. Whatever
 * a command prints goes by here, so none of them can forget it; documents of JSON have been escaped before.
 */
export const printableIo = ({ out, err, interactive, overwrite }: Io): Io => ({
  out: (text) => out(printableLines(text)),
  err: (text) => err(printableLines(text)),
  interactive: interactive && overwrite !== undefined,
  ...(overwrite && { overwrite: (line: string) => overwrite(printable(line)) }),
});

/** To standard output. */
export const printLine = (io: Io, line: string): void => io.out(`${line}\n`);

/** Indented by two, for `--json`; characters that a terminal would obey are escaped. */
export const printJson = (io: Io, value: unknown): void =>
  io.out(`${printableJson(JSON.stringify(value, undefined, 2))}\n`);

/** One document a line, for commands that tell of events. Numbers wider than those of JSON become strings. */
export const printJsonLine = (io: Io, value: unknown): void =>
  printLine(io, printableJson(JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}` : v))));

/** Warnings and notes of an import or a plan. Notes of one kind are told once, of the first layer; `--json` has each. */
export function printDiagnostics(io: Io, diagnostics: readonly Diagnostic[]): void {
  const kindOf = (d: Diagnostic) => (d.severity === 'note' ? `${d.code} ${d.place.file}` : d);
  const kinds = new Map<unknown, Diagnostic[]>();
  for (const d of diagnostics) {
    const alike = kinds.get(kindOf(d));
    if (alike === undefined) kinds.set(kindOf(d), [d]);
    else alike.push(d);
  }
  for (const [first, ...others] of kinds.values())
    if (first !== undefined) io.err(`${formatDiagnostic(withOthers(first, others))}\n`);
}

const NAMED_LAYERS = 4;

function withOthers(first: Diagnostic, others: readonly Diagnostic[]): Diagnostic {
  if (others.length === 0) return first;
  const layers = [...new Set(others.flatMap((d) => d.place.layer ?? []))];
  const named = layers.slice(0, NAMED_LAYERS).map((layer) => `"${layer}"`);
  const more = others.length - named.length;
  const rest = more > 0 ? [`${more} more`] : [];
  return { ...first, message: `${first.message}; likewise ${[...named, ...rest].join(', ')}` };
}

/** A line on the screen that says how far work has come; nothing where nobody looks. */
export interface Progress {
  /** Says how much is done; at most ten times a second reaches the screen. */
  update(done: number): void;
  end(): void;
}

/** `label: done/total` on a terminal; elsewhere only the end of it, so that logs stay short. */
export function progress(io: Io, label: string, total: number): Progress {
  let shown = 0;
  let last = 0;
  const line = (done: number) => `${label}: ${done}/${total}`;
  return {
    update(done) {
      last = done;
      const now = Date.now();
      if (!io.interactive || now - shown < 100) return;
      shown = now;
      io.overwrite?.(line(done));
    },
    end() {
      if (io.interactive) io.overwrite?.(line(last));
      io.err(io.interactive ? '\n' : `${line(last)}\n`);
    },
  };
}

/** Columns as wide as their widest cell, two blanks between; numbers to the right. Cells are one line each. */
export function table(given: readonly (readonly (string | number)[])[]): string {
  const rows = given.map((row) => row.map((cell) => (typeof cell === 'string' ? printable(cell) : cell)));
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, String(cell).length);
    });
  const text = rows.map((row) =>
    row
      .map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i]!) : cell.padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  );
  return `${text.join('\n')}\n`;
}
