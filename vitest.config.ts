import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';

/** Paths of many devices under steady traffic, where a loss is a failure: run one by one, when all else is done. */
const ALONE = ['test/e2e/**/*.test.ts', 'test/controller/{hitless,split-worker}.test.ts'];

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    globalSetup: './test/global-setup.ts',
    // Compilers, kernels and switches, on two cores that others may use as well.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // p4c takes seconds a program, and tests of many files want the same ones.
    env: { INTRANSIT_P4C_CACHE: join(import.meta.dirname, 'node_modules/.cache/intransit-p4c') },
    pool: 'forks',
    poolOptions: { forks: { minForks: 1, maxForks: Math.min(4, availableParallelism()) } },
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...ALONE],
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
          poolOptions: { forks: { singleFork: true } },
        },
      },
    ],
  },
});
