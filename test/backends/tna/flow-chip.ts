import { functionRows, type Placed } from '../../../src/backends/tna/flow/front.ts';
import type { FlowFront } from '../../../src/backends/tna/flow/plan.ts';
import type { FlowRegister } from '../../../src/backends/tna/flow/registers.ts';
import type { FunctionTable, Operand } from '../../../src/backends/tna/flow/sources.ts';
import type { FieldName } from '../../../src/features/fields.ts';
import type { ParsedPacket } from '../../../src/features/packet.ts';

/** What the parser of the program finds, by the names of its P4. */
const FIELDS: Readonly<Record<string, FieldName>> = {
  'hdr.ipv4.total_length': 'ip.length',
  'hdr.ipv4.ttl': 'ip.ttl',
  'hdr.ipv4.protocol': 'ip.protocol',
  'hdr.ports.source': 'port.source',
  'hdr.ports.destination': 'port.destination',
  'meta.tcp_flags': 'tcp.flags',
  'meta.tcp_window': 'tcp.window',
  'meta.dscp': 'ip.dscp',
  'meta.ecn': 'ip.ecn',
};

const wrapped = (x: number): number => ((x % 2 ** 32) + 2 ** 32) % 2 ** 32;

/** The chip's part before the network, step by step in the order of the stages: what is read must have been set before. */
export class SimulatedFront {
  /** By flow, the words of its registers: the key tells flows apart, as the registers of the key do. */
  readonly #kept = new Map<string, Map<string, number>>();

  constructor(readonly front: FlowFront) {}

  /** @returns the features of a packet */
  packet({ fields, source, destination }: ParsedPacket, timeNs: bigint): Uint8Array {
    const { front } = this;
    const set = new Map<string, number>();
    for (const [text, name] of Object.entries(FIELDS)) set.set(text, fields[name]);
    const time = BigInt.asUintN(48, timeNs);
    set.set('meta.now_low', Number(time & 0xffff_ffffn)).set('meta.now_high', Number(time >> 16n));
    const read = (text: string): number => {
      const value = set.get(text);
      if (value === undefined) throw new Error(`${text} is read before it is set`);
      return value;
    };
    for (const { name, operator, left, right } of front.extrema)
      set.set(`meta.${name}`, Math[operator](read(left), read(right)));
    for (const [i, feature] of front.features.entries())
      if (feature.kind === 'constant') set.set(`meta.f${i}`, feature.value);
    const key = keyOf(front, fields, [source, destination]);
    const isFresh = !this.#kept.has(key);
    const words = this.#kept.get(key) ?? new Map<string, number>();
    this.#kept.set(key, words);
    for (const { name } of [...front.placed].sort((a: Placed, b: Placed) => a.stage - b.stage)) {
      const table = front.tables.find((t) => t.name === name);
      if (table !== undefined) set.set(table.to, lookUp(table, read));
      const register = front.registers.find((r) => r.name === name);
      if (register !== undefined) set.set(`meta.${name}`, step(register, words, isFresh, read));
      const duration = front.durations.find((d) => d.name === name);
      if (duration !== undefined)
        for (const half of ['low', 'high'])
          set.set(
            `meta.${name}_${half}`,
            wrapped(read(`meta.now_${half}`) - read(`meta.${duration.register}_${half}`)),
          );
    }
    return Uint8Array.from(front.features, (_, i) => read(front.front.input(i)));
  }
}

/** The entry of the longest prefix; of a time beyond its lower bits the default action. */
function lookUp(t: FunctionTable, read: (text: string) => number): number {
  if (t.beyond !== undefined && Math.floor(read(t.beyond) / 2 ** 16) !== 0) return t.pieces.levels.at(-1)!;
  const x = read(t.key.text);
  const matching = functionRows(t).filter(({ value, length }) => {
    const size = 2 ** (t.key.bits - length);
    return Math.floor(x / size) === Math.floor(value / size);
  });
  return matching.sort((a, b) => b.length - a.length)[0]!.level;
}

/** One reading, one operation and one writing of a stateful ALU. @returns what it tells */
function step(
  r: FlowRegister,
  words: Map<string, number>,
  isFresh: boolean,
  read: (text: string) => number,
): number {
  const numberOf = (o: Operand) => (o.kind === 'constant' ? o.value : read(o.text));
  const x = numberOf(r.operand);
  if (x >= 2 ** r.bits) throw new Error(`${r.name} has ${r.bits} bits, and gets ${x}`);
  const counts = r.condition === undefined || numberOf(r.condition) === 1;
  const before = isFresh ? (r.initial === 'operand' ? x : r.initial) : words.get(r.name)!;
  const after = counts ? operated(r, before, x) : before;
  words.set(r.name, after);
  return r.tells === 'before' ? before : after;
}

function operated({ operation, bits }: FlowRegister, kept: number, x: number): number {
  switch (operation.kind) {
    case 'add':
      return Math.min(2 ** bits - 1, kept + x);
    case 'min':
    case 'max':
      return Math[operation.kind](kept, x);
    case 'or':
      return (kept | x) >>> 0;
    case 'set':
      return x;
    case 'keep':
      return kept;
    case 'countTo':
      return Math.min(operation.most, kept + 1);
  }
}

/** The words of the key, its ends in their order. */
function keyOf(
  { words, definition: { key } }: FlowFront,
  fields: ParsedPacket['fields'],
  [source, destination]: readonly [Uint8Array, Uint8Array],
): string {
  const address = (bytes: Uint8Array) => Buffer.from(bytes).readUInt32BE();
  const ends = [
    { address: address(source), port: fields['port.source'] },
    { address: address(destination), port: fields['port.destination'] },
  ] as const;
  const over = ends[0].address - ends[1].address || ends[0].port - ends[1].port;
  const [first, second] = key.bothWays && over > 0 ? [ends[1], ends[0]] : ends;
  const text = {
    source: first.address,
    destination: second.address,
    ports: `${key.fields.includes('port.source') ? first.port : 0}-${key.fields.includes('port.destination') ? second.port : 0}`,
    protocol: fields['ip.protocol'],
  };
  return words.map((w) => text[w]).join(' ');
}
