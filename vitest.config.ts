import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configDefaults, defineConfig } from 'vitest/config';
import LongestFirst from './test/sequencer.ts';

/** Paths of many devices under steady traffic, where a loss is a failure: they mostly wait, and run when all else is done. */
const LAST = [
  'test/e2e/{early-exit,failure,inference,teardown}.test.ts',
  'test/controller/{hitless,split-worker}.test.ts',
];

/** Files that put other modules in the place of ours: vitest begins new processes for another project. */
const MOCKED = ['test/cli/mismatch.test.ts'];

/**
 * Files that share threads and the modules that they load: nothing is loaded into the kernel, listens, is mocked or set for a process
 * there.
 */
const SHARED = [
  'test/{dataplane,diagnostics,features,model,passes,planner,quantise,reference,rows,scripts,wire}/**/*.test.ts',
  // That one counts the processor time of its process.
  'test/import/**/!(sizes).test.ts',
  'test/backends/{common,tna}/**/*.test.ts',
  'test/backends/v1model/{expression,lanes,refusals}.test.ts',
  'test/cli/{features,flow-refusals,help-text,numbers,odd-arguments,odd-names}.test.ts',
  'test/controller/core.test.ts',
  'test/daemon/manifests.test.ts',
  'test/p4runtime/{addresses,codec,decode,names,suggestions,text-format,text-print,types}.test.ts',
];

const CORES = availableParallelism();
const THREADS = Math.min(4, CORES);
/** One more than there are cores: a third of the time of these files is waiting, for devices, deadlines and leases. */
const FORKS = Math.min(4, CORES + 1);

export default defineConfig({
  test: {
    reporters: ['default', './test/reporter.ts'],
    globalSetup: './test/global-setup.ts',
    setupFiles: './test/setup.ts',
    sequence: { sequencer: LongestFirst },
    // Compilers, kernels and switches, on two cores that others may use as well.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Compilers take half a second to half a minute a program, and tests of many files want the same ones.
    env: { INTRANSIT_COMPILE_CACHE: join(import.meta.dirname, 'node_modules/.cache/intransit-compiled') },
    pool: 'forks',
    poolOptions: {
      // Processes of many files: to load all modules anew took more than most files take. As many at least as at most, because
      // vitest 3.2 ends a process that is idle twice where more are left than the least, and fails of it.
      forks: { minForks: FORKS, maxForks: FORKS, isolate: false },
      threads: { minThreads: THREADS, maxThreads: THREADS, isolate: false },
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'in shared threads',
          include: SHARED,
          // Modules are loaded and compiled once a thread, not once a file.
          pool: 'threads',
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'with modules of their own',
          include: MOCKED,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...SHARED, ...MOCKED, ...LAST],
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          name: 'last',
          include: LAST,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
