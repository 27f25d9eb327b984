export type Severity = 'error' | 'warning' | 'note';

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

export const list = (items: readonly string[]): string => items.join(', ');
