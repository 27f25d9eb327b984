import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith, fixture, loading, sh } from './support.ts';

describeWith(loading, 'without root', () => {
  it('loading is not permitted, and the probes tell why', async () => {
    const script = join(import.meta.dirname, 'fixtures', 'load-and-report.ts');
    const viteNode = join(import.meta.dirname, '../../node_modules/.bin/vite-node');
    const object = await fixture('rewrite');
    // Root keeps its name, so that it may read the checkout, but has no capability.
    const report = JSON.parse(
      sh('setpriv', '--bounding-set=-all', '--inh-caps=-all', viteNode, script, object),
    );
    expect(report).toMatchObject({
      code: 'bpf-permission',
      remedy: expect.stringContaining('run as root'),
    });
    const answers = Object.fromEntries(
      report.probes.map((p: { feature: string; answer: string }) => [p.feature, p.answer]),
    );
    expect(answers).toMatchObject({
      libbpf: 'supported',
      privilege: 'unsupported',
      'xdp-program': 'unknown',
    });
  });
});
