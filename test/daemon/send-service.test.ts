/** `send --service`: the controller says where jobs of a service go, and hears how long they took. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, test } from 'vitest';
import { openApiDoor } from '../../src/daemon/api/server.ts';
import { nameRoutes } from '../../src/daemon/index.ts';
import { importModel } from '../../src/import/index.ts';
import { interpretRows } from '../../src/reference/interpreter.ts';
import { intransit } from '../support/io.ts';
import { psaDevice } from './network-support.ts';
import { scenes } from './scene.ts';

const { network, device, worker, files, folder, open } = scenes();
const file = files[0]!;

/** A service of two workers with a controller that tells of it. */
async function served() {
  const [d, a, b] = [await device(), await worker(), await worker()];
  const net = network();
  const address = (w: typeof a) => `127.0.0.1:${w.worker.port}`;
  await net.apply(
    psaDevice('d', d),
    ['Worker', 'a', { control: a.control, address: address(a) }],
    ['Worker', 'b', { control: b.control, address: address(b) }],
    ['Model', 'small', { id: 7 }],
    await net.version('small', 1, file),
    ['Link', 'd-a', { from: { node: 'd', port: 1 }, to: { node: 'a' } }],
    ['Link', 'd-b', { from: { node: 'd', port: 2 }, to: { node: 'b' } }],
    [
      'Service',
      's',
      {
        model: 'small',
        version: 1,
        ingress: 'd',
        policy: { layers: [{ layers: '0..2', nodes: ['a', 'b'] }] },
      },
    ],
  );
  const reconciler = net.start();
  const door = await openApiDoor({
    listen: { address: `unix:${join(folder, 'send.sock')}` },
    ...{ objects: net.objects, version: 'test', unready: async () => undefined },
    routes: [...nameRoutes(net.objects, 'test', reconciler.shareOf), ...reconciler.routes],
  });
  open.push({ close: () => door.close(0) });
  for (const name of ['a', 'b']) await net.until('Worker', name, (o) => o.status.state === 'in sync', 60_000);
  return { net, door, addresses: [address(a), address(b)] };
}

test('jobs of a service are shared out to its workers by their ids, and are measured', async () => {
  const { net, door, addresses } = await served();
  const { model } = await importModel(file);
  const rows = Uint8Array.from({ length: 4 * 30 }, (_, i) => (37 * i) & 0xff);
  const [input, output] = [join(folder, 'x.bin'), join(folder, 'y.bin')];
  writeFileSync(input, rows);
  const send = (...argv: string[]) => intransit('send', file, '--input', input, '--json', ...argv);
  const ask = async (job: number) => {
    const { code, out, err } = await send(
      ...['--service', 's', '--controller', door.address, '--job', `${job}`, '--output', output],
    );
    expect(code, err).toBe(0);
    expect(new Uint8Array(readFileSync(output))).toEqual(interpretRows(model, rows));
    return JSON.parse(out) as { readonly to: string; readonly answered: number };
  };
  const went = new Map<number, string>();
  for (let job = 1; job <= 12; job++) went.set(job, (await ask(job)).to);
  expect(new Set(went.values())).toEqual(new Set(addresses));
  for (const [job, to] of went) expect((await ask(job)).to).toBe(to);
  await net.until('Service', 's', ({ status }) => status.latency?.by === 'edge', 60_000);

  const unknown = await send('--service', 'none', '--controller', door.address);
  expect([unknown.code, unknown.out]).toEqual([1, '']);
  expect(unknown.err).toContain('none');
  const away = await send('--service', 's', '--controller', `unix:${join(folder, 'absent.sock')}`);
  expect([away.code, away.out]).toEqual([1, '']);
  expect(away.err).toContain('absent.sock');
}, 120_000);

it.each([
  ['neither way', [], /--to/],
  ['both ways', ['--to', '127.0.0.1:9', '--service', 's'], /choose one/],
  ['a controller alone', ['--to', '127.0.0.1:9', '--controller', 'unix:/c'], /--service/],
  ['layers of no version', ['--service', 's', '--layers', '0..1'], /--model-version/],
])('%s is a matter of usage', async (_, argv, message) => {
  const { code, err } = await intransit('send', file, '--input', file, ...argv);
  expect(code).toBe(2);
  expect(err).toMatch(message);
});
