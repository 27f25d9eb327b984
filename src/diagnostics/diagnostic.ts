import { printable } from './printable.ts';
import { type DiagnosticArgs, type DiagnosticCode, diagnosticTable, type Severity } from './table.ts';

/** Where in the user's input: a file, then the layer or node, then the tensor; whatever is known. */
export interface Place {
  readonly file?: string;
  readonly layer?: string;
  readonly tensor?: string;
}

/** A message of the table, about a place in the user's input, with what would help. */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  readonly severity: Severity;
  readonly message: string;
  readonly remedy?: string;
  readonly place: Place;
  /** The whole output of the tool that failed; shown on demand. */
  readonly log?: string;
}

/**
 * Fills in the table's message and remedy; control characters of its arguments are made visible. @param log the whole text of a
 * tool that the message sums up
 */
export function diagnostic<C extends DiagnosticCode>(
  code: C,
  args: DiagnosticArgs<C>,
  place: Place = {},
  log?: string,
): Diagnostic {
  // The table pairs each code with its own argument type; that pairing is lost on indexing by a union.
  const { severity, message, remedy } = diagnosticTable[code] as {
    severity: Severity;
    message: (a: DiagnosticArgs<C>) => string;
    remedy?: (a: DiagnosticArgs<C>) => string;
  };
  const shown = printableArgs(args);
  return {
    code,
    severity,
    message: message(shown),
    ...(remedy && { remedy: remedy(shown) }),
    place,
    ...(log !== undefined && { log }),
  };
}

/** Names and reasons come from files and peers: none of them may end a line or reach the terminal's own language. */
const printableArgs = <A extends object>(args: A): A =>
  // Each value keeps its type: strings stay strings, and lists of them lists.
  Object.fromEntries(Object.entries(args).map(([name, value]) => [name, printableValue(value)])) as A;

function printableValue(value: unknown): unknown {
  if (typeof value === 'string') return printable(value);
  return Array.isArray(value) ? value.map(printableValue) : value;
}

/** Thrown where work cannot go on: carries what the user is to read, never a stack to show. */
export class DiagnosticError extends Error {
  override readonly name = 'DiagnosticError';
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics.map(formatDiagnostic).join('\n'));
    this.diagnostics = diagnostics;
  }
}

/** Throws one diagnostic; for the many places where the first fault is the only one that can be told. */
export function refuse<C extends DiagnosticCode>(
  code: C,
  args: DiagnosticArgs<C>,
  place: Place = {},
  log?: string,
): never {
  throw new DiagnosticError([diagnostic(code, args, place, log)]);
}

/** Does work whose faults are collected and gone past, so that others are found too: undefined where there was one. */
export const reportingTo =
  (diagnostics: Diagnostic[]) =>
  <T>(work: () => T): T | undefined => {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      diagnostics.push(...error.diagnostics);
      return undefined;
    }
  };

/** What is thrown without a place is of this one: work that many do does not know where it is done. */
export function placed<T>(place: Place, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DiagnosticError) || error.diagnostics.every((d) => d.place.file !== undefined))
      throw error;
    throw new DiagnosticError(
      error.diagnostics.map((d) =>
        d.place.file === undefined ? { ...d, place: { ...place, ...d.place } } : d,
      ),
    );
  }
}

/** Throws all errors among the diagnostics; warnings and notes alone let the work go on. */
export function throwErrors(diagnostics: readonly Diagnostic[]): void {
  const errors = diagnostics.filter((d) => d.severity === 'error');
  if (errors.length > 0) throw new DiagnosticError(errors);
}

/** What was made, or what forbids it. @throws DiagnosticError */
export function madeOrRefuse<T>(made: T | undefined, diagnostics: readonly Diagnostic[]): T {
  throwErrors(diagnostics);
  if (made === undefined) throw new Error('a refusal without a diagnostic');
  return made;
}

/** `file: layer "fc1": message [code]`, then the remedy on a line of its own. */
export function formatDiagnostic(d: Diagnostic): string {
  const where = [
    d.place.file,
    d.place.layer === undefined ? undefined : `layer "${d.place.layer}"`,
    d.place.tensor === undefined ? undefined : `tensor "${d.place.tensor}"`,
  ]
    .filter((part) => part !== undefined)
    .map(printable);
  const head = [...where, `${d.severity === 'error' ? '' : `${d.severity}: `}${d.message} [${d.code}]`].join(
    ': ',
  );
  return d.remedy === undefined ? head : `${head}\n  help: ${d.remedy}`;
}
