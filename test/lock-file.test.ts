import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

interface Lock {
  readonly lockfileVersion: number;
  readonly packages: Readonly<Record<string, { readonly integrity?: string; readonly link?: boolean }>>;
}

it('the lock file has a digest of every package, those of other platforms too', () => {
  const { packages, lockfileVersion }: Lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
  const entries = Object.entries(packages).filter(([path, { link }]) => path !== '' && !link);
  expect([lockfileVersion, entries.length > 50]).toEqual([3, true]);
  const without = entries.filter(
    ([, { integrity }]) => !/^sha512-[A-Za-z0-9+/]{86}==$/.test(integrity ?? ''),
  );
  expect(without.map(([path]) => path)).toEqual([]);
});
