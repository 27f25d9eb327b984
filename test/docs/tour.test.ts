import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { cliArguments, intransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';

const page = readFileSync('docs/README.md', 'utf8');
const folder = testFolder();

interface Step {
  readonly command: string;
  readonly shown: string;
}

/** Commands of the page, each with the output that it shows; files go to the test's folder, and the port is a free one. */
const port = await freePort();
const own = (text: string): string => text.replaceAll('out/', `${folder}/`).replaceAll('18861', `${port}`);
const steps: Step[] = [...page.matchAll(/^```sh\n(.*)\n```\n```text\n([\s\S]*?)^```/gm)].map(
  ([, command, shown]) => ({ command: own(command!), shown: own(shown!) }),
);

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((done) => socket.bind(0, '127.0.0.1', done));
  const { port } = socket.address();
  await new Promise<void>((done) => socket.close(done));
  return port;
}

/** Columns are as wide as their widest entry, such as a time. */
const columns = (text: string): string => text.replaceAll(/ {2,}/g, '  ');

/** What is shown; a line of three points stands for any lines. */
function pattern(shown: string): RegExp {
  const escaped = columns(shown).replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replaceAll(/^\\\.\\\.\\\.$\n/gm, '(?:.*\\n)*')}$`);
}

const words = ({ command }: Step): string[] => command.split(' ').slice(2);

describe('docs/README.md', () => {
  let worker: ChildProcess | undefined;
  afterAll(() => worker?.kill('SIGKILL'));

  it('has a command for every block, and an output for every command', () => {
    expect(steps.length).toBe([...page.matchAll(/^```sh$/gm)].length);
    for (const { command } of steps) expect(command).toMatch(/^npx intransit /);
    expect(steps.map((step) => words(step)[0])).toEqual([
      ...['inspect', 'run', 'verify', 'compile', 'plan', 'worker', 'send'],
    ]);
  });

  const runs = (step: Step): void =>
    it(words(step).slice(0, 5).join(' '), async () => {
      if (words(step)[0] === 'worker') {
        expect(await firstLineOfWorker(step)).toMatch(pattern(step.shown));
        return;
      }
      const { code, out, err } = await intransit(...words(step));
      expect([code, code === 0 ? '' : err]).toEqual([0, '']);
      expect(columns(out)).toMatch(pattern(step.shown));
    });

  async function firstLineOfWorker(step: Step): Promise<string> {
    worker = spawn(process.execPath, cliArguments(words(step)), { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface({ input: worker.stdout! }), 'line')) as [string];
    return `${line}\n`;
  }

  const inKernel = (step: Step): boolean => step.command.includes('--on xdp');
  for (const step of steps.filter((s) => !inKernel(s))) runs(step);
  describeWith(loading, 'in the kernel', () => {
    for (const step of steps.filter(inKernel)) runs(step);
  });

  it('leads to pages that exist', () => {
    const links = [...page.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path]) => join('docs', path!));
    expect(links.length).toBeGreaterThan(10);
    expect(links.filter((path) => !existsSync(path))).toEqual([]);
  });
});
