import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EBPF_DIR } from '../../src/paths.ts';
import { wireHeaderC, wireHeaderDocs, wireHeaderP4 } from '../../src/wire/generate.ts';
import { fieldOffset, HEADER_BYTES, headerFields, packetOutcomes } from '../../src/wire/index.ts';
import { testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';

describe('generated files', () => {
  it.each([
    ['ebpf/intransit_wire.h', wireHeaderC],
    ['p4/intransit_wire.p4', wireHeaderP4],
    ['docs/wire.md', wireHeaderDocs],
  ])('%s is up to date', (path, make) => {
    expect(readFileSync(join(import.meta.dirname, '../..', path), 'utf8')).toBe(make());
  });
});

describeWithTools(['gcc'], 'the C header', () => {
  it('has the size, offsets and counters of the definition', () => {
    const snake = (name: string) => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);
    const asserts = [
      `sizeof(struct intransit_header) == ${HEADER_BYTES}`,
      `INTRANSIT_HEADER_BYTES == ${HEADER_BYTES}`,
      `INTRANSIT_OUTCOMES == ${packetOutcomes.length}`,
      ...packetOutcomes.map(({ name }, i) => `INTRANSIT_${name.toUpperCase()} == ${i}`),
      ...headerFields.flatMap(({ name, bits }) => [
        `offsetof(struct intransit_header, ${snake(name)}) == ${fieldOffset(name)}`,
        `sizeof(((struct intransit_header *)0)->${snake(name)}) == ${bits / 8}`,
      ]),
    ];
    const source = join(testFolder(), 'layout.c');
    writeFileSync(
      source,
      [
        '#include <stddef.h>',
        '#include "intransit_wire.h"',
        ...asserts.map((a) => `_Static_assert(${a}, "${a}");`),
      ].join('\n'),
    );
    execFileSync('gcc', ['-Wall', '-Werror', '-fsyntax-only', `-I${EBPF_DIR}`, source]);
  });
});
