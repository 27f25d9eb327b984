import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { PAGE_DIR } from '../../paths.ts';
import { refuseRequest } from './http.ts';
import type { Route } from './routes.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Nothing of the page comes from elsewhere, and nobody frames it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page's files, read once: there are few. */
const files: ReadonlyMap<string, Buffer> = new Map(
  readdirSync(PAGE_DIR)
    .filter((name) => extname(name) in TYPES)
    .map((name) => [name, readFileSync(join(PAGE_DIR, name))]),
);

const file = (path: string, nameOf: (parameters: Readonly<Record<string, string>>) => string): Route => ({
  method: 'GET',
  path,
  right: 'read',
  summary: 'The page',
  answers: async ({ response, parameters }) => {
    const name = nameOf(parameters);
    const bytes = files.get(name);
    if (bytes === undefined) return refuseRequest('NotFound', 'there is no such file of the page', 'go to /');
    response.writeHead(200, {
      'content-type': TYPES[extname(name)],
      'content-security-policy': POLICY,
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
    });
    response.end(bytes);
  },
});

/** The page of the controller, and the files that it loads. */
export const pageRoutes: readonly Route[] = [
  file('/', () => 'index.html'),
  file('/page/{name}', ({ name }) => name ?? ''),
];
