import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { tableEntry } from '../../../src/backends/common/entries.ts';
import { needDiagnostics } from '../../../src/backends/common/need.ts';
import { p4infoOf } from '../../../src/backends/common/p4info.ts';
import {
  deviceTables,
  outcomeCounter,
  slotMeter,
  weightsTable,
} from '../../../src/backends/common/table-model.ts';
import { diagnostic, refuse } from '../../../src/diagnostics/index.ts';
import type { DenseLayer, Model } from '../../../src/model/model.ts';
import { createReferenceEngine } from '../../../src/runtime/reference.ts';
import { workOf } from '../../../src/targets/layer-work.ts';
import { profilesOf } from '../../../src/targets/profiles.ts';
import { defineTarget, type TargetProgram } from '../../../src/targets/target.ts';

/** Neurons that one block of the made-up switch computes. */
const NEURONS = 64;

/**
 * A made-up target in the manner of the Portable Switch Architecture, for dense layers alone: it has a limit, an option, a
 * compiler, an engine and devices of its own, and nothing outside this folder knows of it.
 */
export const psaTarget = defineTarget({
  name: 'psa',
  describe: 'a made-up portable switch',
  compiler: 'nothing',
  own: z.strictObject({
    pipe: z.enum(['ingress', 'egress']).default('ingress').describe('The control that computes'),
  }),
  plan(model, { from = 0, to = model.layers.length, modelId = 1, modelVersion = 1 }, { pipe }) {
    const layers = model.layers.slice(from, to);
    const others = layers.filter((layer) => layer.kind !== 'dense');
    if (others.length > 0)
      return {
        program: undefined,
        diagnostics: others.map(({ kind, name }) =>
          diagnostic(
            'unsupported-layer',
            { kind, target: 'psa', reason: 'it has dense layers alone' },
            { file: model.file, layer: name },
          ),
        ),
      };
    const program = programOf(model, { from, to, modelId, modelVersion, pipe });
    return { program, diagnostics: needDiagnostics(program.needs, 'psa', model.file) };
  },
  profiles(model, cuts) {
    const blocks = cuts.slice(1).map((to, b) => ({ from: cuts[b]!, to }));
    const profile = profilesOf({
      work: blocks.map(({ from, to }) => workOf(model, from, to)),
      unsupported: blocks.map(() => []),
      resources: [],
    });
    return { profile, confirm: () => [] };
  },
  cost: { packetNs: 10, fixedNs: 20, macNs: 0, multiplyNs: 1, neuronNs: 1, origin: 'made up' },
  colour: '#ffffff',
  engine: {
    name: 'psa-switch',
    open: async (model, options) => createReferenceEngine(model, options),
  },
  device: {},
});

interface Options {
  readonly from: number;
  readonly to: number;
  readonly modelId: number;
  readonly modelVersion: number;
  readonly pipe: 'ingress' | 'egress';
}

function programOf(model: Model, options: Options): TargetProgram {
  const { from, to, pipe } = options;
  const layers = model.layers.slice(from, to).filter((layer): layer is DenseLayer => layer.kind === 'dense');
  const tableOf = (i: number, slot: number) =>
    weightsTable(from + i, slot, [{ name: 'bias', bits: 32 * layers[i]!.bias.length }]);
  const tables = layers.flatMap((_, i) => [0, 1].map((slot) => tableOf(i, slot)));
  const source = [
    `// ${pipe}`,
    ...layers.map((layer) => `// ${layer.name}: ${layer.bias.length} neurons`),
    '',
  ];
  return {
    needs: layers.map((layer) => ({
      layer: layer.name,
      resource: 'neurons',
      need: layer.bias.length,
      limit: NEURONS,
      unit: 'neurons',
      help: 'use fewer',
    })),
    describeLayer: (index) => (index >= from && index < to ? `block ${index - from} of ${pipe}` : undefined),
    layers: layers.map(({ name }, block) => ({ name, block })),
    files: () =>
      new Map([
        ['program.p4', source.join('\n')],
        ['manifest.json', `${JSON.stringify({ target: 'psa', ...options })}\n`],
      ]),
    source: () => source,
    async build(folder) {
      writeFileSync(join(folder, 'program.bin'), source.join('\n'));
      return ['program.bin'];
    },
    deviceConfig: (folder) => readFile(join(folder, 'program.bin')),
    p4info: () =>
      p4infoOf(
        {
          tables: [...deviceTables, ...tables],
          counters: [outcomeCounter],
          digests: [],
          meters: [slotMeter],
        },
        'psa',
      ),
    replacement(other, slot) {
      if (other.layers.length !== model.layers.length)
        refuse('envelope-exceeded', { what: 'the layers are others' }, { file: other.file });
      return layers.map((_, i) => {
        const table = tableOf(i, slot);
        const { bias } = other.layers[from + i] as DenseLayer;
        const bytes = Buffer.concat([...bias].map((b) => Buffer.from(Int32Array.of(b).buffer).reverse()));
        const parameters = [BigInt(`0x0${bytes.toString('hex')}`)];
        return { tableEntry: tableEntry({ table, keys: [], action: table.actions[0]!, parameters }) };
      });
    },
  };
}
