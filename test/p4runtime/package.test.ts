import { execFileSync } from 'node:child_process';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../src/temporary.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const readJson = (path: string): { dependencies: Record<string, string>; version: string } =>
  JSON.parse(readFileSync(join(root, path), 'utf8'));

/** A program of somebody who has installed the package: a client of a server, and types that compile. */
const PROGRAM = `
import { MemoryDevice, P4Client, P4RuntimeServer, statusName } from 'p4runtime-js';

const server = new P4RuntimeServer();
server.addDevice(new MemoryDevice(), { deviceId: 1n });
const address: string = await server.listen({ address: '127.0.0.1:0' });
const client = new P4Client({ address, deviceId: 1, electionId: 1n });
const role: string = await client.connect();
client.close();
await server.close();
process.stdout.write(\`\${role} \${statusName(5)}\`);
`;

test('src/p4runtime is a package of its own', () => {
  using folder = temporaryFolder();
  const home = join(folder.path, 'node_modules/p4runtime-js');
  execFileSync(join(root, 'scripts/package-p4runtime.sh'), [home], { stdio: 'pipe' });
  // What it depends on lies beside it, as npm would put it; their own dependencies are found where the links lead.
  for (const name of ['@grpc', 'protobufjs', '@types'])
    symlinkSync(join(root, 'node_modules', name), join(folder.path, 'node_modules', name));
  writeFileSync(join(folder.path, 'package.json'), '{ "type": "module" }');
  writeFileSync(join(folder.path, 'program.ts'), PROGRAM);
  const options = [
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--strict',
    '--types',
    'node',
    '--skipLibCheck',
  ];
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  execFileSync(process.execPath, [tsc, ...options, 'program.ts'], { cwd: folder.path, stdio: 'pipe' });
  const output = execFileSync(process.execPath, ['program.js'], { cwd: folder.path, encoding: 'utf8' });
  expect(output).toBe('primary NOT_FOUND');
});

test('its dependencies are those of the project', () => {
  const [own, whole] = [readJson('src/p4runtime/package.json'), readJson('package.json')];
  expect(whole.dependencies).toMatchObject(own.dependencies);
  expect(own.version).toBe(whole.version);
});
