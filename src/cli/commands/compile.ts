import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { packetWarnings } from '../../backends/common/packets.ts';
import { JSON_FILE, v1modelFiles } from '../../backends/v1model/artifact.ts';
import { PROGRAM_FILE as P4_PROGRAM_FILE } from '../../backends/v1model/emit.ts';
import { planV1model } from '../../backends/v1model/plan.ts';
import { OBJECT_FILE, xdpFiles } from '../../backends/xdp/artifact.ts';
import { PROGRAM_FILE } from '../../backends/xdp/emit.ts';
import { compileBpf } from '../../bpf/index.ts';
import { throwErrors } from '../../diagnostics/index.ts';
import { compileP4Program } from '../../engines/bmv2-tools.ts';
import { planOrRefuse } from '../../engines/xdp.ts';
import type { Model } from '../../model/model.ts';
import { EBPF_DIR } from '../../paths.ts';
import { writeDirectory, writeFiles } from '../directory.ts';
import { type Io, printDiagnostics, printJson, printLine } from '../io.ts';
import {
  defineCommand,
  importArgument,
  jsonOption,
  type ModelArguments,
  modelArgument,
  type ProgramArguments,
  programOf,
  programOptions,
} from '../options.ts';

interface Arguments extends ProgramArguments, ModelArguments {
  readonly output: string;
  readonly target: 'xdp' | 'v1model';
  readonly build: boolean;
  readonly json: boolean;
}

/** `compile MODEL -o DIR --target T` */
export const compileCommand = (io: Io) =>
  defineCommand<Arguments>({
    command: 'compile <model>',
    describe: 'Write the program, P4Info, manifest and weights of a model',
    builder: (y) =>
      jsonOption(programOptions(modelArgument(y)))
        .option('output', {
          alias: 'o',
          type: 'string',
          demandOption: true,
          describe: 'Directory to write',
          requiresArg: true,
        })
        .option('target', {
          choices: ['xdp', 'v1model'] as const,
          demandOption: true,
          describe: 'What the program runs on',
        })
        .option('build', {
          type: 'boolean',
          default: true,
          describe: 'Also compile the program (xdp: clang); --no-build leaves it out',
        }),
    async handler(a) {
      const { model, diagnostics } = await importArgument(a);
      printDiagnostics(io, diagnostics);
      const files = a.target === 'xdp' ? await compileXdp(model, a) : await compileV1model(model, a);
      const program = programOf(model, a);
      printDiagnostics(io, packetWarnings(model, [program], program.mtu));
      if (a.json) printJson(io, { output: a.output, files });
      else printLine(io, `${a.output}: ${files.join(', ')}`);
    },
  });

async function compileXdp(model: Model, a: Arguments): Promise<string[]> {
  const plan = planOrRefuse(model, programOf(model, a));
  const files = xdpFiles(plan);
  const names = [...files.keys()];
  await writeDirectory(a.output, async (folder) => {
    writeFiles(folder, files);
    // With its headers beside it the program builds anywhere.
    for (const header of ['intransit_wire.h', 'intransit_lanes.h', 'intransit_xdp.h']) {
      cpSync(join(EBPF_DIR, header), join(folder, header));
      names.push(header);
    }
    if (!a.build) return;
    await compileBpf(join(folder, PROGRAM_FILE), join(folder, OBJECT_FILE), { includeDirs: [folder] });
    names.push(OBJECT_FILE);
  });
  return names.sort();
}

async function compileV1model(model: Model, a: Arguments): Promise<string[]> {
  const { plan, diagnostics } = planV1model(model, programOf(model, a));
  throwErrors(diagnostics);
  const files = v1modelFiles(plan!);
  const names = [...files.keys()];
  await writeDirectory(a.output, async (folder) => {
    writeFiles(folder, files);
    if (!a.build) return;
    await compileP4Program(join(folder, P4_PROGRAM_FILE), join(folder, JSON_FILE), model.file);
    names.push(JSON_FILE);
  });
  return names.sort();
}
