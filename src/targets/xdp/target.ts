import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tableEntry } from '../../backends/common/entries.ts';
import { needDiagnostics } from '../../backends/common/need.ts';
import { describeLayer, OBJECT_FILE, xdpFiles } from '../../backends/xdp/artifact.ts';
import { encodeDeviceConfig } from '../../backends/xdp/device-config.ts';
import { emitXdp, PROGRAM_FILE } from '../../backends/xdp/emit.ts';
import { describeBits } from '../../backends/xdp/emit-bits.ts';
import { weightEntries } from '../../backends/xdp/entries.ts';
import { xdpNeeds } from '../../backends/xdp/needs.ts';
import { programLayout, xdpP4InfoOf } from '../../backends/xdp/p4info.ts';
import { type LayerPlan, planXdp, type XdpOptions, type XdpPlan } from '../../backends/xdp/plan.ts';
import { planReplacement } from '../../backends/xdp/replacement.ts';
import { weightSlots } from '../../backends/xdp/weights.ts';
import type { Model } from '../../model/model.ts';
import { compileBpf } from '../../toolchain/clang.ts';
import {
  defineTarget,
  noOwnOptions,
  type Planned,
  programOrRefuse,
  type Shape,
  type TargetProgram,
} from '../target.ts';
import { besideOthers } from './beside.ts';
import { xdpCost } from './cost.ts';
import { xdpFlows } from './flows.ts';
import { headers } from './headers.ts';
import { xdpProfiles } from './profile.ts';
import { type PlannedShape, xdpTogether } from './together.ts';

/** The kernel's fast path, before a packet has any memory of its own. */
export const xdpTarget = defineTarget({
  name: 'xdp',
  describe: 'eBPF in the kernel of a Linux host',
  compiler: 'clang',
  own: noOwnOptions,
  plan: planned,
  profiles: xdpProfiles,
  cost: xdpCost,
  colour: '#e7f0fb',
  engine: {
    name: 'xdp',
    // The libraries of an engine are loaded only when it is asked for.
    open: async (model, options) =>
      (await import('../../runtime/xdp/engine.ts')).createXdpEngine(model, options),
    bench: async (...args) => (await import('../../runtime/bench.ts')).bench(...args),
  },
  device: {
    keepaliveMs: 10_000,
    together: (shapes) => xdpTogether(shapes.map(plannedShape)),
    flows: xdpFlows,
  },
});

function planned(model: Model, options: XdpOptions): Planned & { readonly plan?: XdpPlan } {
  const { plan, diagnostics } = planXdp(model, options);
  if (plan === undefined) return { program: undefined, diagnostics };
  const program = programOf(plan);
  const refused = needDiagnostics(program.needs, 'xdp', model.file);
  return { program, plan, diagnostics: [...diagnostics, ...refused] };
}

/** @throws DiagnosticError where it does not fit a host alone */
function plannedShape({ model, options }: Shape): PlannedShape {
  const { plan, ...rest } = planned(model, options);
  const program = programOrRefuse(rest);
  if (plan === undefined) throw new Error('a program without a plan');
  return { plan, program, source: sourceOf(plan) };
}

const programOf = (plan: XdpPlan): TargetProgram => ({
  needs: xdpNeeds(plan),
  describeLayer(index) {
    const layer = plan.layers.find((p) => p.index === index);
    return layer && describeLanes(layer);
  },
  layers: plan.layers.map(describeLayer),
  files: () => new Map([...xdpFiles(plan), ...headers()]),
  source: () => [emitXdp(plan), ...headers().map(([, text]) => text)],
  async build(folder) {
    await compileBpf(join(folder, PROGRAM_FILE), join(folder, OBJECT_FILE), { includeDirs: [folder] });
    return [OBJECT_FILE];
  },
  async deviceConfig(folder) {
    const elf = await readFile(join(folder, OBJECT_FILE));
    return encodeDeviceConfig([{ index: 0, source: sourceOf(plan), manifest: plan, elf }]);
  },
  p4info: () => xdpP4InfoOf([programLayout(plan)]),
  replacement: (model, slot) =>
    weightEntries(planReplacement(plan, model, plan.options.modelVersion), slot).map((entry) => ({
      tableEntry: tableEntry(entry),
    })),
  slots: weightSlots(plan),
  beside: (running, inUse) => besideOthers({ plan, source: sourceOf(plan) }, running, inUse),
});

/** What tells programs apart before they are compiled. */
const sourceOf = (plan: XdpPlan): string =>
  createHash('sha256')
    .update([emitXdp(plan), ...headers().map(([, text]) => text)].join('\0'))
    .digest('hex');

function describeLanes(p: LayerPlan): string {
  if (p.kind === 'elementwise') return 'element by element';
  if (p.bits !== undefined) return describeBits(p.bits);
  if (p.lanes === undefined) return 'one multiply a weight';
  return `${p.lanes.lanes} lanes of ${p.lanes.laneBits} bits, ${p.lanes.words} words`;
}
