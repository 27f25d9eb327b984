import { execFile, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { startServer } from './support/server.ts';
import { temporaryFolder } from './support/tools.ts';

/** An interpreter that has the clients, with their dependencies (PYTHONPATH is handed on). */
const python = process.env.P4RUNTIME_PYTHON ?? 'python3';
const p4info = fileURLToPath(new URL('./fixtures/conformance.p4info.txt', import.meta.url));

const clients = [
  { name: 'p4runtime-shell', module: 'p4runtime_sh.shell', script: 'p4runtime_shell.py' },
  { name: 'finsy', module: 'finsy', script: 'finsy_client.py' },
];

/** What the script says; it runs beside this process, which serves it. */
function run(script: string, args: readonly string[]): Promise<string> {
  const file = fileURLToPath(new URL(`./interop/${script}`, import.meta.url));
  return new Promise((resolve) => {
    execFile(python, [file, ...args], { timeout: 60_000 }, (_, stdout, stderr) =>
      resolve(`${stdout}${stderr}`),
    );
  });
}

describe('clients of others against our server', () => {
  for (const { name, module, script } of clients) {
    const missing = spawnSync(python, ['-c', `import ${module}`]).status !== 0;
    const why = missing
      ? ` (skipped: ${python} cannot import ${module}; P4RUNTIME_PYTHON names another)`
      : '';
    test.skipIf(missing)(`${name} connects, pushes, writes and reads back${why}`, async () => {
      const folder = temporaryFolder();
      const server = await startServer();
      try {
        const config = join(folder.path, 'program.json');
        writeFileSync(config, '{}');
        expect(await run(script, [server.address, p4info, config])).toContain('interop ok');
      } finally {
        await server.close();
        folder.remove();
      }
    });
  }
});
