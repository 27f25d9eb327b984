import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programPolicy } from '../../src/agent/program-policy.ts';
import { decodeDeviceConfig, encodeDeviceConfig } from '../../src/backends/xdp/device-config.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { checkObject, type Loader, startLoader } from '../../src/bpf/index.ts';
import { importModel } from '../../src/import/index.ts';
import { buildXdp, planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { random } from '../../test/support/random.ts';
import { type Attack, MOST_FAULTS } from './attack.ts';

const OBJECTS = 4_000;

/** One byte of a program changed, again and again: what a controller that is not ours might push. */
export const objects: Attack = {
  name: 'damaged objects',
  what: 'an object that ends the agent’s process instead of its loader’s, or leaves it without an answer',
  lacks: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  async run({ seed, scale }) {
    const folder = mkdtempSync(join(tmpdir(), 'itattack-'));
    let loader: Loader | undefined;
    const figures = { objects: Math.round(OBJECTS * scale), loaded: 0, refused: 0, crashes: 0 };
    const faults: string[] = [];
    try {
      const { model } = await importModel('examples/traffic-mlp.onnx');
      const plan = planOrRefuse(model, { weights: 'runtime' });
      const elf = readFileSync(await buildXdp(emitXdp(plan), folder));
      const config = decodeDeviceConfig(encodeDeviceConfig([{ index: 0, source: '', manifest: plan, elf }]));
      if (config.kind !== 'requests') throw new Error('a program of requests was encoded');
      const policy = programPolicy(config.programs[0]!);
      const options = { name: 'intransit', policy, globals: { intransit_agent: 1 }, timeoutMs: 30_000 };
      const r = random(seed);
      for (let i = 0; i < figures.objects; i++) {
        const mutant = Buffer.from(elf);
        mutant[r.int(0, mutant.length - 1)] = r.int(0, 255);
        try {
          checkObject(mutant, policy);
          loader ??= startLoader();
          figures[(await loader.load(mutant, options)).ok ? 'loaded' : 'refused']++;
        } catch (error) {
          const text = error instanceof Error ? error.message : String(error);
          figures[text.includes('the loader died') ? 'crashes' : 'refused']++;
          if (text.includes('the loader died')) loader = undefined;
          else if (!text.startsWith('the object ') && faults.length < MOST_FAULTS)
            faults.push(`object ${i}: ${text}`);
        }
      }
    } finally {
      loader?.end();
      rmSync(folder, { recursive: true, force: true });
    }
    return { figures, faults };
  },
};
