import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import Handlebars from 'handlebars';
import { describe, expect, it } from 'vitest';
import { xdpView } from '../src/backends/xdp/emit.ts';
import { xdpFlowView } from '../src/backends/xdp/flow/emit.ts';
import { planXdpFlow } from '../src/backends/xdp/flow/plan.ts';
import { planXdp } from '../src/backends/xdp/plan.ts';
import { deviceDefinitions } from './flow/definitions.ts';
import { randomMlp } from './support/models.ts';

const FOLDER = fileURLToPath(new URL('../templates', import.meta.url));

/** A view-model of each template. */
const samples: Readonly<Record<string, object>> = {
  'xdp.c.hbs': xdpView(planXdp(randomMlp(1), { mtu: 9000 }).plan!),
  'xdp-flow.c.hbs': xdpFlowView(
    planXdpFlow({ ...deviceDefinitions.everything!, occasion: { kind: 'powers-of-two' } }, randomMlp(1))
      .plan!,
  ),
};

/** Paths that a template reads, with `each` blocks as `list[]`. */
function paths(body: hbs.AST.Program, at = ''): string[] {
  return body.body.flatMap((node): string[] => {
    if (node.type === 'MustacheStatement') return [at + pathOf((node as hbs.AST.MustacheStatement).path)];
    if (node.type !== 'BlockStatement') return [];
    const block = node as hbs.AST.BlockStatement;
    expect((block.path as hbs.AST.PathExpression).original).toBe('each');
    const list = at + pathOf(block.params[0]!);
    return [list, ...paths(block.program, `${list}[].`)];
  });
}

const pathOf = (node: object): string => String((node as hbs.AST.PathExpression).original);

function has(view: unknown, path: string): boolean {
  const [head, ...rest] = path.split('[].');
  const value = head === 'this' ? view : (view as Record<string, unknown>)[head!];
  if (rest.length === 0) return value !== undefined;
  return Array.isArray(value) && value.length > 0 && value.every((item) => has(item, rest.join('[].')));
}

describe('templates', () => {
  for (const name of readdirSync(FOLDER)) {
    const text = readFileSync(`${FOLDER}/${name}`, 'utf8');
    it(`${name} reads only what its view-model has`, () => {
      const read = paths(Handlebars.parse(text));
      expect(read.length).toBeGreaterThan(0);
      for (const path of read) expect(has(samples[name], path), path).toBe(true);
    });

    it(`${name} escapes nothing`, () => {
      // A double brace would print `bit&lt;32&gt;` were noEscape ever forgotten.
      expect(text.replace(/\{\{\{[^}]*\}\}\}/g, '')).not.toMatch(/\{\{(?![#/])/);
    });
  }
});
