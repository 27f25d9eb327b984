import type { Printer } from '../common/printer.ts';
import { tableName } from './blocks.ts';
import { HALF, largerOf, pairsOf, type TnaKey, type TnaLayer, type TnaTable } from './layers.ts';
import { bridgedLayer, type TnaPlan } from './plan.ts';
import { tableModel } from './tables.ts';
import type { Gress, PlacedBlock } from './units.ts';

/** What programs of requests and of flows have in common: the network. */

/** A word of sums. The finished ones of the last layer of ingress stand in the header that goes on to egress. */
export function wordName(plan: TnaPlan, layer: TnaLayer, set: number, word: number): string {
  if (set === 0 && layer === bridged(plan)) return `hdr.bridge.w${word}`;
  return `meta.${field(layer.layer, set, word)}`;
}

const field = (layer: number, set: number, word: number): string => `l${layer}_s${set}_w${word}`;

/** The last layer that ingress computes, if any. */
export const bridged = ({ schedule, layers }: TnaPlan): TnaLayer | undefined =>
  bridgedLayer(schedule, layers);

/** Fields of a gress that sums and comparisons stand in. */
export function workFields(plan: TnaPlan, gress: Gress): string[] {
  const fields: string[] = [];
  const last = bridged(plan);
  for (const [i, layer] of plan.layers.entries()) {
    const block = plan.schedule.blocks[i]!;
    if (block.gress !== gress) continue;
    for (const { result } of layer.finding)
      if (result.kind === 'codes')
        for (const { name, bits } of result.words) fields.push(`bit<${bits}> ${name};`);
    for (let set = layer === last ? 1 : 0; set < block.sets; set++)
      for (let w = 0; w < layer.words; w++)
        fields.push(`bit<${layer.wordBits}> ${field(layer.layer, set, w)};`);
  }
  if (gress !== 'egress' || plan.program.verdict === undefined) return fields;
  if (plan.program.comparedSums === undefined)
    for (const element of plan.outputs.keys()) fields.push(`bit<16> o${element};`);
  const end = plan.layers.at(-1);
  if (end?.toLargest === true)
    for (let k = 0; k < largerOf(plan.outputs.length); k++)
      fields.push(`bit<${comparedBits(plan)}> ${larger(k)};`);
  else if (end?.differences !== true)
    for (const [i, j] of pairsOf(plan.outputs.length)) fields.push(`bit<${comparedBits(plan)}> d${i}_${j};`);
  return fields;
}

/** Bits of what is compared for a verdict: of sums, or of elements with room for a sign. */
const comparedBits = ({ program, layers }: TnaPlan): number =>
  program.comparedSums === undefined ? HALF : layers.at(-1)!.wordBits;

/** Fields of the finished sums that ingress hands on to egress. */
export function crossingFields(plan: TnaPlan): string[] {
  const last = bridged(plan);
  return Array.from({ length: last?.words ?? 0 }, (_, w) => `bit<${last!.wordBits}> w${w};`);
}

/** Of a code, as of an element of the packet. */
const ELEMENT_BITS = 8;

/** P4 of what a table matches. */
function keyText(plan: TnaPlan, { source }: TnaKey): string {
  if (source!.kind === 'code') {
    const { word, low } = source!;
    return word.bits === ELEMENT_BITS
      ? `meta.${word.name}`
      : `meta.${word.name}[${low + ELEMENT_BITS - 1}:${low}]`;
  }
  if (source!.kind === 'byte')
    return plan.options.front?.input(source!.element) ?? `hdr.activations.e${source!.element}`;
  const layer = plan.layers.find((l) => l.layer === source!.layer)!;
  const name = wordName(plan, layer, 0, Math.floor(source!.output / layer.lanes));
  if (layer.lanes === 1) return name;
  const low = (source!.output % layer.lanes) * layer.bits;
  return `${name}[${low + layer.bits - 1}:${low}]`;
}

function printTable(p: Printer, plan: TnaPlan, table: TnaTable, body: readonly string[]): void {
  const { name, keys, actions, size } = tableModel(plan, table);
  const [action] = actions;
  const parameters = action!.parameters.map((q) => `bit<${q.bits}> ${q.name}`).join(', ');
  p.block(`action ${action!.name}(${parameters})`, () => {
    for (const line of body) p.line(line);
  });
  p.block(`table ${name}`, () => {
    p.block('key =', () => {
      p.line('hdr.bridge.version: exact @name("version");');
      for (const [k, key] of table.keys.entries())
        p.line(
          `${keyText(plan, key)}: ${table.isTernary ? 'ternary' : 'exact'} @name("${keys[k + 1]!.name}");`,
        );
    });
    // A table of one action, with an entry for each value of its key, needs no memory to match: the key is the address.
    const zeros = action!.parameters.map(() => '0').join(', ');
    if (table.isTernary)
      p.line(`actions = { ${action!.name}; pass; }`).line('const default_action = pass();');
    else p.line(`actions = { ${action!.name}; }`).line(`const default_action = ${action!.name}(${zeros});`);
    p.line(`size = ${size};`);
  }).line();
}

/** Actions and tables of one layer, and how its sets are added up. @returns what is applied */
function printLayer(p: Printer, plan: TnaPlan, layer: TnaLayer, block: PlacedBlock): string[] {
  const stageOf = new Map(plan.schedule.placed.map((s) => [s.name, s.stage]));
  for (const table of layer.finding)
    if (table.result.kind === 'codes')
      printTable(
        p,
        plan,
        table,
        table.result.words.map(({ name }, w) => `meta.${name} = w${w};`),
      );
  const order = layer.tables.map((_, t) => t);
  const nameOf = (t: number) => tableModel(plan, layer.tables[t]!).name;
  order.sort((a, b) => (stageOf.get(nameOf(a)) ?? 0) - (stageOf.get(nameOf(b)) ?? 0) || a - b);
  for (const t of order) {
    const set = block.setOf[t]!;
    const isFirst = block.firsts.includes(t);
    printTable(
      p,
      plan,
      layer.tables[t]!,
      Array.from({ length: layer.words }, (_, w) => {
        const to = wordName(plan, layer, set, w);
        return `${to} = ${isFirst ? '' : `${to} + `}w${w};`;
      }),
    );
  }
  const applied = [...layer.finding.map((t) => tableName(t)), ...order.map(nameOf)].map(
    (name) => `${name}.apply();`,
  );
  for (let width = block.sets; width > 1; width = Math.ceil(width / 2)) {
    const half = Math.ceil(width / 2);
    p.block(`action join_${layer.layer}_${width}()`, () => {
      for (let set = 0; set + half < width; set++)
        for (let w = 0; w < layer.words; w++) {
          const to = wordName(plan, layer, set, w);
          p.line(`${to} = ${to} + ${wordName(plan, layer, set + half, w)};`);
        }
    }).line();
    applied.push(`join_${layer.layer}_${width}();`);
  }
  return applied;
}

/** Tables and actions of the layers of a gress. @returns what is applied */
export function printLayers(p: Printer, plan: TnaPlan, gress: Gress): string[] {
  return plan.layers.flatMap((layer, i) => {
    const block = plan.schedule.blocks[i]!;
    return block.gress === gress ? printLayer(p, plan, layer, block) : [];
  });
}

/** The class is told, and of requests the margin, which is not known. */
const answerLines = ({ options: { front } }: TnaPlan, number: string): string[] =>
  front === undefined
    ? [`hdr.result.r0 = ${number};`, 'hdr.result.r1 = 255;']
    : [`${front.answer.class} = ${number};`];

/** One table an element of the output; with a verdict, comparisons by pairs, and a table of their signs that knows the class. */
export function printOutputs(p: Printer, plan: TnaPlan): string[] {
  const { verdict } = plan.program;
  const { front } = plan.options;
  const applied: string[] = [];
  for (const table of plan.program.comparedSums === undefined ? plan.outputs : []) {
    if (table.result.kind !== 'output') continue;
    const { element } = table.result;
    // Of a class that no input changes, flows have no margin.
    if (verdict === undefined && front !== undefined && element > 0) continue;
    const result = front === undefined ? `hdr.result.r${element}` : front.answer.class;
    const to = verdict === undefined ? result : `meta.o${element}`;
    const [constant] = table.rows[0]!.values;
    if (table.keys[0]!.source === undefined) {
      applied.push(`${to} = ${constant};`);
      continue;
    }
    printTable(p, plan, table, [`${to} = ${verdict === undefined ? 'value' : '(bit<16>)value'};`]);
    applied.push(`${tableModel(plan, table).name}.apply();`);
  }
  if (verdict === undefined) return applied;
  const pairs = pairsOf(plan.outputs.length);
  if (pairs.length === 0) return [...applied, ...answerLines(plan, '0')];
  const last = plan.layers.at(-1)!;
  if (last.toLargest) return [...applied, ...printLargest(p, plan, last)];
  const comparedName = (i: number) =>
    plan.program.comparedSums === undefined ? `meta.o${i}` : wordName(plan, last, 0, i);
  const sign = last.differences ? last.bits - 1 : comparedBits(plan) - 1;
  if (!last.differences) {
    p.block('action compare()', () => {
      for (const [i, j] of pairs) p.line(`meta.d${i}_${j} = ${comparedName(i)} - ${comparedName(j)};`);
    });
    applied.push('compare();');
  }
  printTell(p, plan);
  p.block('table classes', () => {
    p.block('key =', () => {
      for (const [k, [i, j]] of pairs.entries())
        p.line(
          `${last.differences ? wordName(plan, last, 0, k) : `meta.d${i}_${j}`}[${sign}:${sign}]: ternary;`,
        );
    });
    p.line('actions = { tell; pass; }')
      .line('const default_action = pass();')
      .line(`size = ${plan.outputs.length};`);
    p.block('const entries =', () => {
      for (const t of plan.outputs.keys()) {
        // A negative difference says that the second is larger; of equals the first is the class.
        const signs = pairs.map(([i, j]) => (i === t ? '0' : j === t ? '1' : '_'));
        p.line(`(${signs.join(', ')}): tell(${t});`);
      }
    });
  }).line();
  return [...applied, 'classes.apply();'];
}

function printTell(p: Printer, plan: TnaPlan): void {
  p.block('action tell(bit<8> number)', () => {
    for (const line of answerLines(plan, 'number')) p.line(line);
  });
}

/** Field of a sum that was larger than another one. */
const larger = (k: number): string => `larger_${k}`;

/** The largest of the sums, two at a time; the first whose distance to it is none is the class. @returns what is applied */
function printLargest(p: Printer, plan: TnaPlan, last: TnaLayer): string[] {
  const sums = plan.outputs.map((_, i) => wordName(plan, last, 0, i));
  const applied: string[] = [];
  let left = sums;
  for (let round = 0; left.length > 1; round++) {
    const pairs = Array.from(
      { length: Math.floor(left.length / 2) },
      (_, k) => [left[2 * k]!, left[2 * k + 1]!] as const,
    );
    // What was larger stands where the first of the two was, if that is no sum.
    const names = pairs.map(([a], k) => (sums.includes(a) ? `meta.${larger(k)}` : a));
    p.block(`action find_larger_${round}()`, () => {
      for (const [k, [a, b]] of pairs.entries()) p.line(`${names[k]} = max(${a}, ${b});`);
    });
    applied.push(`find_larger_${round}();`);
    left = [...names, ...left.slice(2 * pairs.length)];
  }
  p.block('action subtract_largest()', () => {
    for (const sum of sums) p.line(`${sum} = ${sum} - ${left[0]};`);
  });
  printTell(p, plan);
  p.block('table classes', () => {
    p.block('key =', () => {
      for (const sum of sums) p.line(`${sum}: ternary;`);
    });
    p.line('actions = { tell; pass; }').line('const default_action = pass();').line(`size = ${sums.length};`);
    p.block('const entries =', () => {
      for (const t of sums.keys())
        p.line(`(${sums.map((_, i) => (i === t ? '0' : '_')).join(', ')}): tell(${t});`);
    });
  }).line();
  return [...applied, 'subtract_largest();', 'classes.apply();'];
}
