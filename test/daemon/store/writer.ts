/** Commits pairs for ever, and prints the number of each when it is acknowledged: `writer.ts FILE`. */
import { openSqlite } from '../../../src/daemon/store/index.ts';

const store = openSqlite(process.argv[2]!);
let n = ((await store.get('A', 'a'))?.value as number | undefined) ?? 0;
for (;;) {
  n++;
  await store.commit({
    changes: ['a', 'b'].map((name) => ({
      op: 'put' as const,
      kind: 'A',
      name,
      value: n,
      expect: 'any' as const,
    })),
    events: [
      {
        actor: 'writer',
        type: 'Normal',
        reason: 'Counted',
        message: `${n}`,
        object: { kind: 'A', name: 'a' },
      },
    ],
  });
  process.stdout.write(`${n}\n`);
  // The pipe takes it before the next one is begun.
  await new Promise((resolve) => setImmediate(resolve));
}
