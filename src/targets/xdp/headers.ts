import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EBPF_DIR } from '../../paths.ts';

/** What generated source includes: with it beside the source the program builds anywhere. */
export const headers = (): (readonly [name: string, text: string])[] =>
  readdirSync(EBPF_DIR)
    .filter((name) => name.endsWith('.h'))
    .sort()
    .map((name) => [name, readFileSync(join(EBPF_DIR, name), 'utf8')]);
