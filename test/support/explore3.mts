import { randomMlp } from './models.ts';
import { random, randomRows } from './random.ts';
import { planXdp } from '../../src/backends/xdp/plan.ts';
import { emitXdp } from '../../src/backends/xdp/emit.ts';
import { xdpNeeds } from '../../src/backends/xdp/needs.ts';
for (let s = 0; s < 10; s++) { const m = randomMlp(s); console.log(s, 'model'); randomRows(random(s ^ 0xabcdef), 24, m.input.shape[0]!); console.log('rows'); const {plan} = planXdp(m, {mtu: 4000}); console.log('plan'); xdpNeeds(plan!); console.log('needs'); emitXdp(plan!); console.log('emit'); }
