/** Doors of HTTP, whatever is behind them: the controller's, and those of workers. */
import { request } from 'node:http';
import { connect } from 'node:net';
import { afterAll, describe, expect, it } from 'vitest';
import { type HttpDoor, openHttpDoor } from '../../src/doors/http.ts';

const doors: HttpDoor[] = [];
afterAll(() => {
  for (const door of doors) door.close();
});

async function door(): Promise<number> {
  const opened = await openHttpDoor({ address: '127.0.0.1:0', insecure: true }, 'test', (_, response) =>
    response.end('in'),
  );
  doors.push(opened);
  return Number(opened.address.split(':')[1]);
}

const ask = (port: number, headers: Record<string, string>, path = '/', method = 'GET'): Promise<string> =>
  new Promise((resolve, reject) => {
    const asked = request({ port, path, method, headers }, (response) => {
      let text = '';
      response.on('data', (data) => {
        text += data;
      });
      response.on('end', () => resolve(`${response.statusCode} ${text}`));
    });
    asked.on('error', reject);
    asked.end();
  });

describe('a door on loopback', async () => {
  const port = await door();

  it.each([
    ['its own page', { host: `127.0.0.1:${port}`, origin: `http://127.0.0.1:${port}` }],
    ['a program', { host: `localhost:${port}` }],
    ['one behind a tunnel', { host: 'localhost:8080' }],
    ['IPv6', { host: '[::1]:8080' }],
    ['no port', { host: 'localhost' }],
  ])('lets in %s', async (_, headers) => expect(await ask(port, headers)).toBe('200 in'));

  it.each([
    ['a page of elsewhere', { origin: 'https://evil.example' }],
    ['a page of another port', { origin: 'http://127.0.0.1:1' }],
    ['a sandbox', { origin: 'null' }],
    ['a name of elsewhere that leads here', { host: 'evil.example' }],
    [
      'its page, which asks as if it were ours',
      { host: 'evil.example:80', origin: 'http://evil.example:80' },
    ],
    ['a name that begins like ours', { host: 'localhost.evil.example:80' }],
    ['an address that begins like ours', { host: '127.0.0.1.evil.example' }],
  ])('does not let in %s', async (_, headers) => {
    for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS'])
      expect(await ask(port, headers, '/', method)).toMatch(/^403 .*(may not ask|no name of this machine)/);
  });

  it('has an answer to a path that is none', async () =>
    expect(await ask(port, { host: 'localhost' }, 'http://[::bad')).toBe('400 {"error":"the path is none"}'));

  it('does not wait for ever for what comes a byte at a time', async () => {
    const began = performance.now();
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => socket.write('x'), 500);
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(drip);
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(performance.now() - began).toBeGreaterThan(5_000);
  }, 60_000);
});
