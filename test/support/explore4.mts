import { modelOf } from './models.ts';
import { compareXdp, foretold } from './xdp.ts';
import { planOrRefuse, loadXdp } from '../../src/engines/xdp.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
const g = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
for (const n of [1, 2, 8, 16, 32, 64]) {
  const m = modelOf({ ...g, shape: [n] }, [{ kind: 'argmax' }]);
  const p = planOrRefuse(m, {}); using d = await loadXdp(p);
  console.log('argmax', n, foretold(p), d.program.verifiedInstructions);
}
for (const n of [1, 8, 64,256]) {
  const m = modelOf({ ...g, shape: [n] }, [{ kind: 'requantise', output: {...g, scale: 2} }]);
  const p = planOrRefuse(m, {}); using d = await loadXdp(p);
  console.log('requantise', n, foretold(p), d.program.verifiedInstructions);
}
