import { expect, test } from 'vitest';
import { suggestions } from '../../src/p4runtime/suggestions.ts';

test.each([
  ['Devise', ['Device', 'Link', 'Job'], ['Device']],
  ['Foo', ['Device', 'Link', 'Job'], []],
  ['s7', ['s1', 's10', 'device'], ['s1']],
  ['ipv4', ['MyIngress.ipv4_lpm', 'acl'], ['MyIngress.ipv4_lpm']],
  ['MyIngress.ipv4_lpn', ['MyIngress.ipv4_lpm', 'acl'], ['MyIngress.ipv4_lpm']],
  ['teh', ['the', 'a'], ['the']],
  ['x'.repeat(100), ['x'.repeat(99)], []],
])('for %s what may have been meant is offered, and nothing else', (wrong, names, expected) => {
  expect(suggestions(wrong, names)).toEqual(expected);
});
