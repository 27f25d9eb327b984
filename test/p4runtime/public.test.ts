import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { P4RuntimeError } from '../../src/p4runtime/errors.ts';
import { generateTypes } from '../../src/p4runtime/generate-types.ts';
import { P4Client } from '../../src/p4runtime/p4-client.ts';
import type { PipelineConfig } from '../../src/p4runtime/pipeline.ts';
import { P4Program } from '../../src/p4runtime/program.ts';
import { p4InfoText } from '../../src/p4runtime/text.ts';
import { parseP4Info } from '../../src/p4runtime/text-parse.ts';
import { type Switch, startSwitch } from './support/bmv2.ts';
import { findPublicFiles, publicFolder, publicReason } from './support/public.ts';
import { bmv2Reason, haveBmv2, runTool, temporaryFolder } from './support/tools.ts';

const files =
  publicFolder === undefined ? { p4infos: [], pairs: [], samples: [] } : findPublicFiles(publicFolder);
/** Of p4c's samples that many, spread over all; `all` takes every one. */
const wanted = process.env.P4RUNTIME_PUBLIC_SAMPLES ?? '12';
const root = fileURLToPath(new URL('../..', import.meta.url));

/** P4Infos that contradict the standard, and what of them does. */
const FAULTY: readonly (readonly [file: string, fault: string])[] = [
  ['p4_16_errors_outputs/issue1803_same_table_name.p4.p4info.txt', 'two of table have id'],
  ['stratum/hal/lib/p4/testdata/tor_p4_info.pb.txt', 'has id 0'],
];

describe.skipIf(publicFolder === undefined)(`P4Infos of public projects${publicReason}`, () => {
  test(`${files.p4infos.length} of them are read, known by names, and printed`, () => {
    expect(files.p4infos.length).toBeGreaterThan(0);
    for (const file of files.p4infos) {
      const p4info = parseP4Info(readFileSync(file));
      expect(parseP4Info(Buffer.from(p4InfoText(p4info))), file).toEqual(p4info);
      const fault = FAULTY.find(([name]) => file.endsWith(name))?.[1];
      if (fault === undefined)
        expect(new P4Program(p4info).index.tables.size, file).toBe(p4info.tables.length);
      else expect(() => new P4Program(p4info), file).toThrow(fault);
    }
  }, 120_000);

  test('the types of all compile under every strict option', async () => {
    const folder = temporaryFolder();
    try {
      const modules = join(folder.path, 'node_modules');
      mkdirSync(join(modules, 'p4runtime-js'), { recursive: true });
      writeFileSync(join(modules, 'p4runtime-js/index.d.ts'), MATCHES);
      writeFileSync(
        join(modules, 'p4runtime-js/package.json'),
        '{ "types": "index.d.ts", "type": "module" }',
      );
      writeFileSync(join(folder.path, 'package.json'), '{ "type": "module" }');
      const sound = files.p4infos.filter((file) => !FAULTY.some(([name]) => file.endsWith(name)));
      const names = sound.map((file, i) => {
        writeFileSync(join(folder.path, `p${i}.ts`), generateTypes(parseP4Info(readFileSync(file))));
        return `p${i}.ts`;
      });
      writeFileSync(
        join(folder.path, 'tsconfig.json'),
        JSON.stringify({ compilerOptions: STRICT, files: names }),
      );
      const tsc = join(root, 'node_modules/typescript/bin/tsc');
      expect(await runTool(process.execPath, [tsc, '-p', folder.path])).toEqual({ ok: true, said: '' });
    } finally {
      folder.remove();
    }
  }, 300_000);
});

/** What generated modules import, so that the package need not be built. */
const MATCHES = `export interface LpmValue { readonly value: unknown; readonly prefix: number }
export interface TernaryValue { readonly value: unknown; readonly mask: unknown }
export interface RangeValue { readonly low: unknown; readonly high: unknown }
`;

const STRICT = {
  noEmit: true,
  target: 'es2022',
  module: 'nodenext',
  types: [],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noUnusedLocals: true,
  noUnusedParameters: true,
  noImplicitReturns: true,
  noImplicitOverride: true,
  noFallthroughCasesInSwitch: true,
  noUncheckedSideEffectImports: true,
  allowUnreachableCode: false,
  isolatedModules: true,
  isolatedDeclarations: true,
  declaration: true,
  verbatimModuleSyntax: true,
  erasableSyntaxOnly: true,
  forceConsistentCasingInFileNames: true,
};

/** BMv2, started anew after each refusal: from then on it refuses every other program too. */
class Bench implements AsyncDisposable {
  #bmv2: Switch | undefined;
  #client: P4Client | undefined;

  async client(): Promise<P4Client> {
    if (this.#client?.state().kind === 'primary') return this.#client;
    await this[Symbol.asyncDispose]();
    this.#bmv2 = await startSwitch();
    this.#client = new P4Client({ address: this.#bmv2.address, deviceId: 1, reconnect: false });
    await this.#bmv2.ready();
    await this.#client.connect();
    return this.#client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close();
    await this.#bmv2?.kill();
    this.#client = undefined;
    this.#bmv2 = undefined;
  }

  /** @returns undefined where it was taken, the device's code where it was not; our own refusals are thrown */
  async outcome(push: (client: P4Client) => Promise<unknown>): Promise<number | undefined> {
    try {
      await push(await this.client());
      return undefined;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      if (error instanceof P4RuntimeError && error.code !== undefined && error.call !== undefined)
        return error.code;
      throw error;
    }
  }

  /** As BMv2 takes it raw, so `ensure` has to take it; and once it is there, it is there. */
  async compare(name: string, config: PipelineConfig): Promise<boolean> {
    const raw = await this.outcome((c) => c.pipeline.commit({ ...config, cookie: 1n, check: false }));
    const ensured = await this.outcome((c) => c.pipeline.ensure(config));
    expect(ensured, name).toBe(raw);
    if (raw !== undefined) return false;
    expect(await (await this.client()).pipeline.ensure(config), name).toBe(false);
    return true;
  }
}

describe.skipIf(publicFolder === undefined || !haveBmv2)(
  `programs of public projects on BMv2${publicReason || bmv2Reason}`,
  () => {
    test.skipIf(files.pairs.length === 0)(
      `${files.pairs.length} pairs of P4Info and JSON push as BMv2 takes them raw`,
      async () => {
        await using bench = new Bench();
        let taken = 0;
        for (const { p4info, json } of files.pairs) {
          const config = { p4info: parseP4Info(readFileSync(p4info)), deviceConfig: readFileSync(json) };
          if (await bench.compare(json, config)) taken++;
        }
        console.log(`BMv2 takes ${taken} of ${files.pairs.length} pairs`);
        expect(taken).toBeGreaterThan(0);
      },
      300_000,
    );

    const none = files.samples.length === 0 ? ' (skipped: there are none in the folder)' : '';
    test.skipIf(none !== '')(
      `p4c’s samples for v1model push as BMv2 takes them raw${none}`,
      async () => {
        const step = wanted === 'all' ? 1 : Math.max(1, Math.floor(files.samples.length / Number(wanted)));
        const chosen = files.samples.filter((_, i) => i % step === 0);
        await using bench = new Bench();
        const folder = temporaryFolder();
        const [info, json] = [join(folder.path, 'p4info.txt'), join(folder.path, 'program.json')];
        let [compiled, taken] = [0, 0];
        try {
          for (const sample of chosen) {
            const args = ['p4c-bm2-ss', '--p4runtime-files', info, '-o', json, sample];
            if (!(await runTool('nice', args)).ok) continue;
            compiled++;
            const config = { p4info: parseP4Info(readFileSync(info)), deviceConfig: readFileSync(json) };
            if (await bench.compare(sample, config)) taken++;
          }
        } finally {
          folder.remove();
        }
        console.log(`of ${chosen.length} samples p4c compiles ${compiled}, BMv2 takes ${taken}`);
        expect(taken).toBeGreaterThan(0.9 * compiled);
      },
      3_600_000,
    );
  },
);
