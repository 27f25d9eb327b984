import { spawnSync } from 'node:child_process';
import type { Attack } from './attack.ts';

/** Attacks that are tests already: each of their cases is one. */
export const suite = (name: string, what: string, files: readonly string[]): Attack => ({
  name,
  what,
  async run() {
    const { stdout } = spawnSync('npx', ['vitest', 'run', '--reporter=json', ...files], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    });
    const report = JSON.parse(stdout.slice(stdout.indexOf('{')));
    const failed = report.testResults
      .flatMap((file: { assertionResults: { status: string; fullName: string }[] }) => file.assertionResults)
      .filter((test: { status: string }) => test.status === 'failed')
      .map((test: { fullName: string }) => test.fullName);
    return {
      figures: { cases: report.numTotalTests, held: report.numPassedTests, skipped: report.numPendingTests },
      faults: [...failed, ...(report.numPassedTests > 0 ? [] : ['no case was run'])],
    };
  },
});
