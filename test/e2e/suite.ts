import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { probeAll } from '../../src/bpf/index.ts';
import { findTool } from '../../src/toolchain/find-tool.ts';
import { P4C, SWITCH } from '../../src/toolchain/p4c.ts';
import { loading } from '../support/machine.ts';
import { PYTHON, SCRIPT, type SwitchKind, Testbed, type Topology } from './testbed.ts';

interface Check {
  readonly problems: readonly string[];
}

function check(): Check {
  try {
    return JSON.parse(
      execFileSync(PYTHON, ['-B', SCRIPT, 'check'], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    ) as Check;
  } catch (error) {
    const { stdout } = error as { stdout?: string };
    if (stdout) return JSON.parse(stdout) as Check;
    return { problems: [error instanceof Error ? error.message : String(error)] };
  }
}

const machine = check();
/** Models come to a switch by way of the compiler. */
const missingForBmv2 = [P4C, SWITCH].filter((tool) => findTool(tool) === undefined).join(' and ');
export const hasBmv2 = missingForBmv2 === '';

const lackForXdp = (await probeAll()).find(
  ({ feature, answer }) => loading.includes(feature) && answer !== 'supported',
);

/** What keeps this machine from having a testbed with such switches, if anything. */
function missing(kinds: readonly SwitchKind[]): string | undefined {
  if (machine.problems.length > 0) return machine.problems[0];
  if (kinds.includes('bmv2') && !hasBmv2) return `not on the PATH: ${missingForBmv2}`;
  if (!kinds.includes('xdp') || lackForXdp === undefined) return undefined;
  return `${lackForXdp.feature} is ${lackForXdp.answer}: ${lackForXdp.reason}`;
}

/** Tests that make testbeds of their own; skipped aloud, with the reason, where the machine cannot have any. */
export function describeMachine(title: string, body: () => void, kinds: readonly SwitchKind[] = []): void {
  const lack = missing(kinds);
  const reason = lack === undefined ? '' : ` [SKIPPED: ${lack}]`;
  if (lack !== undefined) console.warn(title + reason);
  describe.skipIf(lack !== undefined)(title + reason, body);
}

/** Tests over one testbed. The logs of its switches are shown where one fails. */
export function describeTestbed(
  title: string,
  topology: Topology,
  kinds: readonly SwitchKind[],
  body: (testbed: () => Testbed) => void,
): void {
  const whole = `${title}: ${topology} of ${kinds.join(', ')}`;
  describeMachine(
    whole,
    () => {
      let testbed: Testbed | undefined;
      beforeAll(async () => {
        testbed = await Testbed.open(topology, kinds);
        await testbed.allReady();
      });
      afterEach(({ task }) => {
        if (task.result?.state === 'fail') console.error(`${whole}, ${task.name}:\n${testbed?.tails()}`);
      });
      afterAll(() => testbed?.close());
      body(() => testbed!);
    },
    kinds,
  );
}
