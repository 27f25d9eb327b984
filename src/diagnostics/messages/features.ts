import { entry, list } from './entry.ts';

/** Definitions of features, captures and labels. */
export const featuresMessages = {
  'features-unknown': entry<{ name: string; known: readonly string[] }>(
    'error',
    (a) => `there is no file and no ready-made definition ${a.name}`,
    (a) => `ready-made are ${list(a.known)}; docs/features.md tells how to write one`,
  ),
  'features-syntax': entry<{ reason: string }>(
    'error',
    (a) => `is neither YAML nor JSON: ${a.reason}`,
    () => 'in a line with braces an expression with a comma or a colon wants quotes',
  ),
  'features-twice': entry<{ name: string; line: number; column: number }>(
    'error',
    (a) => `line ${a.line}, column ${a.column}: ${a.name} is there twice; a name stands for one thing`,
    () => 'leave one out, or give it another name',
  ),
  'features-field': entry<{ path: string; what: string }>(
    'error',
    (a) => `${a.path}: ${a.what}`,
    () => 'see docs/features.md, or let your editor check the file against schema/features.schema.json',
  ),

  'actions-field': entry<{ path: string; what: string }>(
    'error',
    (a) => `${a.path}: ${a.what}`,
    () => 'see docs/classify.md, or let your editor check the file against schema/actions.schema.json',
  ),
  'actions-target': entry<{ target: string | number; what: string }>(
    'error',
    (a) => `${a.target} is ${a.what}`,
    () => '--live sends to interfaces, named as `ip link` does; --device to ports, by their numbers',
  ),
  'models-field': entry<{ path: string; what: string }>(
    'error',
    (a) => `${a.path}: ${a.what}`,
    () => 'docs/classify.md says what stands in a file of models',
  ),
  'flow-device': entry<{ address: string; reason: string }>(
    'error',
    (a) => `the device at ${a.address} does not do it: ${a.reason}`,
    () => 'see that it runs, that --on says what it is, and that nobody else is its primary',
  ),
  'larger-model-silent': entry<{ to: string; reason: string }>(
    'error',
    (a) => `the worker at ${a.to} that is to be asked does not answer: ${a.reason}`,
    () => 'start it (intransit worker MODEL --verdict --large BIG.onnx), and name its model by --larger-id',
  ),
  'larger-model-unanswered': entry<{ to: string; silent: number; reason: string }>(
    'warning',
    (a) =>
      `${a.silent} questions to the worker at ${a.to} had no answer, and their flows keep their verdicts: ${a.reason}`,
    () =>
      'its model reads the features as uint8 and ends in class and margin (--verdict, --large) of the same classes',
  ),

  'labels-malformed': entry<{ what: string }>(
    'error',
    (a) => a.what,
    () =>
      'a label is a row of client_ip, client_port, server_ip, server_port, transport and class; pcap names its capture',
  ),
  'labels-unused': entry<{ unused: number; flows: number; line: number }>(
    'warning',
    (a) => `${a.unused} of ${a.flows} labels name no flow of these captures, first that of line ${a.line}`,
  ),
  'labels-none': entry<{ flows: number }>(
    'error',
    (a) => `none of its ${a.flows} labels names a flow of these captures`,
    () => 'compare addresses and ports, and the column pcap, with the captures',
  ),
  'flow-width': entry<{ inputs: number; features: readonly string[]; definition: string }>(
    'error',
    (a) =>
      `reads ${a.inputs} inputs, and the definition ${a.definition} has ${a.features.length} features: ${list(a.features)}`,
    () => 'a model reads the features of the definition that it was trained on, in their order',
  ),
  'flow-target': entry<{ target: string; what: string; why: string }>(
    'error',
    (a) => `${a.what} cannot run on ${a.target}: ${a.why}`,
    () => 'classify on the reference (--on reference), or change the definition',
  ),
  'flow-no-target': entry<{ target: string; known: readonly string[] }>(
    'error',
    (a) => `no program of flows can be made for ${a.target}`,
    (a) => `programs of flows are made for ${list(a.known)}`,
  ),
  'flow-state': entry<{ target: string; bytes: number; most: number }>(
    'error',
    (a) => `a flow keeps ${a.bytes} bytes, and ${a.target} has room for ${a.most}`,
    () => 'keep fewer numbers, or narrower ones (bits)',
  ),
  'flow-classes': entry<{ classes: number; names: readonly string[] }>(
    'error',
    (a) => `tells ${a.classes} classes apart, and the labels name ${a.names.length}: ${list(a.names)}`,
    () => 'give the names of all its classes in the order of their numbers: --class-names web,video,...',
  ),
  'flow-classes-guessed': entry<{ names: readonly string[] }>(
    'warning',
    (a) => `has no names for its classes; the labels' are taken in alphabetical order: ${list(a.names)}`,
    () => '--class-names says them in the order of their numbers',
  ),
  'capture-malformed': entry<{ reason: string }>(
    'error',
    (a) => a.reason,
    () => 'captures are pcap or pcapng files, as tcpdump and Wireshark write them',
  ),
  'capture-cut': entry('warning', () => 'ends within a frame; those before it are used'),
  'capture-link': entry<{ links: readonly string[]; frames: number }>(
    'error',
    (a) => `${a.frames} frames are of link type ${list(a.links)}, which is not understood`,
    () => 'understood are Ethernet, raw IP, BSD loopback and Linux cooked captures',
  ),
  'capture-empty': entry<Record<string, never>>(
    'error',
    () => 'has no whole frame: expected at least one',
    () => 'capture longer, and see that the file was closed before it was copied',
  ),
  'capture-no-rows': entry<{ frames: number; outcomes: string }>(
    'error',
    (a) => `the definition classifies none of the ${a.frames} frames (${a.outcomes})`,
    () => 'see accept and classify of the definition',
  ),
};
