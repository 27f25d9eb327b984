import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { type Diagnostic, DiagnosticError } from '../diagnostics/index.ts';
import { readBytes, readText } from '../files.ts';
import { importOptionsOf } from '../import/given-options.ts';
import { importBytes } from '../import/index.ts';
import { expectation, MOST_FAULTS, parseJson } from '../import/json/parse.ts';
import type { Model } from '../model/model.ts';
import { withVerdict } from '../model/verdict.ts';
import type { TlsOptions } from '../p4runtime/index.ts';
import {
  type DeploymentFile,
  type DeviceSpec,
  deploymentSchema,
  type Hop,
  type ListedModel,
  type ModelSpec,
} from './deployment-schema.ts';
import { beside, deploymentFault } from './faults.ts';
import { prefixOf } from './forwarding.ts';
import { type PlannedLayers, readPlannedLayers } from './planned-layers.ts';
import type { ModelSource } from './worker-client.ts';

/** A deployment file with what it refers to, as far as it can be read without the model. */
export interface Deployment {
  readonly file: string;
  readonly name: string;
  readonly spec: DeploymentFile;
  /** One or several, each with an id of its own. */
  readonly models: readonly DeployedModel[];
  /** TLS texts by the name of the device. */
  readonly tls: ReadonlyMap<string, TlsOptions>;
}

/** A model of a deployment, and what it is on its devices. */
export interface DeployedModel {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly plan: PlannedLayers | undefined;
  /** By the name of the device; on others it is nothing. */
  readonly placement: ReadonlyMap<string, ModelPlacement>;
}

/** What a model is on one device. */
export interface ModelPlacement {
  /** As written; absent where the plan says them, or nothing does. */
  readonly layers: string | undefined;
  readonly threshold: number;
  /** In which its version is to stand; any that is free if absent. */
  readonly slot: number | undefined;
  readonly steering: DeviceSpec['steering'];
  /** In the file. */
  readonly at: readonly PropertyKey[];
}

type Fault = readonly [path: readonly PropertyKey[], expected: string];

/** @throws DiagnosticError `file-unreadable`, or as `parseDeployment` */
export const readDeployment = (file: string): Deployment => parseDeployment(readText(file), file);

/** @param file paths in the text are relative to it @throws DiagnosticError with every fault that was found */
export function parseDeployment(text: string, file: string): Deployment {
  const result = deploymentSchema.safeParse(parseJson(text, file));
  if (!result.success)
    throw new DiagnosticError(
      result.error.issues
        .slice(0, MOST_FAULTS)
        .map((issue) => deploymentFault(file, issue.path, expectation(issue))),
    );
  const spec = result.data;
  const faults = contradictions(spec);
  if (faults.length > 0)
    throw new DiagnosticError(faults.slice(0, MOST_FAULTS).map((f) => deploymentFault(file, ...f)));
  const name = spec.name ?? basename(file, extname(file));
  const tls = [...spec.devices, ...spec.workers].flatMap((d) =>
    d.tls === undefined ? [] : [[d.name, readTls(d.tls, (path) => beside(file, path))] as const],
  );
  return { file, name, spec, models: modelsOf(file, spec), tls: new Map(tls) };
}

function modelsOf(file: string, spec: DeploymentFile): readonly DeployedModel[] {
  const planOf = (path: string | undefined) =>
    path === undefined ? undefined : readPlannedLayers(beside(file, path));
  const byDevices = new Map(
    spec.devices.map(({ name, layers, threshold, steering }, i) => {
      const at = ['devices', i];
      return [name, { layers, threshold, steering, slot: undefined, at }] as const;
    }),
  );
  if (spec.models === undefined) {
    const own = spec.model!;
    return [{ name: modelName(own), spec: own, plan: planOf(spec.plan), placement: byDevices }];
  }
  return spec.models.map(({ name, plan, placement, ...own }, i) => {
    const placed = placement?.map(({ device, layers, threshold, slot, steering }, j) => {
      const at = ['models', i, 'placement', j];
      return [device, { layers, threshold, slot, steering, at }] as const;
    });
    return {
      name: name ?? modelName(own),
      spec: own,
      plan: planOf(plan),
      placement: placed === undefined ? byDevices : new Map(placed),
    };
  });
}

const modelName = ({ file }: ModelSpec): string => basename(file, extname(file));

/** A model that the file names. @throws DiagnosticError */
export async function deployedModel(
  { file }: Deployment,
  { spec }: DeployedModel,
): Promise<{
  readonly model: Model;
  readonly source: ModelSource;
  readonly diagnostics: readonly Diagnostic[];
}> {
  const { verdict } = spec;
  const options = importOptionsOf(spec);
  const path = beside(file, spec.file);
  const bytes = readBytes(path, 'model');
  const { model, diagnostics } = await importBytes(bytes, path, options);
  const source = { name: basename(path), bytes, verdict, options };
  return { model: verdict ? withVerdict(model) : model, source, diagnostics };
}

/** `digits.state` for `digits.json`. */
export const defaultStateFolder = (file: string): string =>
  join(dirname(resolve(file)), `${basename(file, extname(file))}.state`);

/**
 * Certificates by the paths of their files.
 * @param resolved where a path leads
 * @throws DiagnosticError where files cannot be read
 */
export function readTls(
  tls: NonNullable<DeviceSpec['tls']>,
  resolved: (path: string) => string = (path) => path,
): TlsOptions {
  const pem = (path: string | undefined) =>
    path === undefined ? undefined : readBytes(resolved(path), 'pem');
  const [ca, cert, key] = [pem(tls.ca), pem(tls.cert), pem(tls.key)];
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(tls.serverName !== undefined && { serverName: tls.serverName }),
  };
}

/** One spelling of an address: under two, one device would be its own rival. */
export function plainAddress(address: string): string {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/.exec(address)?.[1];
  if (path !== undefined) return `unix:${existsSync(path) ? realpathSync(path) : resolve(path)}`;
  const [, host, port] = /^(.*):(\d+)$/.exec(address) ?? [];
  if (host === undefined) return address;
  const name = host.toLowerCase().replace(/\.$/, '');
  return `${HERE.has(name) ? '127.0.0.1' : name}:${Number(port)}`;
}

/** Names of this machine, for one who dials. */
const HERE: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '0.0.0.0', '[::1]', '[::]']);

/** What a schema cannot say: names and keys are unique, hops are whole. */
// Long: a list of checks, each of two or three lines.
function contradictions({ devices, workers, model, models, plan }: DeploymentFile): Fault[] {
  const faults: Fault[] = [];
  if (model === undefined && models === undefined)
    faults.push([['model'], 'expected a model here, or several under models']);
  if (model !== undefined && models !== undefined)
    faults.push([['models'], 'expected either model or models']);
  if (plan !== undefined && models !== undefined)
    faults.push([['plan'], 'expected none beside models: each of them names its own']);
  const unique = uniqueIn(faults);
  unique(
    devices,
    (d) => d.name,
    (i) => ['devices', i, 'name'],
  );
  const names = new Set(devices.map((d) => d.name));
  contradictionsOfModels(models ?? [], names, faults);
  for (const [i, w] of workers.entries()) {
    if (names.has(w.name))
      faults.push([['workers', i, 'name'], `expected one of its own: ${w.name} is there twice`]);
    names.add(w.name);
    if ((w.tls?.cert === undefined) !== (w.tls?.key === undefined))
      faults.push([['workers', i, 'tls'], 'expected cert and key, or neither']);
  }
  unique(
    workers,
    (w) => plainAddress(w.address),
    (i) => ['workers', i, 'address'],
  );
  unique(
    devices,
    (d) => `device ${d.deviceId} at ${plainAddress(d.address)}`,
    (i) => ['devices', i, 'address'],
  );
  for (const [i, d] of devices.entries()) {
    const at = (...rest: PropertyKey[]) => ['devices', i, ...rest];
    if ((d.tls?.cert === undefined) !== (d.tls?.key === undefined))
      faults.push([at('tls'), 'expected cert and key, or neither']);
    unique(
      d.ports,
      (p) => p.ingress,
      (j) => at('ports', j, 'ingress'),
    );
    unique(
      d.steering,
      (s) => s.nextLayer,
      (j) => at('steering', j, 'nextLayer'),
    );
    unique(
      d.routes,
      (r) => r.prefix,
      (j) => at('routes', j, 'prefix'),
    );
    for (const field of ['routes', 'steering'] as const)
      for (const [j, hop] of d[field].entries()) faults.push(...hopFaults(hop, at(field, j)));
    for (const [j, { prefix }] of d.routes.entries())
      if (prefixOf(prefix) === undefined)
        faults.push([
          at('routes', j, 'prefix'),
          'expected an IPv4 prefix such as 10.0.0.0/8, without bits behind it',
        ]);
  }
  return faults;
}

type Unique = <T>(
  items: readonly T[],
  key: (item: T) => unknown,
  path: (i: number) => PropertyKey[],
  what?: (item: T) => string,
) => void;

/** Tells of each item whose key another before it has. */
const uniqueIn =
  (faults: Fault[]): Unique =>
  (items, key, path, what) => {
    const seen = new Set<unknown>();
    for (const [i, item] of items.entries()) {
      const k = key(item);
      if (seen.has(k)) faults.push([path(i), `expected one of its own: ${what?.(item) ?? k} is there twice`]);
      seen.add(k);
    }
  };

function hopFaults(hop: Hop, at: PropertyKey[]): Fault[] {
  const faults: Fault[] = [];
  if ((hop.port === undefined) === (hop.drop === undefined))
    faults.push([at, 'expected either port or drop']);
  if ((hop.sourceMac === undefined) !== (hop.destinationMac === undefined))
    faults.push([at, 'expected sourceMac and destinationMac, or neither']);
  return faults;
}

/** Models share devices: ids and slots tell them apart. */
function contradictionsOfModels(
  models: readonly ListedModel[],
  devices: ReadonlySet<string>,
  faults: Fault[],
): void {
  const unique = uniqueIn(faults);
  unique(
    models,
    (m) => m.id,
    (i) => ['models', i, 'id'],
  );
  unique(
    models,
    (m) => m.name ?? modelName(m),
    (i) => ['models', i, 'name'],
  );
  const claims: { readonly slot: number; readonly device: string; readonly at: PropertyKey[] }[] = [];
  for (const [i, { placement = [] }] of models.entries()) {
    const at = (j: number, field: PropertyKey) => ['models', i, 'placement', j, field];
    unique(
      placement,
      (p) => p.device,
      (j) => at(j, 'device'),
    );
    for (const [j, { device, slot, steering }] of placement.entries()) {
      if (!devices.has(device))
        faults.push([at(j, 'device'), `expected the name of a device of this file, not ${device}`]);
      unique(
        steering,
        (s) => s.nextLayer,
        (k) => [...at(j, 'steering'), k, 'nextLayer'],
      );
      for (const [k, hop] of steering.entries()) faults.push(...hopFaults(hop, [...at(j, 'steering'), k]));
      if (slot !== undefined) claims.push({ slot, device, at: at(j, 'slot') });
    }
  }
  unique(
    claims,
    ({ device, slot }) => `${device} ${slot}`,
    (i) => claims[i]!.at,
    ({ device, slot }) => `slot ${slot} of ${device}`,
  );
}
