export type Severity = 'error' | 'warning' | 'note';

export interface Entry<A> {
  readonly severity: Severity;
  readonly message: (args: A) => string;
  readonly remedy?: (args: A) => string;
}

/** Fixes the argument type of an entry while the table keeps its literal keys. */
export const entry = <A = Record<string, never>>(
  severity: Severity,
  message: (args: A) => string,
  remedy?: (args: A) => string,
): Entry<A> => (remedy === undefined ? { severity, message } : { severity, message, remedy });

export const list = (items: readonly string[]): string => items.join(', ');
