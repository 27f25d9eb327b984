/**
 * Compiles and loads random layers of every kernel size that the needs accept: neither clang nor the verifier may refuse
 * what `inspect` foretold to fit, and nothing may take more stack or walk more instructions than foretold.
 *
 *     npx tsx bench/xdp-shapes.ts [count] [first seed]
 */
import { xdpNeeds } from '../src/backends/xdp/needs.ts';
import { planXdp } from '../src/backends/xdp/plan.ts';
import { DiagnosticError } from '../src/diagnostics/index.ts';
import { loadXdp } from '../src/runtime/xdp/engine.ts';
import { randomShapes } from '../test/support/shapes.ts';
import { inParallel } from '../test/support/xdp.ts';

const [count = 300, first = 0] = process.argv.slice(2).map(Number);
const seeds = Array.from({ length: count }, (_, i) => first + i);
let refused = 0;
let loaded = 0;
const faults: string[] = [];

await inParallel(seeds, 2, async (seed) => {
  const { model, options, title } = randomShapes(seed);
  const { plan, diagnostics } = planXdp(model, options);
  const needs = plan === undefined ? [] : xdpNeeds(plan);
  if (plan === undefined || diagnostics.length > 0 || needs.some((n) => n.need > n.limit)) {
    refused++;
    return;
  }
  try {
    using device = await loadXdp(plan);
    loaded++;
    const need = (resource: string) => needs.find((n) => n.resource === resource)!.need;
    const { verifiedInstructions = 0, stackBytes = [] } = device.program.stats ?? {};
    if (verifiedInstructions > need('verified instructions'))
      faults.push(`${title}: walks ${verifiedInstructions}, foretold ${need('verified instructions')}`);
    const [program = 0, ...bodies] = stackBytes;
    const deepest = bodies.sort((a, b) => b - a).slice(0, 2);
    const stack = program + deepest.reduce((sum, bytes) => sum + bytes, 0);
    if (stack > need('stack'))
      faults.push(`${title}: stack ${stackBytes.join('+')}, foretold ${need('stack')}`);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    faults.push(`${title}: ${error.message.split('\n')[0]!.slice(0, 200)}`);
  }
});

for (const fault of faults) console.log(fault);
console.log(`${count} shapes: ${loaded} loaded, ${refused} refused by the needs, ${faults.length} faults`);
process.exitCode = faults.length === 0 ? 0 : 1;
