import { isVerdict } from '../../model/verdict.ts';
import type { elementTypes } from '../../wire/header.ts';
import type { Expression } from '../common/expression.ts';
import { Printer } from '../common/printer.ts';
import type { ActionModel, TableModel } from '../common/table-model.ts';
import { ELEMENT_BITS } from './activations.ts';
import { eachReference, keyFields, type Lookup, lanesOf, SCRATCH, type Stage } from './code.ts';
import { v1model } from './limits.ts';
import type { InputField, Lowered } from './lower.ts';
import type { V1modelPlan } from './plan.ts';
import { printExpression, printLiteral } from './print-expression.ts';
import { SHARED_BODIES } from './shared-bodies.ts';
import { layerTable, lookupTable } from './tables.ts';

/** The program: its shapes, its layers, and the hand-written parts around them. */
export function printProgram(plan: V1modelPlan): string {
  const p = new Printer();
  const { model, options } = plan;
  p.comment('SPDX-License-Identifier: Apache-2.0')
    .comment(`Layers ${options.from}..${options.to} of ${model.name}. Made by intransit; do not edit.`)
    .line('#define INTRANSIT_PROGRAM')
    .line()
    .line('#include <core.p4>')
    .line('#include <v1model.p4>')
    .line('#include "intransit_wire.p4"')
    .line('#include "intransit_tables.p4"')
    .line();
  printConstants(p, plan);
  printHeaders(p, plan);
  p.line('#include "intransit_headers.p4"').line();
  printLayers(p, plan);
  p.line().line('#include "intransit_pipeline.p4"');
  return p.toString();
}

/** A fact that the hand-written parts ask a shape for. */
export interface Definition {
  readonly name: string;
  /** Of a constant; absent for what is a text, or a type. */
  readonly type?: string;
  readonly as: 'constant' | 'type' | 'text';
  readonly value: string;
}

function printConstants(p: Printer, plan: V1modelPlan): void {
  p.line(`const bit<16> INTRANSIT_PORT = ${plan.options.port};`);
  for (const part of definitionsOf(plan)) {
    for (const { name, type, as, value } of part)
      p.line(
        as === 'text'
          ? `#define ${name} ${value}`
          : as === 'type'
            ? `typedef ${value} ${name};`
            : `const ${type} ${name} = ${value};`,
      );
    if (part.length > 0) p.line();
  }
}

/** All that the hand-written parts ask a shape for, in groups. @param input fields of its requests */
export function definitionsOf(
  plan: V1modelPlan,
  input = plan.lowered.input,
): readonly (readonly Definition[])[] {
  const element = (name: keyof typeof elementTypes) => `INTRANSIT_ELEMENT_${name.toUpperCase()}`;
  const byte = (name: string, value: number | string): Definition => ({
    ...{ name, type: 'bit<8>', as: 'constant', value: `${value}` },
  });
  const word = (name: string, value: number): Definition => ({
    ...{ name, type: 'bit<16>', as: 'constant', value: `${value}` },
  });
  const shape = [
    byte('INTRANSIT_FIRST_LAYER', plan.options.from),
    byte('INTRANSIT_NEXT_LAYER', plan.options.to),
    byte('INTRANSIT_LAYER_COUNT', plan.model.layers.length),
    word('INTRANSIT_INPUTS', plan.inputs),
    word('INTRANSIT_OUTPUTS', plan.outputs),
    byte('INTRANSIT_INPUT_ELEMENT', element(plan.input.element)),
    byte('INTRANSIT_OUTPUT_ELEMENT', element(plan.output.element)),
  ];
  return [shape, sumsOf(plan, input), marginOf(plan)];
}

/** Bits of one lane of the checksum's sum: two words are added in it, and then all lanes. */
const SUM_LANE = 32;
/** Bits of a word of a UDP checksum. */
const SUM_WORD = 16;

/**
 * What the UDP checksums of requests and answers need: widths in which all fields can be added without loss, masks for every
 * second word and for the lanes, ones in every word, and the sums of the activations, each field so that it ends on an even
 * byte.
 */
function sumsOf(plan: V1modelPlan, input: V1modelPlan['lowered']['input']): readonly Definition[] {
  const { output } = plan.lowered;
  const answer = sumOfFields(
    output.map(({ width }, i) => ({ name: resultField(i), width })),
    'intransit_sum_t',
  );
  const offsets = (width: number, step: number) => Array.from({ length: width / step }, (_, i) => i * step);
  const lanes = offsets(answer.width, SUM_LANE);
  const ones = (width: number) => printLiteral(lanesOf(offsets(width, SUM_WORD), 1n), width);
  const constant = (type: string, name: string, value: string): Definition => ({
    ...{ name, type, as: 'constant', value },
  });
  const text = (name: string, value: string): Definition => ({ name, as: 'text', value });
  const type = (name: string, width: number): Definition => ({ name, as: 'type', value: `bit<${width}>` });
  const sum = (name: string, value: string) => constant('intransit_sum_t', name, value);
  const raw = rawBits(input);
  const request = sumOfFields(
    raw === undefined
      ? input.map(({ name, width }) => ({ name: `hdr.activations.${name}`, width }))
      : [{ name: 'hdr.raw.bytes', width: raw }],
    'intransit_request_sum_t',
  );
  return [
    type('intransit_sum_t', answer.width),
    sum('INTRANSIT_SUM_WORDS', printLiteral(lanesOf(lanes, 0xffffn), answer.width)),
    sum('INTRANSIT_SUM_LANES', printLiteral(lanesOf(lanes, 1n), answer.width)),
    sum('INTRANSIT_SUM_ONES', ones(answer.width)),
    text('INTRANSIT_SUM_TOP', `${answer.width - SUM_LANE}`),
    text('INTRANSIT_RESULT_SUM', `(${answer.sum})`),
    ...(raw === undefined ? [] : [text('INTRANSIT_RAW_BITS', `${raw}`)]),
    type('intransit_request_sum_t', request.width),
    constant('intransit_request_sum_t', 'INTRANSIT_REQUEST_ONES', ones(request.width)),
    text('INTRANSIT_INPUT_SUM', `(${request.sum})`),
  ];
}

/**
 * Fields whose sum costs a packet with a checksum less than it costs every packet to be taken out once more; by count of BMv2's
 * instructions on bytes.
 */
const FEW_FIELDS = 24;

/** Width of the number that holds all activations of a request, where they are taken out in many fields that are not wide. */
export function rawBits(input: readonly { width: number }[]): number | undefined {
  const bits = input.reduce((sum, { width }) => sum + width, 0);
  return input.length > FEW_FIELDS && bits <= v1model.maxWidthBits ? bits : undefined;
}

/** So that a sum of fields stays within the widest field. */
const MOST_TERM_BITS = v1model.maxWidthBits / 2;

/** Fields that lie one after the other, as terms of a checksum: wide ones in slices. */
function sumOfFields(
  fields: readonly { name: string; width: number }[],
  type: string,
): { width: number; sum: string } {
  const terms: string[] = [];
  let widest = 64;
  let end = 0;
  for (const { name, width } of fields)
    for (let top = width; top > 0; top -= MOST_TERM_BITS) {
      const bits = Math.min(top, MOST_TERM_BITS);
      const slice = bits === width ? name : `${name}[${top - 1}:${top - bits}]`;
      end += bits;
      terms.push(end % SUM_WORD === 0 ? `(${type})${slice}` : `((${type})${slice} << ${ELEMENT_BITS})`);
      widest = Math.max(widest, bits + ELEMENT_BITS);
    }
  const carry = Math.ceil(Math.log2(terms.length + SUM_TERMS));
  return { width: Math.ceil((widest + carry) / SUM_LANE) * SUM_LANE, sum: sumOf(terms) };
}

/** A balanced tree: BMv2's JSON reader refuses 1,000 levels, and a chain takes four a term. */
function sumOf(terms: readonly string[]): string {
  if (terms.length === 1) return terms[0]!;
  const half = Math.ceil(terms.length / 2);
  const operand = (part: readonly string[]) => (part.length === 1 ? part[0]! : `(${sumOf(part)})`);
  return `${operand(terms.slice(0, half))} + ${operand(terms.slice(half))}`;
}

/** Only a verdict has a margin: its second byte, the last of the answer. */
function marginOf({ model, options, lowered }: V1modelPlan): readonly Definition[] {
  if (options.to < model.layers.length || !isVerdict(model.layers.at(-1))) return [];
  return [{ name: 'INTRANSIT_MARGIN', as: 'text', value: marginField(lowered) }];
}

/** Terms of the sum besides the activations; not fewer than intransit_pipeline.p4 has. */
const SUM_TERMS = 16;

/** Fields of the header of the result, the first highest. */
export const resultFields = ({ output }: Lowered): InputField[] =>
  output.map(({ width }, i) => ({ name: `part${i}`, width }));

/** P4 of one of them. */
export const resultField = (i: number): string => `hdr.result.part${i}`;

/** P4 of the margin of a verdict. */
export const marginField = ({ output }: Lowered): string =>
  `${resultField(output.length - 1)}[${ELEMENT_BITS - 1}:0]`;

function printHeaders(p: Printer, { lowered }: V1modelPlan): void {
  const fields = (list: readonly { name: string; width: number }[]) => {
    for (const { name, width } of list) p.line(`bit<${width}> ${name};`);
  };
  p.block('header activations_t', () => fields(lowered.input)).line();
  const raw = rawBits(lowered.input);
  if (raw !== undefined) p.block('header raw_t', () => p.line(`bit<${raw}> bytes;`)).line();
  p.block('header result_t', () => fields(resultFields(lowered))).line();
  p.block('header scratch_t', () => {
    p.line('INTRANSIT_HELD_FIELDS')
      .line('INTRANSIT_TURN_FIELDS')
      .line('intransit_sum_t sum;')
      .line('bit<32> total;');
    fields(lowered.code.scratch);
  }).line();
}

/**
 * The control that computes the layers, from the activations to the result.
 * @param first of its slots on the device
 */
export function printLayers(p: Printer, plan: V1modelPlan, name = 'IntransitLayers', first = 0): void {
  const { stages } = plan.lowered.code;
  const weighted = stages.filter(hasWeights);
  p.block(`control ${name}(inout headers_t hdr)`, () => {
    if (weighted.length > 0 || stages.some((s) => s.lookups.length > 0)) {
      p.line('@id(INTRANSIT_ID_NO_WEIGHTS)').line('@name(".no_weights")');
      p.block('action no_weights()', () => {
        if (plan.lowered.code.complete) p.line(`${SCRATCH}.slot = ${NO_SLOT};`);
      }).line();
    }
    if (weighted.length > 1)
      p.comment('Actions of layers that are done.').line(`bit<8> ${REACHED} = 0;`).line();
    for (const [i, stage] of stages.entries()) {
      for (const lookup of stage.lookups) printLookup(p, plan, lookup, first);
      const place = weighted.indexOf(stage);
      const end = place >= 0 && place < weighted.length - 1 ? [`${REACHED} = ${place + 1};`] : [];
      printAction(p, plan, stage, i, end, first);
      if (hasWeights(stage)) printWeightTables(p, stage, first, plan.options.slots);
    }
    p.block('apply', () => printApply(p, plan, first));
  });
}

/** What the slot becomes where a look-up of it has no entry: no table has entries of it. */
const NO_SLOT = 0xffff;

const hasWeights = (stage: Stage): boolean => stage.parameters.length > 0;

/** How many actions of layers are done; only where there are several. */
const REACHED = 'reached';

/** Name of the action of slots other than the first: with shared bodies it has none. */
const alike = (name: string): string => `${name}_alike`;

/**
 * The tables of a layer, one a slot. p4c copies an action for each table that names it, and the body of a layer is most of a
 * program: with shared bodies p4c sees it once.
 */
function printWeightTables(p: Printer, stage: Stage, first: number, slots: number): void {
  const { name, id } = layerTable(stage, first).actions[0]!;
  if (slots > 1) {
    p.line(`#ifdef ${SHARED_BODIES}`);
    p.line(`@id(${hexId(id)})`)
      .line(`@name(".${name}")`)
      .line('@noWarn("unused")');
    p.block(`action ${alike(name)}()`, () => {}).line('#else');
    p.line(`#define ${alike(name)} ${name}`)
      .line('#endif')
      .line();
  }
  for (let slot = first; slot < first + slots; slot++) {
    const table = layerTable(stage, slot);
    p.line(`@id(${hexId(table.id)})`).line(`@name(".${table.name}")`);
    p.block(`table ${table.name}`, () => {
      p.block('actions =', () => p.line(`${slot === first ? name : alike(name)};`).line('no_weights;'));
      p.line('default_action = no_weights();').line(`size = ${table.size};`);
    }).line();
  }
}

/** Layers run only if those before them have: without its weights nothing of a packet is computed. */
function printApply(p: Printer, plan: V1modelPlan, first: number, from = 0, reached = 0): void {
  const { stages } = plan.lowered.code;
  const { slots } = plan.options;
  for (let i = from; i < stages.length; i++) {
    const stage = stages[i]!;
    for (const lookup of stage.lookups) p.line(`${lookupTable(lookup, first).name}.apply();`);
    if (!hasWeights(stage)) {
      const isLast = plan.lowered.code.complete && i === stages.length - 1;
      if (isLast) p.block(`if (${SCRATCH}.slot != ${NO_SLOT})`, () => p.line(`stage_${i}();`));
      else if (stage.body.length > 0 || i === stages.length - 1) p.line(`stage_${i}();`);
      continue;
    }
    printSlots(p, stage, first, first, first + slots, true);
    if (stages.slice(i + 1).some(hasWeights)) {
      p.block(`if (${REACHED} == ${reached + 1})`, () => printApply(p, plan, first, i + 1, reached + 1));
      return;
    }
  }
}

/**
 * Finds the slot: each question costs a packet, and a device mostly holds a version or two, so those come first; all the others
 * by halves.
 * @param open whether a slot may be beyond them
 */
function printSlots(p: Printer, stage: Stage, first: number, from: number, to: number, open = false): void {
  if (from === to) return;
  if (to - from === 1 && !open) {
    p.line(`${layerTable(stage, from).name}.apply();`);
    return;
  }
  const single = from - first < FIRST_SLOTS && open;
  const middle = single ? from + 1 : open ? to : Math.floor((from + to) / 2);
  p.line(`if (${SCRATCH}.slot < ${middle}) {`).indent(() => printSlots(p, stage, first, from, middle));
  if (middle < to) p.line('} else {').indent(() => printSlots(p, stage, first, middle, to, open));
  p.line('}');
}

/** Slots that are asked for one by one: an old version and a new one. */
const FIRST_SLOTS = 2;

/** A table by a key of the packet, and what its entry does. */
function printLookup(p: Printer, plan: V1modelPlan, lookup: Lookup, first: number): void {
  const table = lookupTable(lookup, first);
  const [action] = table.actions;
  const { name, id, parameters } = action!;
  if (lookup.index === 0) p.comment(`Layer ${lookup.layer}: ${plan.model.layers[lookup.layer]!.name}`);
  p.line(`@id(${hexId(id)})`).line(`@name(".${name}")`);
  p.block(`action ${name}(${parameters.map((q) => `bit<${q.bits}> ${q.name}`).join(', ')})`, () => {
    for (const [i, target] of lookup.targets.entries()) {
      const field = printExpression(target);
      p.line(`${field} = ${lookup.sets ? '' : `${field} + `}${parameters[i]!.name};`);
    }
  }).line();
  const entries = lookup.constant
    ? lookup.values.map((values, i) => {
        const numbers = values.map((value, w) => printLiteral(value, parameters[w]!.bits));
        return `${constantKey(lookup, i)}: ${name}(${numbers.join(', ')});`;
      })
    : undefined;
  const own = keyFields(lookup).map(printExpression);
  printTable(p, table, lookup.constant ? own : [`${SCRATCH}.slot`, ...own], entries);
}

/** What an entry of the program matches. */
function constantKey({ key, keys, prefixes, boxes, masks }: Lookup, i: number): string {
  const several =
    boxes?.bounds[i]?.map(([lo, hi]) => `${lo} .. ${hi}`) ??
    masks?.matches[i]?.map(({ value, mask }) => `${value} &&& ${mask}`);
  if (several !== undefined) return several.length === 1 ? several[0]! : `(${several.join(', ')})`;
  if (prefixes === undefined) return `${keys[i]!}`;
  const mask = ((1n << BigInt(prefixes[i]!)) - 1n) << BigInt(key.width - prefixes[i]!);
  return `${keys[i]!} &&& ${printLiteral(mask, key.width)}`;
}

/** @param end statements behind those of the stage */
function printAction(
  p: Printer,
  plan: V1modelPlan,
  stage: Stage,
  index: number,
  end: readonly string[],
  first: number,
): void {
  const { stages } = plan.lowered.code;
  if (stage.layer !== undefined) {
    const end = stages[index + 1]?.layer ?? plan.options.to;
    for (let i = stage.layer; i < end; i++) p.comment(`Layer ${i}: ${plan.model.layers[i]!.name}`);
  }
  const action = hasWeights(stage) ? layerTable(stage, first).actions[0]! : undefined;
  if (action !== undefined) p.line(`@id(${hexId(action.id)})`).line(`@name(".${action.name}")`);
  else p.line('@hidden');
  p.line(`action ${action?.name ?? `stage_${index}`}(`).indent(() =>
    printParameters(p, action?.parameters ?? []),
  );
  p.line(') {').indent(() => {
    printBody(p, stage);
    if (index === stages.length - 1) printResult(p, plan);
    for (const statement of end) p.line(statement);
  });
  p.line('}').line();
}

function printParameters(p: Printer, parameters: ActionModel['parameters']): void {
  for (const [i, { bits, name }] of parameters.entries())
    p.line(`bit<${bits}> ${name}${i < parameters.length - 1 ? ',' : ''}`);
}

/**
 * p4c propagates copies within an action: a field that is read twice behind its assignment would have its whole
 * expression computed twice. Validating the header forgets what is known of its fields, at the cost of one operation.
 */
function printBody(p: Printer, { body }: Stage): void {
  const known = new Set<string>();
  for (const { target, value } of body) {
    if (readsAny(value, known)) {
      p.line(`${SCRATCH}.setValid();`);
      known.clear();
    }
    p.line(`${target.name} = ${printExpression(value)};`);
    known.add(target.name);
  }
  if (known.size > 0) p.line(`${SCRATCH}.setValid();`);
}

function readsAny(e: Expression, names: ReadonlySet<string>): boolean {
  let found = false;
  eachReference(e, (name) => {
    found ||= names.has(name);
  });
  return found;
}

function printResult(p: Printer, { lowered }: V1modelPlan): void {
  p.line('hdr.result.setValid();');
  for (const [i, { value }] of lowered.output.entries())
    p.line(`${resultField(i)} = ${printExpression(value)};`);
}

function printTable(
  p: Printer,
  table: TableModel,
  keys: readonly string[],
  entries?: readonly string[],
): void {
  p.line(`@id(${hexId(table.id)})`).line(`@name(".${table.name}")`);
  p.block(`table ${table.name}`, () => {
    p.block('key =', () => {
      for (const [i, key] of keys.entries()) {
        const { name, match } = table.keys[i]!;
        p.line(`${key}: ${match.toLowerCase()} @name("${name}");`);
      }
    });
    p.block('actions =', () => p.line(`${table.actions[0]!.name};`).line('@defaultonly no_weights;'));
    p.line('const default_action = no_weights();');
    // p4c warns of a size beside constant entries.
    if (entries === undefined) p.line(`size = ${table.size};`);
    else
      p.block('const entries =', () => {
        for (const entry of entries) p.line(entry);
      });
  }).line();
}

/** An id of P4Runtime in eight digits, as the annotation `@id` has it. */
export const hexId = (id: number): string => `0x${id.toString(16).padStart(8, '0')}`;
