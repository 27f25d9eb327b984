import { isDeepStrictEqual } from 'node:util';
import { firstSlotOf } from '../../dataplane/abi.ts';
import { Printer } from '../common/printer.ts';
import { SCRATCH } from './code.ts';
import type { V1modelPlan } from './plan.ts';
import { definitionsOf, printLayers, rawBits, resultFields } from './print-program.ts';

/**
 * A program of several shapes: each has its own layers and slots; parser, tables and forwarding are common. A request finds its shape by
 * the slot of its version, so that shapes cost each other a comparison or two. Headers are common wherever they can be: BMv2 clears
 * those of all shapes for every packet.
 */

/** Files that stand for `intransit_shape_*.p4` once a shape. */
const SHAPES_FILE = 'shapes.p4';
/** The same once for each kind of request: the parser knows no models, and takes equal requests out alike. */
const REQUESTS_FILE = 'requests.p4';

type Field = V1modelPlan['lowered']['input'][number];

const SCRATCH_FIELD = new RegExp(`\\b${SCRATCH.replace('.', '\\.')}\\.(\\w+)`, 'g');

/** Requests that the parser cannot tell apart. */
interface RequestKind {
  readonly fields: readonly Field[];
  readonly plan: V1modelPlan;
}

/** @returns files by name, the program first; the hand-written parts stand beside them */
export function printTogether(plans: readonly V1modelPlan[], programFile: string): Map<string, string> {
  const kinds: RequestKind[] = [];
  const kindOf = plans.map((plan) => {
    const key = signatureOf(plan);
    const at = kinds.findIndex((k) => signatureOf(k.plan) === key);
    if (at >= 0) return at;
    const alike = plans.filter((p) => signatureOf(p) === key);
    return kinds.push({ plan, fields: commonFields(alike) }) - 1;
  });
  const shared = sharedHeaders(plans);
  return new Map([
    [programFile, programText(plans, kinds, kindOf, shared)],
    [
      SHAPES_FILE,
      inclusions(
        plans.map((plan, i) => [
          ...shapeText(plan, kinds[kindOf[i]!]!, kindOf[i]!, shared),
          ...turnText(i, plans.length),
        ]),
      ),
    ],
    [REQUESTS_FILE, inclusions(kinds.map((kind, k) => shapeText(kind.plan, kind, k, shared)))],
  ]);
}

/** What shapes have in common beside their requests. */
interface SharedHeaders extends SharedScratch {
  /** Layouts of results, each once. */
  readonly results: readonly (readonly Field[])[];
  readonly resultOf: ReadonlyMap<V1modelPlan, number>;
}

function sharedHeaders(plans: readonly V1modelPlan[]): SharedHeaders {
  const results: Field[][] = [];
  const resultOf = new Map<V1modelPlan, number>();
  for (const plan of plans) {
    const fields = resultFields(plan.lowered);
    const same = results.findIndex((own) => isDeepStrictEqual(own, fields));
    resultOf.set(plan, same >= 0 ? same : results.push(fields) - 1);
  }
  return { results, resultOf, ...sharedScratch(plans) };
}

/** Fields in which any shape computes: a packet is computed by one of them. */
export interface SharedScratch {
  readonly scratch: readonly Field[];
  /** By a shape's own name of such a field. */
  readonly scratchOf: ReadonlyMap<V1modelPlan, ReadonlyMap<string, string>>;
}

/** Fields of one width serve all shapes: a packet runs through the layers of one of them. */
export function sharedScratch(plans: readonly V1modelPlan[]): SharedScratch {
  const scratch: Field[] = [];
  const scratchOf = new Map<V1modelPlan, ReadonlyMap<string, string>>();
  for (const plan of plans) {
    const free = [...scratch];
    const names = plan.lowered.code.scratch.map(({ name, width }) => {
      const at = free.findIndex((field) => field.width === width);
      const [field = { name: `work${scratch.length}`, width }] = at < 0 ? [] : free.splice(at, 1);
      if (at < 0) scratch.push(field);
      return [name, field.name] as const;
    });
    scratchOf.set(plan, new Map(names));
  }
  return { scratch, scratchOf };
}

/** The type of a shape's checksum, and the field for it. */
function sumOf(plan: V1modelPlan): { readonly type: string; readonly field: string } {
  const type = definitionsOf(plan)
    .flat()
    .find((d) => d.name === 'intransit_sum_t')!.value;
  return { type, field: `sum_${type.replaceAll(/\D/g, '')}` };
}

const signatureOf = ({ options, input, inputs }: V1modelPlan): string =>
  [options.from, input.element, inputs].join(' ');

/** Fields of which those of all plans consist. */
function commonFields(plans: readonly V1modelPlan[]): readonly Field[] {
  const layouts = plans.map((p) => p.lowered.input);
  const ends = new Set(layouts.flatMap((fields) => endsOf(fields)));
  const [first] = layouts;
  if (endsOf(first!).length === ends.size) return first!;
  const sorted = [...ends].sort((a, b) => a - b);
  return sorted.map((end, i) => {
    const begin = sorted[i - 1] ?? 0;
    return { name: `at${begin}`, width: end - begin };
  });
}

/** Bits from the beginning to the end of each field. */
function endsOf(fields: readonly Field[]): number[] {
  let end = 0;
  return fields.map(({ width }) => {
    end += width;
    return end;
  });
}

/** By the name of a shape's own field: what it is in those of the request. */
function fieldTexts(own: readonly Field[], common: readonly Field[], header: string): Map<string, string> {
  const commonEnds = endsOf(common);
  const ownEnds = endsOf(own);
  return new Map(
    own.map(({ name, width }, i) => {
      const [begin, end] = [ownEnds[i]! - width, ownEnds[i]!];
      const parts = common.filter((_, j) => commonEnds[j]! > begin && commonEnds[j]! <= end);
      const texts = parts.map((p) => `hdr.${header}.${p.name}`);
      return [name, texts.length === 1 ? texts[0]! : `(${texts.join(' ++ ')})`];
    }),
  );
}

function programText(
  plans: readonly V1modelPlan[],
  kinds: readonly RequestKind[],
  kindOf: readonly number[],
  shared: SharedHeaders,
): string {
  const p = new Printer();
  p.comment('SPDX-License-Identifier: Apache-2.0');
  for (const [i, { model, options }] of plans.entries())
    p.comment(`Shape ${i}: layers ${options.from}..${options.to} of ${model.name}.`);
  p.comment('Made by intransit; do not edit.')
    .line('#define INTRANSIT_PROGRAM')
    .line('#define INTRANSIT_SEVERAL_SHAPES')
    .line(`#define INTRANSIT_SHAPES "${SHAPES_FILE}"`)
    .line(`#define INTRANSIT_REQUESTS "${REQUESTS_FILE}"`)
    .line()
    .line('#include <core.p4>')
    .line('#include <v1model.p4>')
    .line('#include "intransit_wire.p4"')
    .line('#include "intransit_tables.p4"')
    .line()
    .line(`const bit<16> INTRANSIT_PORT = ${plans[0]!.options.port};`)
    .line();
  const begins = [...new Set(plans.map((plan) => plan.options.from))];
  const any = (terms: readonly string[]) => `(${terms.join(' || ')})`;
  const each = (of: readonly unknown[], text: (i: number) => string) => of.map((_, i) => text(i)).join(' ');
  p.line(`#define INTRANSIT_TAKEN ${any(kinds.map((_, k) => `hdr.activations_${k}.isValid()`))}`)
    .line(`#define INTRANSIT_BEGINS_HERE ${any(begins.map((b) => `hdr.intransit.next_layer == ${b}`))}`)
    .line(
      `#define INTRANSIT_EMIT_SHAPES ${each(kinds, (k) => `packet.emit(hdr.activations_${k});`)} ${each(shared.results, (r) => `packet.emit(hdr.result_${r});`)}`,
    );
  const raws = kinds.flatMap(({ fields }, k) =>
    rawBits(fields) === undefined ? [] : [`raw_${k}_t raw_${k};`],
  );
  const members = [
    ...kinds.map((_, k) => `activations_${k}_t activations_${k};`),
    ...shared.results.map((_, r) => `result_${r}_t result_${r};`),
    ...raws,
  ];
  p.line(`#define INTRANSIT_SHAPE_HEADERS ${members.join(' ')}`).line();
  printHeaders(p, plans, kinds, shared);
  p.line('#include "intransit_headers.p4"').line();
  for (const [i, plan] of plans.entries()) {
    const own = new Printer();
    printLayers(own, plan, `IntransitLayers_${i}`, firstSlotOf(i));
    const k = kindOf[i]!;
    const fields = fieldTexts(plan.lowered.input, kinds[k]!.fields, `activations_${k}`);
    const names = {
      activations: fields,
      scratch: shared.scratchOf.get(plan)!,
      result: `result_${shared.resultOf.get(plan)}`,
    };
    for (const line of renamed(own.toString(), names).trimEnd().split('\n')) p.line(line);
    p.line();
  }
  p.line('#include "intransit_pipeline.p4"');
  return p.toString();
}

function printHeaders(
  p: Printer,
  plans: readonly V1modelPlan[],
  kinds: readonly RequestKind[],
  { results, scratch }: SharedHeaders,
): void {
  const header = (name: string, fields: readonly Field[]) =>
    p
      .block(`header ${name}`, () => {
        for (const f of fields) p.line(`bit<${f.width}> ${f.name};`);
      })
      .line();
  for (const [k, { fields }] of kinds.entries()) {
    header(`activations_${k}_t`, fields);
    const raw = rawBits(fields);
    if (raw !== undefined) header(`raw_${k}_t`, [{ name: 'bytes', width: raw }]);
  }
  for (const [r, fields] of results.entries()) header(`result_${r}_t`, fields);
  const sums = new Map(plans.map((plan) => [sumOf(plan).field, sumOf(plan).type]));
  p.block('header scratch_t', () => {
    p.line('INTRANSIT_HELD_FIELDS').line('INTRANSIT_TURN_FIELDS').line('bit<32> total;');
    for (const [field, type] of sums) p.line(`${type} ${field};`);
    for (const { name, width } of scratch) p.line(`bit<${width}> ${name};`);
  }).line();
}

/** What the code of a shape has in the headers of a program of several. */
export interface ShapeNames {
  /** By a field of its request. */
  readonly activations: ReadonlyMap<string, string>;
  /** By a field in which it computes. */
  readonly scratch: ReadonlyMap<string, string>;
  /** The header of its result. */
  readonly result: string;
}

/** Code of one shape, in the headers of the program; what an entry of `models` says is the device's. */
export const renamed = (text: string, { activations, scratch, result }: ShapeNames): string =>
  text
    .replaceAll(/\bhdr\.activations\.(\w+)/g, (_, name: string) => activations.get(name)!)
    .replaceAll(SCRATCH_FIELD, (whole, name: string) => {
      const field = scratch.get(name);
      return field === undefined ? whole : `${SCRATCH}.${field}`;
    })
    .replaceAll(/\bhdr\.result\b/g, `hdr.${result}`);

/** Includes what the hand-written parts ask for once for each of the texts, each time with what it defines. */
function inclusions(texts: readonly (readonly (readonly [name: string, value: string])[])[]): string {
  const lines = ['// SPDX-License-Identifier: Apache-2.0', '// Made by intransit; do not edit.'];
  for (const definitions of texts) {
    lines.push(...definitions.map(([name, value]) => `#define ${name} ${value}`.trimEnd()));
    lines.push('#include INTRANSIT_PART');
    lines.push(...definitions.map(([name]) => `#undef ${name}`));
  }
  return `${lines.join('\n')}\n`;
}

/** What one shape defines while its parts are included. */
function shapeText(
  plan: V1modelPlan,
  { fields }: RequestKind,
  kind: number,
  { resultOf }: SharedHeaders,
): (readonly [name: string, value: string])[] {
  const facts = definitionsOf(plan, fields).flat();
  return [
    ...facts.map(({ name, type, as, value }) => {
      // Without a name of its own a constant says its type where it is used.
      const isTyped = as === 'constant' && /^bit</.test(type!);
      return [name, isTyped ? `((${type})${value})` : value] as const;
    }),
    ['activations', `activations_${kind}`],
    ['raw', `raw_${kind}`],
    ['result', `result_${resultOf.get(plan)}`],
    ['sum', sumOf(plan).field],
  ];
}

/** What of a shape's code stands beside that of others. */
function turnText(shape: number, shapes: number): (readonly [name: string, value: string])[] {
  const { begin, end } = turnsOf(shapes)[shape]!;
  const names = ['compute', 'IntransitLayers', 'leave_unsure', 'answer', 'sum_udp'];
  return [
    ...names.map((name) => [name, `${name}_${shape}`] as const),
    ['INTRANSIT_BEGIN_SHAPE', begin],
    ['INTRANSIT_END_SHAPE', end],
  ];
}

/** What stands before and behind the statements of each shape, so that together they find the shape of a slot by halves. */
function turnsOf(shapes: number): readonly { readonly begin: string; readonly end: string }[] {
  const turns = Array.from({ length: shapes }, () => ({ begin: '', end: '' }));
  const split = (from: number, to: number): void => {
    if (to - from === 1) return;
    const middle = Math.floor((from + to) / 2);
    split(from, middle);
    split(middle, to);
    turns[from]!.begin = `if (${SCRATCH}.slot < ${firstSlotOf(middle)}) { ${turns[from]!.begin}`;
    turns[middle]!.begin = `} else { ${turns[middle]!.begin}`;
    turns[to - 1]!.end = `${turns[to - 1]!.end} }`;
  };
  split(0, shapes);
  return turns;
}
