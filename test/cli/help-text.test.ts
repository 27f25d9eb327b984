import { expect, test } from 'vitest';
import { wrapHelp } from '../../src/cli/help-text.ts';
import { intransit } from '../support/io.ts';

test('what goes on stands below what it goes on from; brackets stay whole where they can', () => {
  const line =
    '  --keep     Leave the previous version, so that going back is one write  [boolean] [default: false]';
  expect(wrapHelp(line, 60).split('\n')).toEqual([
    '  --keep     Leave the previous version, so that going back',
    '             is one write [boolean] [default: false]',
  ]);
  expect(wrapHelp(line, 200)).toBe(line);
  expect(wrapHelp('a line without names that is too long for it', 20).split('\n')).toEqual([
    'a line without names',
    'that is too long for',
    'it',
  ]);
});

const COMMANDS = [
  'compile',
  'inspect',
  'run',
  'verify',
  'bench',
  'plan',
  'deploy',
  'worker',
  'send',
  'agent',
  'classify',
  'controller',
];

test.each([[], ...COMMANDS.map((c) => [c])])('help of %s fits 80 columns', async (...command: string[]) => {
  const { code, out } = await intransit(...command, '--help');
  expect(code).toBe(0);
  // A word that is longer than the room for it is all that may stand out.
  const over = out.split('\n').filter((l) => l.length > 80);
  expect(over.filter((l) => l.trim().includes(' '))).toEqual([]);
  expect(out.split(/\s+/).length).toBeGreaterThan(20);
});
