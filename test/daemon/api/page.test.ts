import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import axe from 'axe-core';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withCondition } from '../../../src/daemon/manifests/index.ts';
import { describeWithTools } from '../../support/machine.ts';
import { device, documents, testDaemon } from './support.ts';

/** Chromium by whichever name it has. */
const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).error === undefined,
);

describeWithTools([chromium ?? 'chromium'], 'the page, in Chromium', () => {
  let daemon: Awaited<ReturnType<typeof testDaemon>>;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  beforeAll(async () => {
    daemon = await testDaemon({ address: '127.0.0.1:0' });
    const { code, err } = await daemon.cli(
      'apply',
      '-f',
      'examples/network.yaml',
      '--token-file',
      daemon.tokenFile!,
    );
    expect([code, err]).toEqual([0, '']);
    browser = await puppeteer.launch({
      executablePath: spawnSync('which', [chromium!], { encoding: 'utf8' }).stdout.trim(),
      args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'],
      protocolTimeout: 120_000,
    });
    page = await browser.newPage();
    await page.setViewport({ width: 1200, height: 1500 });
    page.on('pageerror', (error) => faults.push(String(error)));
    page.on('console', (message) => {
      // That a token is asked for is no fault.
      if (message.type() === 'error' && !message.text().includes('401')) faults.push(message.text());
    });
  });
  afterAll(() => browser?.close());

  const text = (id: string) => page.$eval(`#${id}`, (element) => element.textContent ?? '');
  /** In the page's own language: it is another program. */
  const until = (condition: string) => page.waitForFunction(condition, { timeout: 60_000 });
  const shows = (id: string, what: string) =>
    until(`document.getElementById('${id}').textContent.includes(${JSON.stringify(what)})`);
  const token = () => readFileSync(daemon.tokenFile!, 'utf8').trim();

  const report = (name: string, isReady: boolean, reason: string, message: string) =>
    daemon.objects.setStatus([
      {
        kind: 'Device',
        name,
        change: (object) => ({
          ...object.status,
          state: isReady ? 'in sync' : 'unreachable',
          load: { utilisation: 0.4 },
          conditions: [
            ...withCondition(
              object.status.conditions,
              { type: 'Ready', status: isReady ? 'True' : 'False', reason, message, observedGeneration: 1 },
              new Date().toISOString(),
            ),
          ],
        }),
      },
    ]);

  it('asks for the token, and shows nothing without', async () => {
    await page.goto(`http://${daemon.address}/`);
    await shows('connection', 'asks for its token');
    expect(await text('nodes')).not.toContain('s1');
    await page.type('#token', token());
    await page.keyboard.press('Enter');
    await shows('connection', 'connected, live');
    await shows('nodes', 's1');
  });

  it('takes the token from its address, and out of it', async () => {
    await page.evaluate('sessionStorage.clear()');
    await page.goto('about:blank');
    await page.goto(`http://${daemon.address}/#token=${token()}`);
    await shows('connection', 'connected, live');
    expect(page.url()).toBe(`http://${daemon.address}/`);
  });

  it('shows nodes, services and the log, and changes as they come', async () => {
    await shows('services', 'read-digits');
    expect(await text('services')).toContain('5000 µs at 99 %');
    await shows('log', 'Created');
    await report('s1', true, 'InSync', 'read back and equal');
    await report('s2', false, 'Unreachable', 'no answer for 3 s <img src=x onerror=alert(1)>');
    await shows('trouble', 'no answer for 3 s <img');
    expect(await page.$('#trouble img')).toBeNull();
    await shows('topology', '✓');
    const labels = await page.$$eval('#topology a', (all) => all.map((a) => a.getAttribute('aria-label')));
    expect(labels[0]).toMatch(/^Device s1: in sync, InSync: read back and equal; load 40 %/);
    await report('s2', true, 'InSync', 'back again');
    await until("document.getElementById('trouble').textContent === 'none'");
  });

  it('is used by keyboard alone', async () => {
    await page.evaluate("document.querySelector('#topology a').focus()");
    // The focus stays while others change.
    await report('s2', false, 'Unreachable', 'gone for now');
    await shows('trouble', 'gone for now');
    expect(await page.evaluate('document.activeElement.getAttribute("href")')).toBe('#Device/s1');
    await report('s2', true, 'InSync', 'back again');
    await until("document.getElementById('trouble').textContent === 'none'");
    await page.keyboard.press('Enter');
    await until("document.activeElement.id === 'selected-title'");
    expect(await text('selected')).toMatch(/Device\/s1[\s\S]*InSync[\s\S]*127\.0\.0\.1:9559/);
  });

  it.each(['light', 'dark'])('has no fault of accessibility, %s', async (value) => {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }]);
    await page.evaluate(axe.source);
    const violations = await page.evaluate(async () => {
      const found = await (globalThis as unknown as { axe: typeof axe }).axe.run();
      return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html).join(' ')}`);
    });
    expect(violations).toEqual([]);
    const folder = process.env.INTRANSIT_SCREENSHOTS;
    if (folder === undefined) return;
    const path = `${folder}/controller-${value}.png` as const;
    mkdirSync(dirname(path), { recursive: true });
    await page.screenshot({ path });
  });

  it('draws 2,000 devices, and stays usable', async () => {
    const many = Array.from({ length: 2000 }, (_, i) => device(`many-${i}`, i + 100));
    const file = daemon.file('many.yaml', documents(...many));
    expect((await daemon.cli('apply', '-f', file, '--token-file', daemon.tokenFile!)).code).toBe(0);
    await shows('summary', '2002 devices');
    await until("document.querySelectorAll('#topology a').length === 2003");
    await page.type('#filter', 'many-1999');
    await until("document.querySelectorAll('#nodes tbody tr').length === 1");
    const list = await daemon.cli('get', 'devices', '-o', 'name', '--token-file', daemon.tokenFile!);
    expect(list.out.split('\n')).toHaveLength(2003);
  });

  it('says when the controller is gone', async () => {
    await daemon.close();
    await shows('connection', 'does not answer');
    expect(faults.filter((f) => !/ERR_|Failed to load/.test(f))).toEqual([]);
  });
});
