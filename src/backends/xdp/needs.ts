import { elementCount, tensorBytes } from '../../model/tensor.ts';
import type { BitLayout } from '../../passes/bits.ts';
import { laneNeed, widestLane } from '../../passes/lanes.ts';
import { HEADER_BYTES, ipv4Bytes, OUTER_BYTES } from '../../wire/header.ts';
import type { Need } from '../common/need.ts';
import {
  bufferBytes,
  elementBytesOf,
  hasBorder,
  imageShape,
  isRowMajor,
  PAGE_BYTES,
  paddedBytes,
  SUMS_BYTES,
} from './buffers.ts';
import { copiedRows, copyRuns, programScratchBytes, readsBuffer } from './emit.ts';
import { outputsTogether } from './emit-bits.ts';
import { isFlatLoop, slowSides } from './emit-elementwise.ts';
import { forestInstructions } from './emit-forest.ts';
import { EMBEDDING_COLUMNS, filledStores, layerMoves } from './emit-lookup.ts';
import { runInstructions } from './emit-moves.ts';
import { pointerSteps, unrolledTaps } from './emit-taps.ts';
import { xdpLimits } from './limits.ts';
import type { ElementwiseKind, ElementwisePlan, LayerPlan, MatrixPlan, XdpPlan } from './plan.ts';
import { SLOTS_BYTES, weightBytes, weightSlots } from './weights.ts';

/** Verified instructions outside the layers: parser, tables, answer; short layers are walked once for each slot. */
const FIXED_INSTRUCTIONS = 2300;

/**
 * Foretells what the program needs, before anything is built. The verifier's work is an upper estimate: it walks every
 * iteration of every loop once, as nothing in the layers branches on data.
 */
export function xdpNeeds(plan: XdpPlan): Need[] {
  const needs: Need[] = [];
  let walked = movingInstructions(plan);
  for (const p of plan.layers) {
    if (p.kind === 'matrix' && p.lanes && p.bits?.outputs === undefined)
      needs.push(laneBitsNeed(p, p.lanes.laneBits));
    walked += verifiedInstructions(p);
  }
  const verified = FIXED_INSTRUCTIONS + walked;
  const whole = (resource: string, need: number, limit: number, unit: string, help: string) =>
    needs.push({ resource, need, limit, unit, help });
  whole(
    'verified instructions',
    Math.ceil(verified),
    xdpLimits.verifiedInstructions,
    'instructions',
    'split the model with --layers A..B',
  );
  whole(
    'code',
    plan.layers.reduce((sum, p) => sum + codeInstructions(p), FIXED_INSTRUCTIONS),
    xdpLimits.codeInstructions,
    'instructions',
    plan.options.lanes === 'off' ? 'compile with --lanes on' : 'split the model with --layers A..B',
  );
  const weights = weightBytes(plan);
  const split = 'split the model with --layers A..B';
  if (plan.options.weights === 'runtime')
    whole('weights in one map value', weights, xdpLimits.mapValueBytes, 'bytes', split);
  whole('scratch memory', programScratchBytes(plan), MOST_PAGES * PAGE_BYTES, 'bytes', split);
  whole('map memory with one processor', mapBytes(plan), MOST_MAP_BYTES, 'bytes', split);
  needs.push(largestTensor(plan), stackNeed(plan));
  const activations = Math.max(tensorBytes(plan.input), tensorBytes(plan.output));
  const frame = OUTER_BYTES + HEADER_BYTES + activations;
  whole('frame', frame, xdpLimits.frameBytes, 'bytes', FRAME_HELP);
  const mtu = { limit: plan.options.mtu, unit: 'bytes', help: 'raise --mtu where the path allows it' };
  needs.push({ resource: 'packet', need: ipv4Bytes(activations), ...mtu, ofPath: true });
  return needs;
}

const FRAME_HELP =
  'cut the model with --layers A..B where tensors are smaller; a worker computes what no packet of one page carries';

/** Pieces of the scratch memory; a processor has each for itself. */
const MOST_PAGES = 16;

/** Maps that every program has: tables, counters, the ring of refused requests; as the kernel counts them. */
const FIXED_MAP_BYTES = 280_000;

const MOST_MAP_BYTES = SLOTS_BYTES + MOST_PAGES * PAGE_BYTES + FIXED_MAP_BYTES;

/** Memory of all maps on one processor; each further one has scratch memory of its own. */
function mapBytes(plan: XdpPlan): number {
  const weights = plan.options.weights === 'runtime' ? weightSlots(plan) * weightBytes(plan) : 0;
  return FIXED_MAP_BYTES + weights + programScratchBytes(plan);
}

/** What a program is split for in vain. */
function largestTensor(plan: XdpPlan): Need {
  const sizes = [...plan.buffers].map(([value, b]) => ({ value, bytes: paddedBytes(b) }));
  const { value, bytes } = sizes.reduce((a, b) => (b.bytes > a.bytes ? b : a));
  // The program's first value was made elsewhere.
  const layer = plan.model.layers[Math.max(value - 1, plan.options.from)]!;
  const room = value === plan.options.to ? PAGE_BYTES - SUMS_BYTES : PAGE_BYTES;
  const help = 'use a smaller image, larger strides or fewer channels';
  return {
    layer: layer.name,
    resource: 'scratch memory for one tensor',
    need: bytes,
    limit: room,
    unit: 'bytes',
    help,
  };
}

/** Stack of the program, and of a body of `bpf_loop`, whose frame stands above it: at most as measured, and a little more. */
const STACK = { program: 192, body: 160 } as const;

/** The deepest chain of calls. Layers come one after the other, so there is no sum of theirs. */
function stackNeed(plan: XdpPlan): Need {
  const bodies = (p: LayerPlan): number =>
    (p.loop === 'plain' ? 0 : 1) + (p.kind === 'matrix' && (p.byInput || p.looped > 0) ? 1 : 0);
  const deepest = plan.layers.reduce((a, b) => (bodies(b) > bodies(a) ? b : a));
  return {
    layer: deepest.layer.name,
    resource: 'stack',
    need: STACK.program + STACK.body * bodies(deepest),
    limit: xdpLimits.stackBytes,
    unit: 'bytes',
    help: 'compile with --lanes off',
  };
}

function laneBitsNeed(p: MatrixPlan, limit: number): Need {
  const { bits } = widestLane(laneNeed(p.layer, p.input), p.lanes!.requantisation);
  return {
    layer: p.layer.name,
    resource: 'lane',
    need: bits,
    limit,
    unit: 'bits',
    help: 'compile with --lanes off',
  };
}

/**
 * Instructions walked to move activations in and out, and to fill borders. All constants of this file are those of clang
 * 14's code, fitted over random models (test/backends/xdp/random.test.ts), plus a fifth.
 */
function movingInstructions(plan: XdpPlan): number {
  // The checksum of the request takes an instruction a byte or less.
  let sum = tensorBytes(plan.input) + 6 * tensorBytes(plan.output) + copyInstructions(plan);
  if (!isRowMajor(plan.buffers.get(plan.options.to)!)) sum += 8 * elementCount(plan.output.shape);
  for (const copy of plan.copies) sum += runInstructions(copyRuns(plan, copy)).walked;
  for (const buffer of [...plan.buffers.values(), ...plan.copies.map((copy) => copy.buffer)])
    if (hasBorder(buffer) && buffer.fill !== 0) sum += 8 * Math.ceil(bufferBytes(buffer) / 8);
  return sum;
}

/** The input, element by element; of one channel into a buffer, word by word. */
function copyInstructions(plan: XdpPlan): number {
  const b = plan.buffers.get(plan.options.from)!;
  if (b.channels > 1 || elementBytesOf(b) === 2 || !readsBuffer(plan, plan.options.from))
    return 9 * elementCount(plan.input.shape);
  const [rows, width] = copiedRows(b);
  return rows * (5 * Math.floor(width / 8) + 5 * (width % 8) + 16);
}

/** Upper estimate of the instructions that the verifier walks for one layer. */
export function verifiedInstructions(p: LayerPlan): number {
  const [channels, height, width] = imageShape(p.layer.output.shape);
  // Of `bpf_loop` over an image one iteration is walked, once: it leaves nothing changed that the verifier knows of.
  const positions = { plain: height * width, rows: width, positions: 1, elements: 1 }[p.loop];
  if (p.kind === 'matrix')
    return (p.layer.kind === 'conv2d' ? positions : 1) * (p.groups * (matrixInstructions(p) + 8) + 24);
  const { layer } = p;
  const outputs = elementCount(layer.output.shape);
  const below = (p.below ? 8 : 0) + (p.odd === undefined ? 0 : 8);
  // Where one side has a border or is another view, each side is walked by counters of its own.
  const alike = layer.kind !== 'argmax' && isFlatLoop(p);
  const elements = p.loop === 'plain' ? outputs : positions * channels + 2;
  const walked =
    alike || p.loop !== 'plain'
      ? 0
      : 17 * [...p.from, p.to].filter((b) => !isRowMajor(b)).length + 8 * slowSides(p).length;
  switch (layer.kind) {
    case 'maxPool':
    case 'averagePool':
      return (
        positions *
          (p.loop === 'elements' ? 1 : channels) *
          ((layer.kind === 'maxPool' ? 8.25 : 4) * layer.kernel[0] * layer.kernel[1] + 24 + below) +
        positions * 24
      );
    case 'requantise':
      return (26 + below + walked) * elements;
    case 'add':
      return (32 + below + walked) * elements;
    case 'mul':
      return (30 + below + walked) * elements;
    case 'softmax':
      return (44 + walked) * outputs + 24 * (outputs / layer.size);
    case 'gather':
      return movesOf(p).walked + 4 * filledStores({ ...p, layer });
    case 'argmax':
      return (40 + walked) * elementCount(p.inputs[0]!.shape);
    case 'forest':
      return forestInstructions(p.forest!);
    case 'lut':
      return (7 + walked) * elements;
    case 'pad':
      return 4 * filledStores({ ...p, layer }) + movesOf(p).walked;
    case 'transpose':
      return movesOf(p).walked;
    case 'embedding': {
      const passes = (outputs / layer.width) * Math.ceil(layer.width / EMBEDDING_COLUMNS);
      const perKey = 14 + 3 * layer.keyBytes + 6 * Math.min(layer.width, EMBEDDING_COLUMNS);
      return passes * (layer.bag * perKey + 20) + outputs * (28 + below + walked);
    }
  }
}

/** Whether a kind moves elements and computes nothing. */
const movesElements = {
  maxPool: false,
  averagePool: false,
  requantise: false,
  add: false,
  mul: false,
  softmax: false,
  gather: true,
  pad: true,
  transpose: true,
  lut: false,
  embedding: false,
  argmax: false,
  forest: false,
} satisfies Record<ElementwiseKind, boolean>;

/** Of a layer that moves elements. */
function movesOf(p: ElementwisePlan): { walked: number; code: number } {
  const each = layerMoves(p).map(runInstructions);
  const sum = (of: 'walked' | 'code') => each.reduce((total, run) => total + run[of], 0);
  return { walked: sum('walked'), code: sum('code') };
}

/** Upper estimate of a layer's code; loops count once. */
function codeInstructions(p: LayerPlan): number {
  if (p.kind === 'elementwise') {
    const moves = movesElements[p.layer.kind];
    const taps = 'kernel' in p.layer ? p.layer.kernel[0] * p.layer.kernel[1] : 0;
    return 200 + 8 * taps + (moves ? movesOf(p).code : 0);
  }
  if (p.bits !== undefined) return bitInstructions(p, p.bits).code;
  if (p.byInput) return 5 * p.blocks[0]! + 400;
  const looped = p.looped > 0 ? p.blocks.slice(p.looped - 1) : p.blocks;
  return matrixInstructions({ ...p, taps: unrolledTaps(p), blocks: looped, looped: 0 });
}

/** Instructions that move two pointers on and count. */
const POINTER_STEP = 8;

/** Of a layer that counts bits: packing its inputs by eights, then a word of each plane after the other for each output. */
function bitInstructions(p: MatrixPlan, bits: BitLayout) {
  const { planes, words, ternary } = bits;
  const together = outputsTogether(p, bits);
  const packing = Math.ceil(p.taps / 8) * (4 + 8 * planes) + 8 * words * planes;
  const perLane = bits.outputs === undefined ? perLaneInstructions(p) + 8 : 10;
  const output = planes * words * (ternary ? 21 : 19) + 10 * planes + perLane + 12;
  const iteration = together * output + 24;
  const rest = (p.layer.bias.length % together) * output + 24;
  const full = p.looped > 0 ? 3 : Math.floor(p.layer.bias.length / together);
  return {
    walked: packing + full * iteration + rest,
    code: Math.min(packing, 400) + iteration + rest,
  };
}

/** Requantising a lane. */
const perLaneInstructions = (p: MatrixPlan): number =>
  (p.lanes?.requantisation === 'window' ? 9 : 26) + (p.below ? 8 : 0) + (p.odd === undefined ? 0 : 8);

/** Instructions walked for one output position of a matrix layer. */
function matrixInstructions(p: MatrixPlan): number {
  if (p.bits !== undefined) return bitInstructions(p, p.bits).walked;
  const perLane = perLaneInstructions(p);
  const perTap = (sums: number) => (p.lanes === undefined ? 9 : 5 * sums + 1);
  const walk = POINTER_STEP * pointerSteps(p);
  const block = (sums: number) =>
    p.taps * perTap(sums) + walk + sums * (24 + perLane * (p.lanes?.lanes ?? 1));
  if (p.byInput) {
    const words = p.blocks[0]!;
    return 3 * (6 * words + 16) + words * (32 + perLane * p.lanes!.lanes);
  }
  // The body of a loop is walked until nothing changes: once or twice.
  const body = p.looped > 0 ? 2 * block(p.blocks[0]!) : 0;
  return p.blocks.slice(p.looped).reduce((sum, sums) => sum + block(sums), body);
}
