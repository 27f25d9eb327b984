import { refuse } from '../../diagnostics/index.ts';
import { openEtcd } from './etcd/etcd.ts';
import { openSqlite } from './sqlite.ts';
import type { Store } from './store.ts';

/** @param name `sqlite:FILE`, or `etcd:HOST:PORT,...` @throws DiagnosticError */
export async function openStore(name: string): Promise<Store> {
  const [, kind, rest] = /^([a-z]+):(.+)$/s.exec(name) ?? [];
  if (kind === 'sqlite' && rest !== undefined) return openSqlite(rest);
  if (kind === 'etcd' && rest !== undefined) return openEtcd(rest);
  return refuse('store', {
    store: name,
    reason: 'it is of no known kind',
    remedy: 'name it sqlite:FILE or etcd:HOST:PORT,...',
  });
}
