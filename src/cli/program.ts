import { readFileSync } from 'node:fs';
import { processIo } from './io.ts';
import { run } from './run.ts';

/** The command line of this process, to its end. */
export async function main(): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  // An interrupt ends the process by way of 'exit', so that temporary folders, switches and namespaces go with it.
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const)
    process.once(signal, () => process.exit(128 + number));
  // `intransit inspect | head` closes the pipe early; that is no fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

  process.exitCode = await run(process.argv.slice(2), processIo(), version);
  // The command is done. What an engine may still be at is nobody's any more, and must not hold the process.
  setInterval(() => {
    if (process.stdout.writableLength === 0 && process.stderr.writableLength === 0) process.exit();
  }, 500).unref();
}
