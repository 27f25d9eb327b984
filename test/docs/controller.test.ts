import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { openStore, startDaemon } from '../../src/daemon/index.ts';
import { kindNames } from '../../src/daemon/manifests/index.ts';
import { intransit, testFolder } from '../support/io.ts';

const page = readFileSync('docs/controller.md', 'utf8');
const folder = testFolder();
const own = (text: string): string => text.replaceAll('out/', `${folder}/`);

/** Commands of the page, each with the output that it shows. */
const steps = [...page.matchAll(/^```sh\nnpx intransit (.*)\n```\n```text\n([\s\S]*?)^```/gm)].map(
  ([, command, shown]) => ({ command: own(command!), shown: own(shown!) }),
);

/** A line of three points stands for any lines. */
const pattern = (shown: string): RegExp =>
  new RegExp(
    `^${shown.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll(/^\\\.\\\.\\\.$\n/gm, '(?:.*\\n)*')}$`,
  );

describe('docs/controller.md', () => {
  let close = async () => {};
  afterAll(() => close());

  it('has an output for every command', () => {
    expect(steps.length).toBe([...page.matchAll(/^```sh$/gm)].length);
    expect(steps.map(({ command }) => command.split(' ')[0])).toEqual([
      ...['controller', 'apply', 'get', 'diff', 'events', 'delete'],
    ]);
  });

  it('begins as it says', async () => {
    const [, store, , address] = steps[0]!.command.split(' ').slice(1);
    const daemon = await startDaemon({
      store: await openStore(store!),
      listen: { address: address! },
      version: '0.0.0-test',
    });
    close = daemon.close;
    expect(`listening at ${daemon.address}, store ${store}\n`).toBe(steps[0]!.shown);
  });

  it.each(steps.slice(1))('$command', async ({ command, shown }) => {
    const { code, out } = await intransit(
      ...command.split(' '),
      '--controller',
      `unix:${folder}/controller.sock`,
    );
    expect(out).toMatch(pattern(shown));
    expect(code).toBe(0);
  });

  it('names every kind', () => {
    for (const kind of kindNames) expect(page).toContain(`| \`${kind}\` |`);
  });
});
