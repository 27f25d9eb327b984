/** What a client that may come in, or may not, sends to spend the controller's time and memory. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it } from 'vitest';
import { testDaemon } from './support.ts';

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

const document = (kind: string, name: string, spec: object, more: object = {}) => ({
  apiVersion: 'intransit.dev/v1alpha1',
  kind,
  metadata: { name },
  spec,
  ...more,
});
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('a hostile client', async () => {
  const { address, objects } = await testDaemon({ address: '127.0.0.1:0', insecure: true });
  const port = Number(address.split(':')[1]);
  const send = (method: string, path: string, body: string): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = request({ port, method, path: `/api/v1alpha1${path}` }, (response) => {
        let text = '';
        response.on('data', (data) => {
          text += data;
        });
        response.on('end', () => resolve({ status: response.statusCode, text }));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  const apply = (documents: readonly unknown[]) => send('POST', '/apply', JSON.stringify({ documents }));

  /** Processor time of this process, where the daemon is, too. */
  const cpuMs = async (work: () => Promise<Answer>): Promise<Answer & { readonly ms: number }> => {
    const before = process.cpuUsage();
    const answer = await work();
    return { ...answer, ms: process.cpuUsage(before).user / 1000 };
  };

  it.each<[string, number, RegExp, () => Promise<Answer>]>([
    ['nesting without end', 400, /deeper than 64/, () => send('POST', '/apply', '['.repeat(8e6))],
    [
      'nesting in what is not looked at',
      400,
      /deeper than 64/,
      () => {
        const model = JSON.stringify(document('Model', 'm', { id: 1 }));
        const deep = `${'['.repeat(1e6)}${']'.repeat(1e6)}`;
        return send('POST', '/apply', `{"documents":[${model.slice(0, -1)},"status":${deep}}]}`);
      },
    ],
    ['a kind of 4 MB', 422, /there is no kind x/, () => apply([{ kind: 'x'.repeat(4e6) }])],
    [
      'many unknown fields',
      422,
      /no such field/,
      () => {
        const fields = Object.fromEntries(numbers(100_000).map((i) => [`spek${i}`, 1]));
        return apply([document('Model', 'm', { id: 1 }, fields)]);
      },
    ],
    [
      'many references to nothing',
      422,
      /there is no/,
      () => {
        const links = numbers(3000).map((i) =>
          document('Link', `l${i}`, { from: { node: `nodes-${i}` }, to: { node: `other-${i}` } }),
        );
        const workers = numbers(3000).map((i) =>
          document('Worker', `node-${i}`, { control: `10.0.0.1:${i + 1}` }),
        );
        return apply([...links, ...workers]);
      },
    ],
    [
      'a circle of thousands',
      422,
      /circle: Service\/s0 -> .* -> \.\.\. -> Service\/s0/,
      () => {
        const models = numbers(4000).map((i) => document('Model', `m${i}`, { id: 1 + i }));
        const services = numbers(4000).map((i) =>
          document('Service', `s${i}`, { model: `m${i}`, fallback: `s${(i + 1) % 4000}` }),
        );
        return apply([...models, ...services]);
      },
    ],
    [
      'names of prototypes',
      422,
      /no kind __proto__/,
      () => apply([{ kind: '__proto__' }, { kind: 'toString' }]),
    ],
  ])('%s is refused with little work', async (_, status, message, work) => {
    const answer = await cpuMs(work);
    expect(answer).toMatchObject({ status, text: expect.stringMatching(message) });
    expect(answer.text).not.toContain('internal error');
    expect(answer.text.length).toBeLessThan(100_000);
    // Half a second on a quiet machine at most; what was mended took minutes.
    expect(answer.ms).toBeLessThan(8_000);
    expect((await objects.list()).objects).toEqual([]);
  });

  it('changes no prototype', async () => {
    const spec = '{"id":1,"__proto__":{"verdict":true}}';
    const text = `{"documents":[{"apiVersion":"intransit.dev/v1alpha1","kind":"Model","metadata":{"name":"m","labels":{"__proto__":"x"}},"spec":${spec}}]}`;
    expect((await send('POST', '/apply', text)).status).toBe(422);
    expect((await send('GET', '/constructor/__proto__', '')).status).toBe(404);
    expect(Reflect.get({}, 'verdict')).toBeUndefined();
  });

  it('finds no other files than those of the page', async () => {
    for (const path of [
      '..%2f..%2fpackage.json',
      '%2e%2e/package.json',
      '..\\package.json',
      '%00',
      'constructor',
    ]) {
      const answer = await send('GET', `/../../page/${path}`, '');
      expect(answer.status).toBe(404);
    }
  });

  it('that asks without a name may not keep its connection', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n');
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    await new Promise((resolve) => socket.once('close', resolve));
    expect(text).toMatch(/^HTTP\/1\.1 200 [\s\S]*connection: close/i);
  });
});
