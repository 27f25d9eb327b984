import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { withVerdict } from '../../src/model/verdict.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { intransit, testFolder } from '../support/io.ts';
import { type Example, example, exampleFile, send } from './path.ts';
import { describeTestbed, hasBmv2 } from './suite.ts';
import type { SwitchKind, Testbed } from './testbed.ts';
import { startWorker } from './worker.ts';

const folder = testFolder();
const NAME = 'traffic-mlp';
const CLASSES = readFileSync(exampleFile(NAME, '.y.bin'));

/** Shares of answers of the network, and the accuracy of all of them, as the two models were trained to have. */
const thresholds = [
  { threshold: 10, share: 0.541, accuracy: 0.828 },
  { threshold: 5, share: 0.727, accuracy: 0.814 },
] as const;

let wanted: Example;
/** Class and margin of the small model, row by row. */
let verdicts: Uint8Array;
beforeAll(async () => {
  wanted = await example(NAME);
  verdicts = interpretRows(withVerdict(wanted.model), readFileSync(exampleFile(NAME, '.x.bin')));
});

const kinds: readonly SwitchKind[] = ['xdp', ...(hasBmv2 ? (['bmv2'] as const) : [])];
for (const kind of kinds)
  describeTestbed('early exit', 'single', [kind], (testbed) => {
    test.each(thresholds)(
      'threshold $threshold: the network answers what it is sure of, the large model the rest',
      async ({ threshold, share, accuracy }) => {
        await deployVerdict(testbed(), threshold);
        const large = ['--verdict', '--large', exampleFile('traffic-large', '.onnx')];
        const stop = await startWorker(testbed(), 'h2', NAME, large);
        try {
          const answers = await send(testbed(), folder, wanted, ['--verdict']);
          const { statistics: s, bytes } = answers;
          expect(s).toMatchObject({ answered: wanted.rows, lost: 0, differing: 0 });
          const sure = Array.from({ length: wanted.rows }, (_, row) => verdicts[2 * row + 1]! >= threshold);
          expect(s.by).toEqual({
            network: sure.filter(Boolean).length,
            worker: 0,
            large: sure.filter((is) => !is).length,
          });
          for (const [row, is] of sure.entries())
            if (is)
              expect([bytes[2 * row], bytes[2 * row + 1]]).toEqual([
                verdicts[2 * row],
                verdicts[2 * row + 1],
              ]);
          const right = CLASSES.reduce((sum, y, row) => sum + (bytes[2 * row] === y ? 1 : 0), 0);
          expect(s.by.network / wanted.rows).toBeCloseTo(share, 3);
          expect(right / wanted.rows).toBeCloseTo(accuracy, 3);
          const { network, large: late } = s.latencyMsBy;
          console.info(
            `${kind}: latency ms of the network ${text(network)}, of the large model ${text(late)}`,
          );
        } finally {
          await stop();
        }
      },
    );
  });

const text = ({ p50, p99 }: { p50: number; p99: number }) => `${p50.toFixed(2)} (99 %: ${p99.toFixed(2)})`;

async function deployVerdict(testbed: Testbed, threshold: number): Promise<void> {
  const { deployment } = testbed.document;
  const model = { file: exampleFile(NAME, '.onnx'), verdict: true };
  const devices = deployment.devices.map((device) => ({ ...device, layers: '0..4', threshold }));
  const file = join(folder, `${testbed.document.run}-verdict.json`);
  writeFileSync(file, JSON.stringify({ ...deployment, model, devices }));
  const { code, err } = await intransit('deploy', file, '--json');
  expect(code, err).toBe(0);
}
