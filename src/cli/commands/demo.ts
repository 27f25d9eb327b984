import { fileURLToPath } from 'node:url';
import { type DemoResult, demoModel } from '../../demo/demo.ts';
import { type Io, printJson, table } from '../io.ts';
import { defineCommand, jsonOption } from '../options.ts';

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url));
const MODELS = ['digits-mlp', 'traffic-mlp'] as const;

/** `demo [--json]`: two models in the kernel, their rows as packets over a real cable. */
export const demoCommand = (io: Io) =>
  defineCommand({
    command: 'demo',
    describe: 'Send the example rows as packets through the kernel of this machine',
    builder: (y) => jsonOption(y),
    async handler(a) {
      const results: DemoResult[] = [];
      for (const name of MODELS)
        results.push(await demoModel(EXAMPLES, name, (text) => io.err(`${name}: ${text}\n`)));
      if (a.json) return printJson(io, results);
      const percent = (share: number) => `${(share * 100).toFixed(2)} %`;
      const row = (label: string, cell: (r: DemoResult) => string) => [label, ...results.map(cell)];
      io.out(
        table([
          row('', (r) => r.model),
          row('answers from the kernel', (r) => `${r.answered} of ${r.rows}`),
          row('accuracy', (r) => percent(r.accuracy)),
          row('equal to the reference', (r) => percent(r.agreesWithReference)),
          row('equal to ONNX Runtime', (r) => percent(r.agreesWithOnnxRuntime)),
          row('packets a second', (r) => r.packetsPerSecond.toFixed(0)),
          row('ns an inference', (r) => r.nsPerInference.toFixed(0)),
        ]),
      );
    },
  });
