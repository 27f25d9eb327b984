import { basename, extname } from 'node:path';
import type { Argv } from 'yargs';
import type { HttpDoor } from '../doors/http.ts';
import type { DoorListen } from '../doors/rules.ts';
import type { Worker } from '../ends/worker/index.ts';
import { readBytes } from '../files.ts';
import { type DoorArguments, doorOf } from './door-options.ts';
import { type ArgumentsOf, textOption } from './options.ts';
import { refuseHalfPair, refuseLone, UsageError } from './usage.ts';

/** Options of a worker that serves the Open Inference Protocol, or asks a server of it. */
export const inferenceOptions = <T>(y: Argv<T>) =>
  y
    .option(
      'http',
      textOption(
        'unix:PATH, HOST:PORT on loopback, elsewhere with TLS: serve the Open Inference Protocol v2 over HTTP there',
      ),
    )
    .option('grpc', textOption('The same over gRPC'))
    .option(
      'repository',
      textOption('Folder of models, NAME/VERSION/FILE, that clients of --http and --grpc may have loaded'),
    )
    .option(
      'upstream',
      textOption(
        'Have the last layers computed by a server of the Open Inference Protocol v2: http://, https://, grpc:// or grpcs://HOST:PORT, or unix:PATH',
      ),
    )
    .option('upstream-model', textOption("Name of the model there; default that of this model's file"))
    .option('upstream-version', textOption("Its version; default the server's choice"))
    .option(
      'upstream-from',
      textOption('Number or name of the first layer that is computed there; default 0, all of them'),
    )
    .option(
      'upstream-ca',
      textOption('Certificate authority of that server, PEM; default those of the system'),
    )
    .option('upstream-cert', textOption('Certificate that is shown to it, PEM'))
    .option('upstream-key', textOption('Its key, PEM'));

type Asked = ArgumentsOf<typeof inferenceOptions> &
  DoorArguments & {
    readonly model?: string | undefined;
    readonly on: 'auto' | 'onnxruntime' | 'reference';
    readonly batch: number;
  };

interface Serving {
  readonly http?: DoorListen | undefined;
  readonly grpc?: DoorListen | undefined;
}

/** @throws UsageError where others than those who may could change what this worker holds */
export async function servingOf(a: Asked): Promise<Serving> {
  if (a.http === undefined && a.grpc === undefined) {
    if (a.repository !== undefined)
      throw new UsageError('--repository is of --http and --grpc: name one of them');
    return {};
  }
  const { inferenceListenFault } = await import('../ends/worker/inference/index.ts');
  const listenOf = (option: 'http' | 'grpc') => {
    const address = a[option];
    if (address === undefined) return undefined;
    const listen = doorOf(a, address);
    const fault = inferenceListenFault(listen, option);
    if (fault !== undefined) throw new UsageError(fault);
    return listen;
  };
  return { http: listenOf('http'), grpc: listenOf('grpc') };
}

/**
 * Opens the doors that were asked for, all or none of them; nothing is loaded where none was. @throws what opening a door throws
 */
export async function openInference(worker: Worker, { http, grpc }: Serving, a: Asked, version: string) {
  if (http === undefined && grpc === undefined) return [];
  const { ModelServer, openInferenceGrpc, openInferenceHttp, Repository } = await import(
    '../ends/worker/inference/index.ts'
  );
  const repository = a.repository === undefined ? undefined : new Repository(a.repository);
  const server = new ModelServer(worker, { version, repository, on: a.on, batch: a.batch });
  const doors: (HttpDoor & { readonly protocol: string })[] = [];
  try {
    if (http !== undefined) doors.push({ ...(await openInferenceHttp(server, http)), protocol: 'http' });
    if (grpc !== undefined) doors.push({ ...(await openInferenceGrpc(server, grpc)), protocol: 'grpc' });
    return doors;
  } catch (error) {
    for (const door of doors) door.close();
    throw error;
  }
}

/** @throws UsageError, DiagnosticError where a file cannot be read */
export async function upstreamOf(a: Asked) {
  const { upstream: url, upstreamModel, upstreamVersion: version = '', upstreamFrom: from } = a;
  if (url === undefined) {
    const { upstreamCa: ca, upstreamCert: cert, upstreamKey: key } = a;
    const others = {
      'upstream-model': upstreamModel,
      'upstream-version': a.upstreamVersion,
      'upstream-from': from,
      'upstream-ca': ca,
      'upstream-cert': cert,
      'upstream-key': key,
    };
    refuseLone('upstream', others, 'name the server');
    return undefined;
  }
  const { upstreamUrlFault } = await import('../ends/worker/upstream/upstream.ts');
  const fault = upstreamUrlFault(url);
  if (fault !== undefined) throw new UsageError(`--upstream ${fault}`);
  if (a.model === undefined) throw new UsageError('--upstream computes layers of a model: name the model');
  refuseHalfPair('upstream', a.upstreamCert, a.upstreamKey);
  const pem = (file: string | undefined) => (file === undefined ? undefined : readBytes(file, 'pem'));
  const [ca, cert, key] = [pem(a.upstreamCa), pem(a.upstreamCert), pem(a.upstreamKey)];
  const model = upstreamModel ?? basename(a.model, extname(a.model));
  return {
    url,
    model,
    version,
    from,
    tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
  };
}
