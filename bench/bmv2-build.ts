import { insertion } from '../src/backends/common/entries.ts';
import { p4infoOf } from '../src/backends/common/p4info.ts';
import type { TableModel } from '../src/backends/common/table-model.ts';
import { median } from '../src/runtime/bench.ts';
import type { Bmv2Session } from '../src/runtime/bmv2/session.ts';
import { cpuOfPackets, openProgram, pin } from './bmv2-cpu.ts';

/** 8 kB of action data. */
const WORDS = 32;
const BITS = 2048;

const parameters = Array.from({ length: WORDS }, (_, i) => ({ name: `word${i}`, bits: BITS }));
const miss = { name: 'miss', id: 0x01_000002, parameters: [] };
const wide: TableModel = {
  name: 'wide',
  id: 0x02_000001,
  keys: [{ name: 'port', bits: 9, match: 'EXACT' }],
  actions: [{ name: 'hit', id: 0x01_000001, parameters }],
  defaultAction: miss,
  size: 1,
};

const TABLE = `    @id(0x01000001) @name(".hit") @noWarn("unused")
    action hit(${parameters.map((p) => `bit<${p.bits}> ${p.name}`).join(', ')}) {}
    @id(0x01000002) @name(".miss")
    action miss() {}
    @id(0x02000001) @name(".wide")
    table wide {
        key = { standard.ingress_port: exact @name("port"); }
        actions = { hit; @defaultonly miss; }
        const default_action = miss();
        size = 1;
    }
`;

/** Which build of BMv2 is on the PATH, and what a packet that hits an entry of 8 kB costs it beside one that misses. */
export interface Bmv2Build {
  /** Whether its logging macros were compiled in, as in the P4 project's packages and images: entries become text. */
  readonly logging: boolean;
  readonly hitUs: number;
  readonly missUs: number;
}

/** A build without the macros takes as long for a hit as for a miss; one with them several times as long. */
const LOGGING_RATIO = 1.5;
const ROUNDS = 5;
const PORT_IN = 1;

export async function whichBuild(packets: number): Promise<Bmv2Build> {
  const p4info = p4infoOf({ tables: [wide], counters: [], digests: [] });
  const session: Bmv2Session = await openProgram({ locals: TABLE, statement: 'wide.apply();', p4info });
  try {
    pin(session);
    const frame = [new Uint8Array(100).fill(1)];
    const entry = {
      table: wide,
      keys: [PORT_IN],
      action: wide.actions[0]!,
      parameters: parameters.map(() => (1n << BigInt(BITS)) - 1n),
    };
    const { entity } = insertion(entry);
    const hits: number[] = [];
    const misses: number[] = [];
    await cpuOfPackets(session, frame, packets);
    for (let round = 0; round < ROUNDS; round++) {
      misses.push(await cpuOfPackets(session, frame, packets));
      await session.device.client.insert([entity!]);
      hits.push(await cpuOfPackets(session, frame, packets));
      await session.device.client.delete([entity!]);
    }
    const [hitUs, missUs] = [median(hits), median(misses)];
    return { logging: hitUs > LOGGING_RATIO * missUs, hitUs, missUs };
  } finally {
    await session.close();
  }
}
