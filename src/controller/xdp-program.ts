import { readdirSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeDeviceConfig } from '../backends/xdp/device-config.ts';
import { emitXdp } from '../backends/xdp/emit.ts';
import { weightEntries } from '../backends/xdp/entries.ts';
import { xdpP4Info } from '../backends/xdp/p4info.ts';
import { planReplacement } from '../backends/xdp/replacement.ts';
import { buildXdp, planOrRefuse } from '../engines/xdp.ts';
import type { Model } from '../model/model.ts';
import { cookieOf, parseP4Info } from '../p4runtime/index.ts';
import { EBPF_DIR } from '../paths.ts';
import { temporaryFolder } from '../temporary.ts';
import { entityOf } from './forwarding.ts';
import type { DeviceProgram, ProgramOptions } from './program.ts';

/** What the generated source includes: as much part of the program as itself. */
const headers = (): string[] =>
  readdirSync(EBPF_DIR)
    .filter((name) => name.endsWith('.h'))
    .sort()
    .map((name) => readFileSync(join(EBPF_DIR, name), 'utf8'));

/** @throws DiagnosticError where the layers do not fit a kernel */
export function xdpProgram(base: Model, options: ProgramOptions): DeviceProgram {
  const plan = planOrRefuse(base, { ...options, weights: 'runtime' });
  const p4info = parseP4Info(Buffer.from(xdpP4Info(plan)));
  const source = emitXdp(plan);
  return {
    kind: 'xdp',
    p4info,
    cookie: cookieOf({ p4info, deviceConfig: Buffer.from([source, ...headers()].join('\0')) }),
    async build() {
      using folder = temporaryFolder();
      const elf = await readFile(await buildXdp(source, folder.path));
      return encodeDeviceConfig(plan, elf);
    },
    weights: (model, slot) => weightEntries(planReplacement(plan, model, 1), slot).map(entityOf),
  };
}
