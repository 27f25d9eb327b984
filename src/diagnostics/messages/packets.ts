import { entry } from './entry.ts';

/** Packets, at either end of a path. */
export const packetsMessages = {
  'no-verdict': entry<{ outputs: number; limit: number }>(
    'error',
    (a) => `has ${a.outputs} outputs; a verdict tells at most ${a.limit} classes apart`,
    () => 'let packets carry the outputs, or let the model end in fewer classes',
  ),
  'layer-cut': entry<{ at: number; reader: string }>(
    'error',
    (a) => `the model cannot be cut before layer ${a.at}: layer "${a.reader}" reads a tensor from before it`,
    () => 'a packet carries one tensor: cut before or behind the residual connection',
  ),
  'too-many-fragments': entry<{ bytes: number; fragments: number; limit: number; mtu: number }>(
    'error',
    (a) =>
      `a tensor of ${a.bytes} bytes makes ${a.fragments} packets at an MTU of ${a.mtu}; at most ${a.limit} can be told apart`,
    () => 'raise --mtu where the path allows it, or split the model at a smaller tensor',
  ),
  'host-unknown': entry<{ host: string; reason: string }>(
    'error',
    (a) => `${a.host} has no IPv4 address: ${a.reason}`,
    () => 'check the name, or give the address itself',
  ),
  'send-failed': entry<{ to: string; reason: string; refused: boolean }>(
    'error',
    (a) => `nothing can be sent to ${a.to}: ${a.reason}`,
    (a) =>
      a.refused
        ? 'start `intransit worker` there, or name another address with --to'
        : 'see whether there is a route: ip route get',
  ),
  'rows-lost': entry<{
    which: string;
    lost: number;
    of: number;
    why: string;
    done: string;
    silent: boolean;
  }>(
    'error',
    (a) => `${a.lost} of ${a.of} rows have no answer (${a.why}): ${a.which}; ${a.done}`,
    (a) =>
      a.silent
        ? 'see whether a worker listens at the end of the path, allow more with --retries and --timeout, or send slower with --rate'
        : 'the worker holds another model: compare --model-id, --model-version, --verdict and --zone with its own',
  ),
  'answers-differ': entry<{ count: number }>(
    'warning',
    (a) => `${a.count} duplicate answers say something else than the first, which was taken`,
    () =>
      'two nodes on the path answer by different weights, or one of them wrongly: see the versions with --json',
  ),
  'service-unrouted': entry<{ service: string; reason: string }>(
    'error',
    (a) => `nothing can be sent to the service ${a.service}: ${a.reason}`,
    () => 'intransit resolve tells what it stands for; workers need an address in their manifests',
  ),
  'measures-untold': entry<{ reason: string }>(
    'warning',
    (a) => `the controller was not told how long the answers took: ${a.reason}`,
    () => 'the answers are whole all the same; see that this side may register there',
  ),
  'listen-failed': entry<{ address: string; reason: string }>(
    'error',
    (a) => `cannot listen on ${a.address}: ${a.reason}`,
    () => 'name another address with --listen, or end the process that has this one',
  ),
  'missing-package': entry<{ name: string; reason: string; instead: string }>(
    'error',
    (a) => `the package ${a.name} cannot be loaded: ${a.reason}`,
    (a) => `npm install ${a.name}, or ${a.instead}`,
  ),
  'no-onnx-graph': entry(
    'error',
    () => 'is no ONNX model, so ONNX Runtime cannot run it',
    () => 'use --on reference or --on auto',
  ),
  'worker-on-reference': entry<{ from: number; reason: string }>(
    'note',
    (a) => `layers from ${a.from} on run in the reference interpreter: ${a.reason}`,
  ),
  'worker-differs': entry<{ from: number; mismatches: number; elements: number }>(
    'warning',
    (a) =>
      `ONNX Runtime gives ${a.mismatches} of ${a.elements} elements otherwise than the reference from layer ${a.from} on`,
    () => 'use --on reference, or --on auto, which does so by itself',
  ),
  'worker-engine': entry<{ rows: number; reason: string }>(
    'error',
    (a) => `a run of ${a.rows} rows failed, and they were refused: ${a.reason}`,
    () => 'the statistics count further failures; use --on reference if the engine cannot run this model',
  ),
  upstream: entry<{ model: string; what: string }>(
    'error',
    (a) => `model ${a.model} of the server does not do as the end of this path: ${a.what}`,
    () =>
      'see /v2/models/NAME of the server; --upstream-model, --upstream-version and --upstream-from say what is meant',
  ),
  'upstream-differs': entry<{ model: string; mismatches: number; elements: number }>(
    'warning',
    (a) =>
      `model ${a.model} of the server gives ${a.mismatches} of ${a.elements} elements otherwise than the model file`,
    () => 'that is as it should be of a float or a larger model; otherwise see which model the server has',
  ),
  'large-model': entry<{ what: string }>(
    'error',
    (a) => `does not do as the large model: ${a.what}`,
    () => 'docs/early-exit.md says how the two belong together',
  ),
};
