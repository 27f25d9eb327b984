import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/reporter.ts'],
    // Compilers, kernels and switches, on two cores that others may use as well.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
  },
});
