import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

test('the API reference can be made: links lead somewhere, and all that is exported is told of', async () => {
  // Without colours, and without its pages: they take longer than all else.
  const args = [join(root, 'node_modules/typedoc/bin/typedoc'), '--emit', 'none', '--options', root];
  const env = { ...process.env, NO_COLOR: '1' };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, env });
  expect(`${stdout}${stderr}`).not.toContain('warning');
}, 180_000);
