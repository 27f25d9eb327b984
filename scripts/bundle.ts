/**
 * Puts the built command line and the libraries that it uses into one file, what an agent needs of it into another, and what
 * V8 makes of each beside it: an agent that starts again serves in a fraction of the time. Part of `npm run build`.
 *
 * `--cache FILE` makes what V8 makes of that one, in a process that has done nothing else.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { bundleFile, codeCacheOf, loadBundle } from '../src/cli/bundled.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = join(ROOT, 'dist');
const BUNDLES = join(DIST, 'bundle');
/** Libraries with compiled parts of their own, which are found beside them. */
const EXTERNAL = ['koffi', 'libsql', 'onnxruntime-node'];

/** Files beside the program are named from where a module stands, also when it stands in a bundle. */
const places: Plugin = {
  name: 'places of modules',
  setup({ onLoad }) {
    onLoad({ filter: /\.js$/ }, ({ path }) => {
      if (!path.startsWith(DIST)) return undefined;
      const url = `new URL(${JSON.stringify(relative(BUNDLES, path))}, __bundle_url).href`;
      return { contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url), loader: 'js' };
    });
  },
};

/** Modules of ours do nothing when they are loaded: one of which nothing is used need not be there. */
const unused: Plugin = {
  name: 'modules of which nothing is used',
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\// }, ({ path, resolveDir }) =>
      resolveDir.startsWith(DIST) ? { path: join(resolveDir, path), sideEffects: false } : undefined,
    );
  },
};

/** Messages of zod in fifty languages, half of its code: English is what is used. */
const english: Plugin = {
  name: 'messages in English alone',
  setup({ onLoad }) {
    onLoad({ filter: /\/zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

/** One command alone; the other ones are empty. */
const only = (command: string): Plugin => ({
  name: `${command} alone`,
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^\.\/commands\// }, ({ path, importer }) =>
      basename(path) === `${command}.js` || basename(importer) !== 'run.js'
        ? undefined
        : { path, namespace: 'other-command' },
    );
    onLoad({ filter: /./, namespace: 'other-command' }, () => ({ contents: 'export {};' }));
  },
});

/** What the licences of the libraries ask for. */
function licences({ inputs }: Metafile): string {
  const folders = new Set(
    Object.keys(inputs).flatMap((file) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  );
  return [...folders]
    .sort()
    .map((folder) => {
      const file = readdirSync(join(ROOT, folder)).find((name) => /^licen[cs]e/i.test(name));
      const { name, version, license } = JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
      const text = file === undefined ? '' : readFileSync(join(ROOT, folder, file), 'utf8');
      return `${name} ${version}: ${license}\n\n${text.trim()}\n`;
    })
    .join('\n---\n\n');
}

async function bundle(name: string, plugins: readonly Plugin[]): Promise<Metafile> {
  const file = join(BUNDLES, bundleFile(name));
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [join(DIST, 'cli/program.js')],
    outfile: file,
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    supported: { 'dynamic-import': false },
    external: EXTERNAL,
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
    banner: { js: '(function (require, module, exports, __bundle_url) {' },
    footer: { js: '})' },
    plugins: [...plugins, unused, places, english],
  });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  if (/[^\x00-\x7f]/.test(readFileSync(file, 'utf8'))) throw new Error(`${file} is not all ASCII`);
  const self = [...process.execArgv, fileURLToPath(import.meta.url), '--cache', file];
  const { status } = spawnSync(process.execPath, self, { stdio: 'ignore' });
  if (status !== 0 || !existsSync(codeCacheOf(file))) throw new Error(`no code cache of ${file} was made`);
  return metafile;
}

/** With the code of an agent that starts: of one that is not there it loads all, and does nothing. */
async function cache(file: string): Promise<void> {
  const { script, program } = loadBundle(file, undefined);
  process.argv.splice(2, process.argv.length, 'agent', '--reset-elections', 'none');
  await program.main();
  writeFileSync(codeCacheOf(file), script.createCachedData());
  process.exitCode = 0;
}

const [option, file] = process.argv.slice(2);
if (option === '--cache') await cache(file!);
else {
  const all = await bundle('program', []);
  await bundle('agent', [only('agent')]);
  writeFileSync(join(BUNDLES, 'LICENSES.txt'), licences(all));
}
