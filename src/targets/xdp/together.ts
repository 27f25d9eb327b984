import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS } from '../../dataplane/abi.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { writeProgram } from '../build.ts';
import type { TargetProgram, Together } from '../target.ts';
import { type OwnProgram, type Placed, placePrograms } from './beside.ts';

/** A shape's program, and what it was planned to be. */
export type PlannedShape = OwnProgram & { readonly program: TargetProgram };

/** A program a shape behind the dispatcher of one host. @returns what forbids it, else all of them together */
export function xdpTogether(own: readonly PlannedShape[]): Together | readonly Diagnostic[] {
  if (own.length > PROGRAMS) {
    const help = 'put some of the models on another device';
    const need = { resource: 'one host', need: own.length, limit: PROGRAMS, unit: 'programs', help };
    return [diagnostic('resource-exceeded', { ...need, target: 'xdp' })];
  }
  return togetherOf(own, placePrograms(own, undefined, () => false)!);
}

function togetherOf(own: readonly PlannedShape[], placed: Placed): Together {
  return {
    parts: own.map(({ program }, i) => ({ slots: placed.slots[i]!, replacement: program.replacement })),
    p4info: placed.p4info,
    source: placed.source,
    async build(folder) {
      const configs: Uint8Array[] = [];
      for (const [i, { program }] of own.entries()) {
        const each = join(folder, `${i}`);
        mkdirSync(each);
        await writeProgram(program, each);
        configs.push(await program.deviceConfig(each));
      }
      return placed.deviceConfig(configs);
    },
    beside(running, inUse) {
      const there = placePrograms(own, running, inUse);
      return there && { ...togetherOf(own, there), runs: there.runs };
    },
  };
}
