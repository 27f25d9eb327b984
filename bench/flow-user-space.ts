/** The program of flows in user space, for benchmarks: bench/flow/user.c. */
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emitXdpFlow } from '../src/backends/xdp/flow/emit.ts';
import type { FeatureDefinition } from '../src/features/index.ts';
import type { Model } from '../src/model/model.ts';
import { EBPF_DIR } from '../src/paths.ts';
import { planFlowOrRefuse } from '../src/targets/xdp/flows.ts';

/** What a run tells of itself; CPU time in ns. */
export interface Ran {
  readonly packets: number;
  readonly cpu: number;
  readonly lost?: number;
  readonly classified?: number;
}

/** Compiles it for this processor, its weights as constants. @param flags of the compiler @returns its path */
export function buildUserSpace(
  definition: FeatureDefinition,
  model: Model,
  folder: string,
  name: string,
  flags: readonly string[] = [],
): string {
  const [source, binary] = [join(folder, `${name}.c`), join(folder, name)];
  writeFileSync(source, emitXdpFlow(planFlowOrRefuse(definition, model, { weights: 'static' })));
  execFileSync(
    'clang',
    [
      ...['-O3', '-march=native', '-Wno-unused', `-DFLOW_SOURCE="${source}"`, ...flags],
      ...['-I', 'bench/flow/user', '-I', EBPF_DIR, '-o', binary, 'bench/flow/user.c'],
    ],
    { stdio: 'inherit' },
  );
  return binary;
}

/** Runs a command to its end, which prints what it did. */
export const ran = (command: string, argv: readonly string[]): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    child.stdout.on('data', (text) => {
      out += text;
    });
    child.on('exit', (code) =>
      code === 0 ? resolve(JSON.parse(out)) : reject(new Error(`${argv.join(' ')}: ${code}`)),
    );
  });
