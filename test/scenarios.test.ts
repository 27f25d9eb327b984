import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { intransit, testFolder } from './support/io.ts';

/**
 * Golden folders: `scenarios/NAME/model.json` and `options.json` (options of compile) give `output/` and
 * `diagnostics.txt`. INTRANSIT_UPDATE_GOLDEN=1 writes them anew; look at the difference before you keep it.
 */
const SCENARIOS = join(import.meta.dirname, 'scenarios');
const update = process.env.INTRANSIT_UPDATE_GOLDEN === '1';

/** Copies of files in `ebpf/` and `p4/`, which are tested there. */
const HEADERS = /^intransit_(.*\.h|(wire|headers|pipeline)\.p4)$/;

const folder = testFolder();

/** Relative path to text; bytes that are no text as hex. */
function filesBelow(dir: string): Map<string, string> {
  const files = new Map<string, string>();
  if (!existsSync(dir)) return files;
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile() || HEADERS.test(entry.name)) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    files.set(relative(dir, path), entry.name.endsWith('.bin') ? hexLines(bytes) : bytes.toString('utf8'));
  }
  return new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const hexLines = (bytes: Buffer): string => `${bytes.toString('hex').replaceAll(/.{64}/g, '$&\n')}\n`;

/** What a scenario's files should be: `output/...` and `diagnostics.txt`. */
async function compiled(name: string): Promise<Map<string, string>> {
  const dir = join(SCENARIOS, name);
  const output = join(folder, name);
  const options = JSON.parse(readFileSync(join(dir, 'options.json'), 'utf8')) as Record<
    string,
    string | number
  >;
  const flags = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const model = join(dir, 'model.json');
  const { code, err } = await intransit('compile', model, '-o', output, '--no-build', ...flags);
  const wanted = new Map<string, string>();
  for (const [path, text] of filesBelow(output))
    wanted.set(join('output', path.replace(/\.bin$/, '.bin.hex')), text);
  wanted.set('diagnostics.txt', `${err.replaceAll(model, 'model.json')}exit ${code}\n`);
  return wanted;
}

/** What is there, but for what it is made from. */
const golden = (name: string): Map<string, string> => {
  const files = filesBelow(join(SCENARIOS, name));
  for (const source of ['model.json', 'options.json']) files.delete(source);
  return files;
};

function write(name: string, files: ReadonlyMap<string, string>): void {
  const dir = join(SCENARIOS, name);
  rmSync(join(dir, 'output'), { recursive: true, force: true });
  for (const [path, text] of files) {
    mkdirSync(join(dir, path, '..'), { recursive: true });
    writeFileSync(join(dir, path), text);
  }
}

describe('scenarios', () => {
  const names = readdirSync(SCENARIOS, { withFileTypes: true }).filter((e) => e.isDirectory());

  it.each(names.map(({ name }) => name))('%s', async (name) => {
    const wanted = await compiled(name);
    if (update) write(name, wanted);
    const actual = golden(name);
    expect([...actual.keys()].sort()).toEqual([...wanted.keys()].sort());
    for (const [path, text] of wanted) expect([path, actual.get(path)]).toEqual([path, text]);
  });
});
