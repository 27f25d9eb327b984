import { refuse } from '../../diagnostics/index.ts';
import { openSqlite } from './sqlite.ts';
import type { Store } from './store.ts';

/** @param name `sqlite:FILE` @throws DiagnosticError */
export async function openStore(name: string): Promise<Store> {
  const [, kind, rest] = /^([a-z]+):(.+)$/s.exec(name) ?? [];
  if (kind === 'sqlite' && rest !== undefined) return openSqlite(rest);
  return refuse('store', { store: name, reason: 'it is of no known kind', remedy: 'name it sqlite:FILE' });
}
