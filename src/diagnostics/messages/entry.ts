/** An error ends the work; warnings and notes are told beside its result, a note where nothing need be done. */
export type Severity = 'error' | 'warning' | 'note';

/** One diagnostic of the table: message and remedy are sentences without a full stop, filled in with typed arguments. */
export interface Entry<A> {
  readonly severity: Severity;
  readonly message: (args: A) => string;
  readonly remedy?: (args: A) => string;
}

/** Fixes the argument type of an entry while the table keeps its literal keys. Whoever is refused is told what to do. */
export function entry<A = Record<string, never>>(
  ...given: [severity: 'error', message: (args: A) => string, remedy: (args: A) => string]
): Entry<A>;
export function entry<A = Record<string, never>>(
  ...given: [severity: 'warning' | 'note', message: (args: A) => string, remedy?: (args: A) => string]
): Entry<A>;
export function entry<A>(
  severity: Severity,
  message: (args: A) => string,
  remedy?: (args: A) => string,
): Entry<A> {
  return remedy === undefined ? { severity, message } : { severity, message, remedy };
}

/** Items of a message, in their order. */
export const list = (items: readonly string[]): string => items.join(', ');
