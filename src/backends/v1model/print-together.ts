import { PROGRAM_SLOTS } from '../../dataplane/abi.ts';
import { Printer } from '../common/printer.ts';
import { SCRATCH } from './code.ts';
import type { V1modelPlan } from './plan.ts';
import { definitionsOf, printLayers, rawBits } from './print-program.ts';

/**
 * A program of several shapes: each has its own layers, headers and slots; parser, tables and forwarding are common. A request finds
 * its shape by the slot of its version, so that shapes cost each other a comparison or two.
 */

/** Files that stand for `intransit_shape_*.p4` once a shape. */
const SHAPES_FILE = 'shapes.p4';
/** The same once for each kind of request: the parser knows no models, and takes equal requests out alike. */
const REQUESTS_FILE = 'requests.p4';

/** First slot of a shape on the device. */
export const firstSlotOf = (shape: number): number => shape * PROGRAM_SLOTS;

type Field = V1modelPlan['lowered']['input'][number];

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
  return new Map([
    [programFile, programText(plans, kinds, kindOf)],
    [
      SHAPES_FILE,
      inclusions(plans.map((plan, i) => shapeText(plan, i, kinds[kindOf[i]!]!, kindOf[i]!, plans.length))),
    ],
    [REQUESTS_FILE, inclusions(kinds.map((kind, k) => shapeText(kind.plan, 0, kind, k, 1)))],
  ]);
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
      `#define INTRANSIT_EMIT_SHAPES ${each(kinds, (k) => `packet.emit(hdr.activations_${k});`)} ${each(plans, (i) => `packet.emit(hdr.result_${i});`)}`,
    );
  const raws = kinds.flatMap(({ fields }, k) =>
    rawBits(fields) === undefined ? [] : [`raw_${k}_t raw_${k};`],
  );
  const members = [
    ...kinds.map((_, k) => `activations_${k}_t activations_${k};`),
    ...plans.map((_, i) => `result_${i}_t result_${i}; work_${i}_t work_${i};`),
    ...raws,
  ];
  p.line(`#define INTRANSIT_SHAPE_HEADERS ${members.join(' ')}`).line();
  printHeaders(p, plans, kinds);
  p.line('#include "intransit_headers.p4"').line();
  for (const [i, plan] of plans.entries()) {
    const own = new Printer();
    printLayers(own, plan, `IntransitLayers_${i}`, firstSlotOf(i));
    const k = kindOf[i]!;
    const fields = fieldTexts(plan.lowered.input, kinds[k]!.fields, `activations_${k}`);
    for (const line of renamed(own.toString(), i, fields).trimEnd().split('\n')) p.line(line);
    p.line();
  }
  p.line('#include "intransit_pipeline.p4"');
  return p.toString();
}

function printHeaders(p: Printer, plans: readonly V1modelPlan[], kinds: readonly RequestKind[]): void {
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
  for (const [i, { lowered }] of plans.entries()) {
    header(
      `result_${i}_t`,
      lowered.output.map(({ width }, part) => ({ name: `part${part}`, width })),
    );
    const { scratch } = lowered.code;
    header(`work_${i}_t`, scratch.length > 0 ? scratch : [{ name: 'unused', width: 8 }]);
  }
  p.block('header scratch_t', () => {
    p.line('INTRANSIT_HELD_FIELDS').line('INTRANSIT_TURN_FIELDS').line('bit<32> total;');
    for (const [i, plan] of plans.entries()) {
      const sum = definitionsOf(plan)
        .flat()
        .find((d) => d.name === 'intransit_sum_t');
      p.line(`${sum!.value} sum_${i};`);
    }
  }).line();
}

/** Code of one shape, with headers of its own; what an entry of `models` says is the device's. */
export const renamed = (text: string, shape: number, fields: ReadonlyMap<string, string>): string =>
  text
    .replaceAll(/\bhdr\.activations\.(\w+)/g, (_, name: string) => fields.get(name)!)
    .replaceAll(new RegExp(`\\b${SCRATCH.replace('.', '\\.')}\\b(?!\\.slot\\b)`, 'g'), `hdr.work_${shape}`)
    .replaceAll(/\bhdr\.result\b/g, `hdr.result_${shape}`);

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
  shape: number,
  { fields }: RequestKind,
  kind: number,
  shapes: number,
): (readonly [name: string, value: string])[] {
  const facts = definitionsOf(plan, fields).flat();
  const { begin, end } = turnsOf(shapes)[shape]!;
  return [
    ...facts.map(({ name, type, as, value }) => {
      // Without a name of its own a constant says its type where it is used.
      const isTyped = as === 'constant' && /^bit</.test(type!);
      return [name, isTyped ? `((${type})${value})` : value] as const;
    }),
    ...[
      ['activations', `activations_${kind}`],
      ['raw', `raw_${kind}`],
      ['result', `result_${shape}`],
      ['sum', `sum_${shape}`],
      ['compute', `compute_${shape}`],
      ['IntransitLayers', `IntransitLayers_${shape}`],
      ['leave_unsure', `leave_unsure_${shape}`],
      ['answer', `answer_${shape}`],
      ['sum_udp', `sum_udp_${shape}`],
      ['INTRANSIT_BEGIN_SHAPE', begin],
      ['INTRANSIT_END_SHAPE', end],
    ].map(([name, value]) => [name!, value!] as const),
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
