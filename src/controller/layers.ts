import { packetWarnings } from '../backends/common/packets.ts';
import { type Diagnostic, DiagnosticError, diagnostic } from '../diagnostics/index.ts';
import type { Model } from '../model/model.ts';
import { isVerdict } from '../model/verdict.ts';
import type { DeployedModel, Deployment } from './deployment.ts';
import type { DeviceSpec } from './deployment-schema.ts';
import { deploymentFault } from './faults.ts';
import type { LayerRange, PlannedLayers } from './planned-layers.ts';

/**
 * The layers of a model on each device, in the order of the file, by the file or by the plan; undefined where neither names any, so
 * that it only forwards. Warnings tell of layers that no device
 * computes, and of devices that no packet of this path reaches.
 * @throws DiagnosticError where a range is none of the model, or the plan is another model's
 */
export function deviceLayers(
  deployment: Deployment,
  model: Model,
  deployed: DeployedModel = deployment.models[0]!,
): { readonly ranges: readonly (LayerRange | undefined)[]; readonly warnings: readonly Diagnostic[] } {
  const { file, spec } = deployment;
  const { plan, placement } = deployed;
  const faults: Diagnostic[] = [];
  const names = model.layers.map((l) => l.name);
  if (
    plan !== undefined &&
    (plan.layers.length !== names.length || plan.layers.some((n, i) => n !== names[i]))
  )
    faults.push(
      deploymentFault(
        plan.file,
        ['model', 'layers'],
        `the layers of ${model.file} (${names.join(', ')}), but it was made for ${plan.layers.join(', ')}`,
      ),
    );
  const ranges = spec.devices.map((device) => {
    const placed = placement.get(device.name);
    if (placed === undefined) return undefined;
    const range = placed.layers === undefined ? planned(plan, device) : written(placed.layers, model);
    if (typeof range !== 'string') return range;
    faults.push(deploymentFault(file, [...placed.at, 'layers'], range));
    return undefined;
  });
  for (const [i, device] of spec.devices.entries()) {
    const placed = placement.get(device.name);
    const last = model.layers[(ranges[i]?.to ?? 0) - 1];
    if (placed === undefined || placed.threshold === 0 || isVerdict(last)) continue;
    const what = last === undefined ? 'it has no layers, and so' : `its last layer "${last.name}" is`;
    faults.push(
      deploymentFault(file, [...placed.at, 'threshold'], `0: ${what} no verdict, which alone has a margin`),
    );
  }
  if (faults.length > 0) throw new DiagnosticError(faults);
  const computed = ranges.filter((range) => range !== undefined);
  const packets = packetWarnings(model, computed, spec.mtu);
  return { ranges, warnings: [...warningsOf(deployment, deployed, names, ranges), ...packets] };
}

/** @returns the range, or what was expected instead */
function written(text: string, { layers }: Model): LayerRange | string {
  const [from, to] = text.split('..');
  const range = { from: from === '' ? 0 : Number(from), to: to === '' ? layers.length : Number(to) };
  if (range.from < range.to && range.to <= layers.length) return range;
  return `expected a range of the model's layers, which are 0..${layers.length}, not ${text}`;
}

function planned(plan: PlannedLayers | undefined, device: DeviceSpec): LayerRange | undefined | string {
  const segment = plan?.segments.find((s) => s.node === device.name);
  if (segment === undefined) return undefined;
  if (segment.kind !== device.kind)
    return `${device.name} is of kind ${segment.kind} in the plan, of kind ${device.kind} here`;
  return { from: segment.from, to: segment.to };
}

function warningsOf(
  { file, spec }: Deployment,
  { plan }: DeployedModel,
  names: readonly string[],
  ranges: readonly (LayerRange | undefined)[],
): Diagnostic[] {
  const warnings: Diagnostic[] = [];
  const place = { file };
  const computed = ranges.filter((r) => r !== undefined);
  const left = names.filter((_, layer) => !computed.some((r) => r.from <= layer && layer < r.to));
  if (left.length > 0 && spec.workers.length === 0)
    warnings.push(diagnostic('layers-left', { layers: left.join(', ') }, place));
  // What other nodes of the plan compute brings packets to devices too.
  const all = [...computed, ...(plan?.segments ?? [])];
  const reached = new Set([0]);
  for (let before = 0; before !== reached.size; ) {
    before = reached.size;
    for (const { from, to } of all) if (reached.has(from)) reached.add(to);
  }
  for (const [i, { name }] of spec.devices.entries()) {
    const from = ranges[i]?.from ?? 0;
    if (!reached.has(from)) warnings.push(diagnostic('layers-unreached', { device: name, from }, place));
  }
  return warnings;
}
