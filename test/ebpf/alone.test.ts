import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'vitest';
import { flowOutcomes } from '../../src/backends/common/flow/outcomes.ts';
import { probeClang } from '../../src/bpf/index.ts';
import { EBPF_DIR } from '../../src/paths.ts';
import { temporaryFolder } from '../../src/temporary.ts';
import { compileBpf } from '../../src/toolchain/clang.ts';

const clang = await probeClang();
const missing = clang.answer === 'supported' ? undefined : clang.reason;

/** What a program defines before it includes the headers. */
const SHAPES = [
  'PORT=1',
  'FIRST_LAYER=0',
  'NEXT_LAYER=1',
  'LAYER_COUNT=1',
  'INPUT_ELEMENT=INTRANSIT_ELEMENT_INT8',
  'INPUTS=5',
  'OUTPUT_ELEMENT=INTRANSIT_ELEMENT_INT8',
  'OUTPUTS=3',
  'SCRATCH_BYTES=8',
  ...flowOutcomes.map(({ name }, i) => `FLOW_${name.toUpperCase()}=${i}`),
  `FLOW_OUTCOMES=${flowOutcomes.length}`,
  'FLOW_BUCKETS=4',
  'FLOW_KEEP=1000',
  'FLOW_CLOCK_NS=1',
  'FLOW_PAYLOAD=8',
  'FLOW_FEATURES=5',
  'FLOW_FEATURE_WORDS=1',
  'FLOW_KEPT=1',
].map((define) => `-DINTRANSIT_${define}`);

const FLOW_STATE = 'struct intransit_flow_state { unsigned long long key[2], verdict, begun, packets; };\n';

/** And where flows are classified at their ends. */
const AT_END = ['-DINTRANSIT_FLOW_AT_END=', '-DINTRANSIT_FLOW_TCP_CLOSE=1'];

/** What a program declares before it includes a header. */
const DECLARATIONS: Readonly<Record<string, string>> = {
  'intransit_flow.h': FLOW_STATE,
  'intransit_flow_act.h': FLOW_STATE,
};

describe.skipIf(missing !== undefined)(
  `hand-written eBPF compiles alone${missing ? ` (skipped: ${missing})` : ''}`,
  () => {
    for (const [name, title, more] of readdirSync(EBPF_DIR).flatMap((name): [string, string, string[]][] => [
      [name, name, []],
      ...(name in DECLARATIONS ? [[name, `${name}, at the end`, AT_END] as [string, string, string[]]] : []),
    ])) {
      it(title, async () => {
        using folder = temporaryFolder();
        const source = join(folder.path, 'alone.c');
        writeFileSync(source, `${DECLARATIONS[name] ?? ''}#include "${name}"\n`);
        const flags = [...SHAPES, ...more, '-Wno-unused-function', '-Wno-undefined-internal'];
        await compileBpf(source, join(folder.path, 'alone.o'), { includeDirs: [EBPF_DIR], flags });
      });
    }
  },
);
