import { type Diagnostic, diagnostic, refuse } from '../../../diagnostics/index.ts';
import { socketPath } from '../../../doors/rules.ts';
import { cutReader } from '../../../model/cut.ts';
import { type Model, outputType, valueType } from '../../../model/model.ts';
import { elementCount, formatTensorType, type TensorType, tensorBytes } from '../../../model/tensor.ts';
import { isVerdict } from '../../../model/verdict.ts';
import { toElements } from '../../../rows/index.ts';
import { type Finisher, interpretAll, madeUpRows } from '../finisher.ts';
import {
  bytesOfDatatype,
  type Datatype,
  inDatatype,
  integersOf,
  isDatatype,
  isIntegers,
  numbersOf,
} from '../inference/tensors.ts';
import { verdicts } from '../large-model.ts';
import type { TensorDescription, UpstreamAddress, UpstreamClient } from './client.ts';
import { GrpcUpstream } from './grpc-client.ts';
import { HttpUpstream } from './http-client.ts';

/** The end of a path at another server: it computes the layers from `from` on. */
export interface Upstream {
  readonly url: string;
  /** Cursor of the tensor that it is given. */
  readonly from: number;
  /** Outputs of `count` rows of that tensor, one after the other, on the grid of the model's output. */
  run(rows: Uint8Array, count: number): Promise<Uint8Array>;
  close(): void;
}

/** The server's model, and which part of ours it is. */
export interface UpstreamOptions extends UpstreamAddress {
  /** Index or name of the first layer that it computes; 0 if absent. */
  readonly from?: string | undefined;
}

/** What is wrong with a URL; undefined where nothing is. */
export function upstreamUrlFault(url: string): string | undefined {
  if (socketPath(url) !== undefined) return undefined;
  return /^(https?|grpcs?):\/\/(\[[0-9a-fA-F:.]+\]|[\w.-]+)(:\d{1,5})?\/?$/.test(url)
    ? undefined
    : `${url}: must be http://, https://, grpc:// or grpcs:// with HOST:PORT, or unix:PATH`;
}

/**
 * Finds a model at a server and makes sure that it reads what a packet brings there and answers what the model would.
 * @throws DiagnosticError `upstream`
 */
export async function openUpstream(
  model: Model,
  options: UpstreamOptions,
  onDiagnostic: (d: Diagnostic) => void,
): Promise<Upstream> {
  const url = options.url.replace(/\/$/, '');
  const bad = (what: string): never => refuse('upstream', { model: options.model, what }, { file: url });
  const from = cursorOf(model, options.from, bad);
  const address = { ...options, url };
  const client = url.startsWith('grpc') ? new GrpcUpstream(address) : new HttpUpstream(address);
  try {
    const run = await runner(client, model, from, bad);
    const upstream = { url, from, run, close: () => client.close() };
    await tryOut(upstream, model, options.model, onDiagnostic);
    return upstream;
  } catch (error) {
    client.close();
    throw error;
  }
}

/** Layers up to where the server goes on, by the interpreter; the server does the rest. @pre `from <= upstream.from` */
export function upstreamFinisher(model: Model, from: number, upstream: Upstream): Finisher {
  return {
    on: 'upstream',
    run: async (rows, count) =>
      upstream.run(await interpretAll(model, rows, count, from, upstream.from), count),
    async close() {},
  };
}

type Bad = (what: string) => never;

function cursorOf(model: Model, text: string | undefined, bad: Bad): number {
  if (text === undefined) return 0;
  const named = model.layers.findIndex((layer) => layer.name === text);
  const from = named >= 0 ? named : Number(text);
  if (!Number.isInteger(from) || from < 0 || from >= model.layers.length)
    return bad(`${model.file} has no layer ${text} (0 to ${model.layers.length - 1}, or a name)`);
  if (cutReader(model, from) !== undefined)
    return bad(`${model.file} cannot be cut before layer ${text}: a later layer reads what is before it`);
  return from;
}

async function metadataOf(client: UpstreamClient, bad: Bad) {
  const found = await client.metadata().catch((error: Error) => bad(error.message));
  const [input, output] = [found.inputs[0], found.outputs[0]];
  if (input === undefined || found.inputs.length > 1)
    return bad(`it has ${found.inputs.length} inputs, not one`);
  if (output === undefined || found.outputs.length > 1)
    return bad(`it has ${found.outputs.length} outputs, not one`);
  return { input, output };
}

async function runner(
  client: UpstreamClient,
  model: Model,
  from: number,
  bad: Bad,
): Promise<Upstream['run']> {
  const { input, output } = await metadataOf(client, bad);
  const given = valueType(model, from);
  const datatype =
    datatypeOf(input, given) ?? bad(`its input is ${described(input)}, but ${formatTensorType(given)} comes`);
  const { row, batches } =
    rowShape(input, given) ?? bad(`its input is ${described(input)}, but ${formatTensorType(given)} comes`);
  const ask = async (rows: Uint8Array, count: number): Promise<Uint8Array> => {
    const shape = batches ? [count, ...row] : row;
    const bytes = inDatatype(rows, given, datatype);
    const answer = await client.infer({ name: input.name, datatype, shape, bytes }, output.name);
    return onGrid(answer, model, count);
  };
  return async (rows, count) => {
    if (batches || count === 1) return ask(rows, count);
    const width = rows.length / count;
    const parts: Uint8Array[] = [];
    for (let i = 0; i < count; i++) parts.push(await ask(rows.subarray(i * width, (i + 1) * width), 1));
    return Buffer.concat(parts);
  };
}

const described = ({ datatype, shape }: TensorDescription): string => `${datatype}[${shape.join(', ')}]`;

/** In which it takes the tensor: the integers themselves, or the reals that they stand for. */
function datatypeOf({ datatype }: TensorDescription, type: TensorType): Datatype | undefined {
  if (!isDatatype(datatype)) return undefined;
  if (!isIntegers(datatype)) return datatype;
  return datatype === integersOf[type.element] ? datatype : undefined;
}

/** The sizes of one row, and whether a size for the batch goes before them. */
function rowShape({ shape }: TensorDescription, type: TensorType) {
  const width = elementCount(type.shape);
  const fill = (sizes: readonly number[]): readonly number[] | undefined => {
    if (!sizes.some((size) => size < 0)) return elementCount(sizes) === width ? sizes : undefined;
    // Open sizes are those of the tensor that comes.
    return sizes.length === type.shape.length && sizes.every((size, i) => size < 0 || size === type.shape[i])
      ? type.shape
      : undefined;
  };
  const [batch, ...rest] = shape;
  if (batch === -1) {
    const row = fill(rest);
    return row && { row, batches: true };
  }
  const row = fill(shape);
  return row && { row, batches: false };
}

/** The answer as the model's output: its integers, reals through its grid, or the class and margin of logits. */
function onGrid(
  { name, datatype, bytes }: Awaited<ReturnType<UpstreamClient['infer']>>,
  model: Model,
  count: number,
) {
  const type = outputType(model);
  const width = elementCount(type.shape);
  const expected = `${count} rows of ${width} elements`;
  const wrong = (what: string): never => {
    throw new Error(`output "${name}" of the server ${what}`);
  };
  if (!isDatatype(datatype) || (isIntegers(datatype) && datatype !== integersOf[type.element]))
    return wrong(`is ${datatype}, not ${integersOf[type.element]}, FP32 or FP64`);
  const elements = bytes.length / bytesOfDatatype[datatype];
  if (isIntegers(datatype)) {
    if (elements !== count * width) return wrong(`has ${elements} elements, not ${expected}`);
    return bytes;
  }
  const values = numbersOf(bytes, datatype);
  if (isVerdict(model.layers.at(-1)) && elements > count * width && elements % count === 0)
    return verdicts(Float32Array.from(values), count);
  if (elements !== count * width) return wrong(`has ${elements} elements, not ${expected}`);
  const place = (i: number) => `row ${Math.floor(i / width) + 1}, element ${(i % width) + 1}`;
  return toElements({ count, whole: false, values, place }, type, name).bytes;
}

/** Rows of the trial. */
const TRIAL_ROWS = 16;

/** Made-up rows through the server and the reference: a server that computes something else may be meant, but it is said. */
async function tryOut(
  { url, from, run }: Upstream,
  model: Model,
  name: string,
  onDiagnostic: (d: Diagnostic) => void,
): Promise<void> {
  const rows = madeUpRows(tensorBytes(valueType(model, from)), TRIAL_ROWS);
  const failed = (error: Error) => refuse('upstream', { model: name, what: error.message }, { file: url });
  const answers = await run(rows, TRIAL_ROWS).catch(failed);
  const expected = await interpretAll(model, rows, TRIAL_ROWS, from, model.layers.length);
  let mismatches = 0;
  for (let i = 0; i < expected.length; i++) if (answers[i] !== expected[i]) mismatches++;
  const args = { model: name, mismatches, elements: expected.length };
  if (mismatches > 0) onDiagnostic(diagnostic('upstream-differs', args, { file: url }));
}
