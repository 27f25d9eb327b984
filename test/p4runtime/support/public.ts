import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

/** Clones of public repositories, in folders of one folder, which this variable names. */
export const publicFolder = process.env.P4RUNTIME_PUBLIC;
/** For titles of skipped tests. */
export const publicReason = publicFolder === undefined ? ' (skipped: P4RUNTIME_PUBLIC names no folder)' : '';

const LARGEST_BYTES = 8 * 2 ** 20;

function* walk(folder: string): Generator<string> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name === '.git' || entry.name === 'node_modules') continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else if (entry.isFile() && statSync(path).size <= LARGEST_BYTES) yield path;
  }
}

const P4INFO = /p4_?info[^/]*\.(?:txt|txtpb|textproto|bin)$/i;
/** Other schemas that are named after P4Info, and what Python prints of one. */
const OTHER = /schema|\.(?:repr|str)\.txt$/i;

export interface PublicFiles {
  readonly p4infos: readonly string[];
  /** P4Info and BMv2's JSON of the same program. */
  readonly pairs: readonly { readonly p4info: string; readonly json: string }[];
  /** Programs for v1model among p4c's samples. */
  readonly samples: readonly string[];
}

const stem = (path: string): string =>
  basename(path).replace(/(?:\.p4)?\.?p4_?info.*$|\.json$/i, '') || 'the only one';

/** Of one folder: the JSON of the same name, or `bmv2.json` beside a P4Info without a name of its own. */
function jsonOf(p4info: string, jsons: ReadonlySet<string>): string | undefined {
  const folder = dirname(p4info);
  return [`${stem(p4info)}.json`, 'bmv2.json']
    .map((name) => join(folder, name))
    .find((path) => jsons.has(path));
}

export function findPublicFiles(folder: string): PublicFiles {
  const all = [...walk(folder)].sort();
  const p4infos = all.filter((path) => P4INFO.test(path) && !OTHER.test(basename(path)));
  const jsons = new Set(
    all.filter((path) => path.endsWith('.json') && readFileSync(path).includes('"__meta__"')),
  );
  const pairs = p4infos.flatMap((p4info) => {
    const json = jsonOf(p4info, jsons);
    return json === undefined ? [] : [{ p4info, json }];
  });
  const samples = all.filter(
    (path) => /\/p4_16_samples\/[^/]*\.p4$/.test(path) && readFileSync(path).includes('v1model.p4'),
  );
  return { p4infos, pairs, samples };
}
