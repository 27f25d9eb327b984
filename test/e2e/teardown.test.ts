import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { testFolder } from '../support/io.ts';
import { Deployment } from './path.ts';
import { describeMachine, hasBmv2 } from './suite.ts';
import { PYTHON, SCRIPT, type SwitchKind, Testbed, type TestbedDocument } from './testbed.ts';

const folder = testFolder();

/** Nothing here is about what the switches do. */
const kind: SwitchKind = hasBmv2 ? 'bmv2' : 'xdp';

const clean = (): unknown => execFileSync(PYTHON, ['-B', SCRIPT, 'clean']);

const processesOf = (run: string): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      if (!/^\d+$/.test(pid)) return false;
      return readFileSync(join('/proc', pid, 'environ'), 'latin1')
        .split('\0')
        .includes(`INTRANSIT_TESTBED=${run}`);
    } catch {
      return false;
    }
  });

const containing = (folder: string, text: string): string[] =>
  existsSync(folder)
    ? readdirSync(folder, { recursive: true })
        .map(String)
        .filter((f) => f.includes(text))
    : [];

/** All that is there of a run. */
const traces = ({ run }: TestbedDocument) => ({
  processes: processesOf(run).length,
  interfaces: readdirSync('/sys/class/net').filter((name) => name.startsWith(`it${run}-`)),
  pins: containing('/sys/fs/bpf', `it${run}-`),
  locks: containing('/run/intransit', `it${run}-`),
  folder: existsSync(`/run/intransit-testbed/${run}`),
});

const nothing = { processes: 0, interfaces: [], pins: [], locks: [], folder: false };

async function eventually(look: () => unknown, wanted: unknown): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; ) {
    if (JSON.stringify(look()) === JSON.stringify(wanted)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(look()).toEqual(wanted);
}

describeMachine('the end of a testbed', () => {
  test('the end of its input, and SIGTERM, take all away', async () => {
    for (const end of ['input', 'SIGTERM'] as const) {
      const testbed = await Testbed.open('single', [kind]);
      expect(traces(testbed.document).interfaces).toHaveLength(3);
      if (end === 'SIGTERM') testbed.process.kill('SIGTERM');
      await testbed.close();
      expect(traces(testbed.document), end).toEqual(nothing);
    }
  });

  test('it ends with the process that started it', async () => {
    const args = ['-B', SCRIPT, 'single', '--switches', kind, '--logs', folder];
    const starter = `
      const { spawn } = require('node:child_process');
      const child = spawn(${JSON.stringify(PYTHON)}, ${JSON.stringify(args)}, { stdio: ['pipe', 'inherit', 'inherit'] });
      child.on('exit', () => process.exit(1));`;
    const parent = spawn(process.execPath, ['-e', starter], { stdio: ['ignore', 'pipe', 'inherit'] });
    const { value } = await createInterface({ input: parent.stdout })[Symbol.asyncIterator]().next();
    const document = JSON.parse(value) as TestbedDocument;
    parent.kill('SIGKILL');
    await eventually(() => traces(document), nothing);
  });

  test('after kill -9 the next run removes what was left, and nothing of its neighbours', async () => {
    const killed = await Testbed.open('single', [kind]);
    const neighbour = await Testbed.open('single', [kind]);
    const before = traces(neighbour.document);
    // What a test has started in a host outlives the testbed, and holds the namespace.
    killed.spawn('h1', 'sleep', ['1000']);
    killed.process.kill('SIGKILL');
    await eventually(() => killed.process.signalCode, 'SIGKILL');
    const next = await Testbed.open('single', [kind]);
    expect(traces(killed.document)).toEqual(nothing);
    expect(traces(neighbour.document)).toEqual(before);
    await neighbour.ready('s1');
    await Promise.all([next.close(), neighbour.close(), killed.close()]);
  });

  test('what agents have loaded and pinned goes too', async () => {
    const killed = await Testbed.open('single', ['xdp']);
    await killed.allReady();
    await new Deployment(killed, folder, 'digits-mlp', { s1: { layers: '0..2' } }).apply();
    expect(traces(killed.document).pins).not.toEqual([]);
    killed.process.kill('SIGKILL');
    await eventually(() => killed.process.signalCode, 'SIGKILL');
    const next = await Testbed.open('single', ['xdp']);
    expect(traces(killed.document)).toEqual(nothing);
    await Promise.all([next.close(), killed.close()]);
  });

  test('so does `clean`', async () => {
    const killed = await Testbed.open('chain', [kind]);
    killed.process.kill('SIGKILL');
    await eventually(() => killed.process.signalCode, 'SIGKILL');
    clean();
    expect(traces(killed.document)).toEqual(nothing);
    await killed.close();
  });

  test('a switch that dies is told, with the end of its log', async () => {
    const testbed = await Testbed.open('single', [kind]);
    await testbed.ready('s1');
    process.kill(testbed.switch('s1').pid, 'SIGKILL');
    await eventually(() => /s1 \(\w+\) ended with -9; the end of .*s1\.log/.test(testbed.tails()), true);
    await testbed.tell('start', 's1');
    await testbed.close();
  });
}, [kind, 'xdp']);
