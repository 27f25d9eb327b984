import { randomMlp } from './models.ts';
for (let s = 0; s < 60; s++) { const t = Date.now(); process.stdout.write(`${s} `); try { const m = randomMlp(s); process.stdout.write(`${m.layers.length} ${Date.now() - t}ms\n`);} catch (e: any) { console.log(String(e.message).slice(0,200)); } }
