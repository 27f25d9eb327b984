import { type Need, needDiagnostics } from '../../backends/common/need.ts';
import { packetWarnings } from '../../backends/common/packets.ts';
import { planV1model } from '../../backends/v1model/plan.ts';
import { describeLayer } from '../../backends/xdp/artifact.ts';
import { xdpNeeds } from '../../backends/xdp/needs.ts';
import { type LayerPlan, planXdp } from '../../backends/xdp/plan.ts';
import { type Diagnostic, throwErrors } from '../../diagnostics/index.ts';
import { writeWhole } from '../../files.ts';
import type { Model } from '../../model/model.ts';
import { inputType, macs } from '../../model/model.ts';
import { formatTensorType } from '../../model/tensor.ts';
import { inspectionSvg } from '../inspect-svg.ts';
import { type Io, printDiagnostics, printJson, table } from '../io.ts';
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
  readonly target: 'xdp' | 'v1model';
  readonly json: boolean;
  readonly svg?: string | undefined;
}

/** What one target makes of a model. */
interface Inspection {
  readonly target: string;
  readonly needs: readonly Need[];
  readonly plan: readonly object[];
  /** How each layer is computed, in a few words. */
  readonly how: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/** `inspect MODEL [--target T] [--json]` */
export const inspectCommand = (io: Io) =>
  defineCommand<Arguments>({
    command: 'inspect <model>',
    describe: 'Show layers, lanes, and need beside limit, before anything is built',
    builder: (y) =>
      jsonOption(programOptions(modelArgument(y)))
        .option('target', {
          choices: ['xdp', 'v1model'] as const,
          default: 'xdp' as const,
          describe: 'What the program would run on',
        })
        .option('svg', { type: 'string', describe: 'Draw it to this file', requiresArg: true }),
    async handler(a) {
      const { model, diagnostics, rounding } = await importArgument(a);
      const inspection = a.target === 'xdp' ? inspectXdp(model, a) : inspectV1model(model, a);
      const program = programOf(model, a);
      const packets = inspection.needs.length > 0 ? packetWarnings(model, [program], program.mtu) : [];
      const all = [...diagnostics, ...inspection.diagnostics, ...packets];
      if (a.json) {
        const { how: _, ...document } = inspection;
        printJson(io, {
          model: model.name,
          layers: model.layers.map((l) => layerSummary(model, l)),
          ...document,
          ...(rounding && { rounding: { ...rounding, runtime: runtimeOf[rounding.kind] } }),
          diagnostics: all,
        });
      } else {
        printDiagnostics(
          io,
          all.filter((d) => d.severity !== 'error'),
        );
        if (rounding)
          io.out(`rounding: ${rounding.kind}, of ${runtimeOf[rounding.kind]}, ${rounding.because}\n\n`);
        io.out(layerTable(model, inspection.how));
        io.out(`\n${needTable(inspection.needs)}`);
      }
      if (a.svg !== undefined) {
        const bars = inspection.needs.map((n) => ({
          label: `${n.layer ?? 'program'}: ${n.resource}`,
          need: n.need,
          limit: n.limit,
          unit: n.unit,
        }));
        writeWhole(a.svg, Buffer.from(inspectionSvg(model, a.target, inspection.how, bars)));
      }
      throwErrors(all);
    },
  });

/** Whose kernels round so. */
const runtimeOf = {
  double: 'TFLite Micro and TensorFlow before 2.20',
  single: 'TensorFlow from 2.20 on',
} as const;

function inspectXdp(model: Model, a: Arguments): Inspection {
  const { plan, diagnostics } = planXdp(model, programOf(model, a));
  if (plan === undefined) return { target: 'xdp', needs: [], plan: [], how: [], diagnostics };
  const needs = xdpNeeds(plan);
  const how = model.layers.map((_, i) => {
    const p = plan.layers.find((layer) => layer.index === i);
    return p === undefined ? 'left to another node' : describeLanes(p);
  });
  return {
    target: 'xdp',
    needs,
    plan: plan.layers.map(describeLayer),
    how,
    diagnostics: [...diagnostics, ...needDiagnostics(needs, 'xdp', model.file)],
  };
}

function inspectV1model(model: Model, a: Arguments): Inspection {
  const { plan, diagnostics } = planV1model(model, programOf(model, a));
  if (plan === undefined) return { target: 'v1model', needs: [], plan: [], how: [], diagnostics };
  const how = model.layers.map((_, i) => {
    const layout = plan.lowered.layouts.find((l) => l.layer === i);
    if (layout === undefined)
      return i < plan.options.from || i >= plan.options.to ? 'left to another node' : 'lane by lane';
    return `${layout.products} multiply-adds`;
  });
  return { target: 'v1model', needs: plan.needs, plan: plan.lowered.layouts, how, diagnostics };
}

function describeLanes(p: LayerPlan): string {
  if (p.kind === 'elementwise') return 'element by element';
  if (p.lanes === undefined) return 'one multiply a weight';
  return `${p.lanes.lanes} lanes of ${p.lanes.laneBits} bits, ${p.lanes.words} words`;
}

const layerSummary = (model: Model, layer: Model['layers'][number]) => ({
  name: layer.name,
  kind: layer.kind,
  input: inputType(model, layer),
  output: layer.output,
  macs: macs(model, layer),
});

const layerTable = (model: Model, how: readonly string[]): string =>
  table([
    ['layer', 'name', 'kind', 'input', 'output', 'macs', 'computed in'],
    ...model.layers.map((layer, i) => [
      i,
      layer.name,
      layer.kind,
      formatTensorType(inputType(model, layer)),
      formatTensorType(layer.output),
      macs(model, layer),
      how[i] ?? '',
    ]),
  ]);

const needTable = (needs: readonly Need[]): string =>
  table([
    ['layer', 'resource', 'need', 'limit', 'unit', ''],
    ...needs.map((n) => [
      n.layer ?? 'program',
      n.resource,
      n.need,
      n.limit,
      n.unit,
      n.need <= n.limit ? '' : n.ofPath ? 'too much for one packet' : 'too much',
    ]),
  ]);
