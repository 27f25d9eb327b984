import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAMS } from '../../dataplane/abi.ts';
import { type Diagnostic, diagnostic } from '../../diagnostics/index.ts';
import { writeProgram } from '../build.ts';
import { type Planned, programOrRefuse, type Shape, type TargetProgram, type Together } from '../target.ts';
import { type OwnProgram, type Placed, placePrograms } from './beside.ts';

/** A program of one shape, and what it was planned to be. */
export type PlannedShape = OwnProgram & { readonly program: TargetProgram };

/**
 * A program a shape behind the dispatcher of one host.
 * @param planOf plans one shape
 * @returns what forbids it, else all of them together
 * @throws DiagnosticError where a shape does not fit alone
 */
export function xdpTogether(
  shapes: readonly Shape[],
  planOf: (shape: Shape) => Planned & { readonly own?: OwnProgram },
): Together | readonly Diagnostic[] {
  const own: PlannedShape[] = [];
  for (const shape of shapes) {
    const planned = planOf(shape);
    const program = programOrRefuse(planned);
    if (planned.own === undefined) throw new Error('a program without a plan');
    own.push({ ...planned.own, program });
  }
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
