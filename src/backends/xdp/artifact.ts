import { createHash } from 'node:crypto';
import { jsonText } from '../../diagnostics/index.ts';
import type { TensorType } from '../../model/tensor.ts';
import { manifestHead } from '../common/manifest-head.ts';
import { emitXdp, PROGRAM_FILE } from './emit.ts';
import { P4INFO_FILE, xdpP4Info } from './p4info.ts';
import type { LayerPlan, XdpPlan } from './plan.ts';
import { arrayBytes, encodeWeights, weightArrays, weightSlots } from './weights.ts';

/** What a controller and an agent need to know of the program, as JSON. */
export const MANIFEST_FILE = 'manifest.json';
/** Arrays of all layers as the kernel's map holds them. */
export const WEIGHTS_FILE = 'weights.bin';
/** The ELF file that clang has made. */
export const OBJECT_FILE = 'program.o';

/** What a controller needs to know of a compiled program; the format of `manifest.json`. */
export interface Manifest {
  readonly format: 'intransit-manifest/1';
  readonly target: 'xdp';
  readonly model: {
    readonly name: string;
    readonly id: number;
    readonly version: number;
    readonly layerCount: number;
  };
  /** Layers `[from, to)` of the model. */
  readonly layers: { readonly from: number; readonly to: number };
  readonly input: TensorType;
  readonly output: TensorType;
  readonly port: number;
  readonly program: { readonly source: string; readonly object: string; readonly section: string };
  readonly weights:
    | { readonly mode: 'static' }
    | {
        readonly mode: 'runtime';
        readonly file: string;
        readonly bytes: number;
        /** Versions that the program holds side by side. */
        readonly slots: number;
        readonly sha256: string;
        readonly arrays: readonly {
          readonly name: string;
          readonly type: string;
          readonly offset: number;
          readonly count: number;
        }[];
      };
  readonly plan: readonly object[];
}

/** What stands in `manifest.json`; the same bytes for the same plan. */
export function xdpManifest(plan: XdpPlan): Manifest {
  return {
    ...manifestHead('xdp', plan),
    program: { source: PROGRAM_FILE, object: OBJECT_FILE, section: 'xdp' },
    weights: weightsEntry(plan),
    plan: plan.layers.map(describeLayer),
  };
}

/** The weights of a plan, as manifests tell of them. */
export function weightsEntry(plan: XdpPlan, slots = weightSlots(plan)): Manifest['weights'] {
  if (plan.options.weights === 'static') return { mode: 'static' };
  const bytes = encodeWeights(plan);
  let offset = 0;
  const arrays = weightArrays(plan).map((a) => {
    const place = { name: a.name, type: a.type, offset, count: a.values.length };
    offset += arrayBytes(a);
    return place;
  });
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return {
    mode: 'runtime',
    file: WEIGHTS_FILE,
    bytes: bytes.length,
    slots,
    sha256,
    arrays,
  };
}

/** How a layer is computed, for people and for checks. */
export function describeLayer(p: LayerPlan): object {
  const base = { index: p.index, name: p.layer.name, kind: p.layer.kind, output: p.layer.output };
  if (p.kind === 'elementwise') return base;
  if (p.bits !== undefined) return { ...base, taps: p.taps, bits: p.bits, shift: p.shift };
  return { ...base, taps: p.taps, lanes: p.lanes ?? null, blocks: p.blocks, shift: p.shift };
}

/** All files of a compiled model but the object: name to content, the same bytes for the same plan. */
export function xdpFiles(plan: XdpPlan): Map<string, string | Uint8Array> {
  const files = new Map<string, string | Uint8Array>();
  files.set(PROGRAM_FILE, emitXdp(plan));
  if (plan.options.weights === 'runtime') files.set(WEIGHTS_FILE, encodeWeights(plan));
  files.set(P4INFO_FILE, xdpP4Info(plan));
  files.set(MANIFEST_FILE, jsonText(xdpManifest(plan)));
  return files;
}
