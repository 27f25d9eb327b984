/**
 * The controller's page with many devices, in headless Chromium: until all are drawn, and from a change in the store to the screen, alone and
 * while the states of others change all the time; and how long the page does not answer its user meanwhile.
 *
 *     npx tsx bench/page.ts [DEVICES] [CHANGES A SECOND]
 *
 * The daemon is real, its network is not: the states are written as its reconciler writes them.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import puppeteer, { type Page } from 'puppeteer-core';
import { openStore, startDaemon } from '../src/daemon/index.ts';
import { withCondition } from '../src/daemon/manifests/index.ts';
import { median } from '../src/runtime/bench.ts';
import { temporaryFolder } from '../src/temporary.ts';

const [devices = 2000, changesPerSecond = 100] = process.argv.slice(2).map(Number);
const ROUNDS = 20;
const STEADY_MS = 10_000;
const BATCH_MS = 100;

const line = (what: string, value: string) => console.log(`${what.padEnd(64)}${value}`);
const ms = (value: number) => `${Math.round(value)} ms`;

const chromium = ['chromium', 'chromium-browser', 'google-chrome']
  .map((name) => spawnSync('which', [name], { encoding: 'utf8' }).stdout.trim())
  .find((path) => path !== '');
if (chromium === undefined) throw new Error('no Chromium is on the PATH');

using folder = temporaryFolder();
const tokenFile = join(folder.path, 'token');
const daemon = await startDaemon({
  store: await openStore(`sqlite:${join(folder.path, 'store.db')}`),
  listen: { address: '127.0.0.1:0' },
  version: 'bench',
  tokenFile,
});
const nameOf = (i: number): string => `device-${i}`;
await daemon.objects.apply(
  Array.from({ length: devices }, (_, i) => ({
    apiVersion: 'intransit.dev/v1alpha1',
    kind: 'Device',
    metadata: { name: nameOf(i) },
    spec: { target: 'v1model', address: '127.0.0.1:9559', deviceId: i + 1 },
  })),
  { actor: 'bench' },
);

/** The state of some devices, each ready or not for a reason. */
const report = (names: readonly string[], isReady: boolean, message: string): Promise<unknown> =>
  daemon.objects.setStatus(
    names.map((name) => ({
      kind: 'Device',
      name,
      change: (object) => ({
        ...object.status,
        state: isReady ? 'in sync' : 'unreachable',
        load: { utilisation: Math.random() },
        conditions: [
          ...withCondition(
            object.status.conditions,
            {
              ...{ type: 'Ready', status: isReady ? 'True' : 'False', message, observedGeneration: 1 },
              reason: isReady ? 'InSync' : 'Unreachable',
            },
            new Date().toISOString(),
          ),
        ],
      }),
    })),
  );
await report(
  Array.from({ length: devices }, (_, i) => nameOf(i)),
  true,
  'read back and equal',
);

const browser = await puppeteer.launch({
  executablePath: chromium,
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
});

/** From a device's death in the store until the page says so. */
async function deaths(page: Page): Promise<readonly number[]> {
  const taken: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const name = nameOf(2 * Math.floor((i * devices) / ROUNDS / 2));
    const begun = performance.now();
    await report([name], false, `dead-${i}`);
    const isShown = `document.getElementById('trouble').textContent.includes('dead-${i}')`;
    await page.waitForFunction(isShown, { polling: 'mutation' });
    taken.push(performance.now() - begun);
    await report([name], true, 'back');
  }
  return taken;
}

try {
  const page = await browser.newPage();
  await page.setViewport({ width: 1200, height: 1500 });
  await page.evaluateOnNewDocument(
    "globalThis.blocked = []; new PerformanceObserver((list) => { for (const e of list.getEntries()) blocked.push(e.duration); }).observe({ type: 'longtask' });",
  );
  const opened = performance.now();
  await page.goto(`http://${daemon.address}/#token=${readFileSync(tokenFile, 'utf8').trim()}`);
  await page.waitForFunction(`document.querySelectorAll('#topology a').length === ${devices}`, {
    polling: 'mutation',
    timeout: 120_000,
  });
  line(`${devices} devices: from opening the page until all are drawn`, ms(performance.now() - opened));
  const alone = await deaths(page);
  line(
    'a death, from the store to the screen: median, most',
    `${ms(median(alone))}, ${ms(Math.max(...alone))}`,
  );

  let isOver = false;
  const others = (async () => {
    for (let turn = 0; !isOver; turn++) {
      const count = (changesPerSecond * BATCH_MS) / 1000;
      await report(
        // Those that die have even numbers.
        Array.from({ length: count }, (_, i) => nameOf((2 * (turn * count + i) + 1) % devices)),
        true,
        'read back and equal',
      );
      await sleep(BATCH_MS);
    }
  })();
  await page.evaluate('blocked.length = 0');
  const begun = performance.now();
  const among = await deaths(page);
  await sleep(Math.max(0, STEADY_MS - (performance.now() - begun)));
  const blocked = (await page.evaluate('blocked')) as number[];
  const seconds = (performance.now() - begun) / 1000;
  isOver = true;
  await others;
  const what = `while ${changesPerSecond} others change a second`;
  line(`${what}: median, most`, `${ms(median(among))}, ${ms(Math.max(...among))}`);
  const share = blocked.reduce((a, b) => a + b, 0) / seconds / 10;
  line(`${what}: tasks above 50 ms, share of the time`, `${share.toFixed(0)} %`);
  line(`${what}: the longest`, ms(Math.max(0, ...blocked)));
} finally {
  await browser.close();
  await daemon.close();
}
process.exit();
