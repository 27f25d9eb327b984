import type { Need } from '../../backends/common/need.ts';
import { packetWarnings } from '../../backends/common/packets.ts';
import { throwErrors } from '../../diagnostics/index.ts';
import { writeWhole } from '../../files.ts';
import type { Model } from '../../model/model.ts';
import { inputType, macs } from '../../model/model.ts';
import { formatTensorType } from '../../model/tensor.ts';
import { targetNamed, targetNames } from '../../targets/registry.ts';
import { inspectionSvg } from '../inspect-svg.ts';
import { type Io, printDiagnostics, printJson, table } from '../io.ts';
import { defineCommand, importArgument, programOf, programOptions, textOption } from '../options.ts';
import { ownOptions, ownOptionsOf } from '../target-options.ts';

/** `inspect MODEL [--target T] [--json]` */
export const inspectCommand = (io: Io) =>
  defineCommand({
    command: 'inspect <model>',
    describe: 'Show layers, lanes, and need beside limit, before anything is built',
    builder: (y) =>
      ownOptions(programOptions(y))
        .option('target', {
          choices: targetNames(),
          default: targetNames()[0]!,
          describe: 'What the program would run on',
        })
        .option('svg', textOption('Draw it to this file')),
    async handler(a) {
      const { model, diagnostics, rounding } = await importArgument(a);
      const target = targetNamed(a.target);
      const options = programOf(model, a);
      const { program, diagnostics: found } = target.plan(model, options, ownOptionsOf(target, a));
      const needs = program?.needs ?? [];
      const how = program && model.layers.map((_, i) => program.describeLayer(i) ?? 'left to another node');
      const packets = needs.length > 0 ? packetWarnings(model, [options], options.mtu) : [];
      const all = [...diagnostics, ...found, ...packets];
      if (a.json)
        printJson(io, {
          model: model.name,
          layers: model.layers.map((l) => layerSummary(model, l)),
          target: target.name,
          needs,
          plan: program?.layers ?? [],
          ...(program?.summary && { program: program.summary }),
          ...(rounding && { rounding: { ...rounding, runtime: runtimeOf[rounding.kind] } }),
          diagnostics: all,
        });
      else {
        printDiagnostics(
          io,
          all.filter((d) => d.severity !== 'error'),
        );
        if (rounding)
          io.out(`rounding: ${rounding.kind}, of ${runtimeOf[rounding.kind]}, ${rounding.because}\n\n`);
        io.out(layerTable(model, how ?? []));
        io.out(`\n${needTable(needs)}`);
      }
      if (a.svg !== undefined) {
        const bars = needs.map((n) => ({
          label: `${n.layer ?? 'program'}: ${n.resource}`,
          need: n.need,
          limit: n.limit,
          unit: n.unit,
        }));
        const drawing = program?.drawing?.() ?? inspectionSvg(model, a.target, how ?? [], bars);
        writeWhole(a.svg, Buffer.from(drawing));
      }
      throwErrors(all);
    },
  });

/** Whose kernels round so. */
const runtimeOf = {
  double: 'TFLite Micro and TensorFlow before 2.20',
  single: 'TensorFlow from 2.20 on',
} as const;

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
