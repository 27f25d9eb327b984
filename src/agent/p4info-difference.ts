import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../p4runtime/index.ts';

const KINDS = ['tables', 'actions', 'counters', 'meters', 'digests'] as const;

interface Named {
  readonly preamble?: { readonly name: string };
}

/** What sets a P4Info apart from the one that a program has; undefined where nothing does. */
export function p4infoDifference(expected: Config<'P4Info'>, given: Config<'P4Info'>): string | undefined {
  const name = (item: Named) => item.preamble?.name ?? '';
  for (const kind of KINDS) {
    const [own, other]: readonly (readonly Named[])[] = [expected[kind], given[kind]];
    for (const item of own!) {
      const found = other!.find((o) => name(o) === name(item));
      const what = `${kind.slice(0, -1)} ${name(item)}`;
      if (found === undefined) return `it lacks ${what}`;
      if (!isDeepStrictEqual(found, item)) return `its ${what} is another`;
    }
    const surplus = other!.find((item) => !own!.some((o) => name(o) === name(item)));
    if (surplus !== undefined) return `the program has no ${kind.slice(0, -1)} ${name(surplus)}`;
  }
  return isDeepStrictEqual(expected.typeInfo, given.typeInfo) ? undefined : 'its types are others';
}
