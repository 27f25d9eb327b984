import { cliArguments } from '../support/io.ts';
import { exampleFile } from './path.ts';
import type { Testbed } from './testbed.ts';

/** `intransit worker` in a host, ready to answer. @returns what ends it */
export async function startWorker(
  testbed: Testbed,
  host: string,
  model: string,
  options: readonly string[] = [],
): Promise<() => Promise<void>> {
  const argv = cliArguments(['worker', exampleFile(model, '.onnx'), '--json', ...options]);
  const worker = testbed.spawn(host, process.execPath, argv);
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  await new Promise<void>((resolve, reject) => {
    let said = '';
    worker.stdout!.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('"listening"')) resolve();
    });
    worker.once('exit', () => reject(new Error(`the worker ended: ${said}`)));
  });
  return async () => {
    worker.kill('SIGTERM');
    await ended;
  };
}
