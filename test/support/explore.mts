import { randomMlp, randomCnn } from './models.ts';
import { random, randomRows } from './random.ts';
import { compareXdp, inParallel, foretold } from './xdp.ts';
import { planXdp } from '../../src/backends/xdp/plan.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { outputType } from '../../src/model/model.ts';
const kind = process.argv[2]!, from = Number(process.argv[3]), to = Number(process.argv[4]);
const options = JSON.parse(process.argv[5] ?? '{}');
const t0 = Date.now();
const seeds = Array.from({ length: to - from }, (_, i) => from + i);
const ratios: number[] = [];
const res = await inParallel(seeds, 3, async (seed) => {
  try {
    const model = (kind === 'mlp' ? randomMlp : randomCnn)(seed);
    const rows = randomRows(random(seed ^ 0xabcdef), 24, elementCount(model.input.shape));
    const o = { mtu: 4000, ...options };
    const c = await compareXdp(model, o, rows);
    ratios.push(c.foretold / c.verified);
    if (c.mismatches || c.foretold < c.verified || c.foretold > 3 * c.verified) console.log(seed, JSON.stringify(c), (c.foretold/c.verified).toFixed(2), model.input.shape.join('x'), model.layers.map((l) => `${l.kind}:${l.output.shape.join('x')}`).join(' '));
    return c;
  } catch (e: any) { console.log(seed, 'ERR', String(e.message ?? e).slice(0, 400), e.name === 'DiagnosticError' ? '' : e.stack); }
});
ratios.sort((a, b) => a - b);
console.log('n', ratios.length, 'ratio min/median/max', ratios[0], ratios[ratios.length >> 1], ratios.at(-1), 'ms', Date.now() - t0);
