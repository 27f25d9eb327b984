import { entry, list } from './entry.ts';

/** Manifests, and the controller that keeps them. */
export const manifestsMessages = {
  'manifest-syntax': entry<{ reason: string }>(
    'error',
    (a) => `is neither YAML nor JSON: ${a.reason}`,
    () => 'documents of YAML are separated by a line ---; docs/controller.md has examples',
  ),
  'manifest-empty': entry(
    'error',
    () => 'holds no document',
    () => 'docs/controller.md has examples',
  ),
  'manifest-field': entry<{ expected: string }>(
    'error',
    (a) => a.expected,
    () => 'see docs/controller.md, or let your editor check the file against schema/manifests.schema.json',
  ),
  'manifest-kind': entry<{ kind: string; known: readonly string[]; near: readonly string[] }>(
    'error',
    (a) => `there is no kind ${a.kind}`,
    (a) => (a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : `kinds are ${list(a.known)}`),
  ),
  'manifest-derived': entry<{ object: string; kind: string }>(
    'error',
    (a) => `${a.object} is not yours to write: a ${a.kind} is made by the controller`,
    () => 'change the service that it belongs to',
  ),
  'manifest-twice': entry<{ object: string; first: number }>(
    'error',
    (a) => `${a.object} is here twice, first in document ${a.first}`,
    () => 'leave one of them out',
  ),
  'manifest-reference': entry<{ kind: string; name: string; near: readonly string[] }>(
    'error',
    (a) => `there is no ${a.kind} ${a.name}`,
    (a) => (a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : 'apply it before, or in the same file'),
  ),
  'manifest-cycle': entry<{ names: readonly string[] }>(
    'error',
    (a) => `these refer to each other in a circle: ${a.names.join(' -> ')}`,
    () => 'leave out one of the references',
  ),
  'manifest-claimed': entry<{ what: string; other: string }>(
    'error',
    (a) => `${a.what} is claimed by ${a.other} already`,
    (a) => `choose another, or delete ${a.other} first`,
  ),
  'manifest-version': entry<{ model: string; version: number; known: readonly number[] }>(
    'error',
    (a) => `Model/${a.model} has no version ${a.version}`,
    (a) =>
      a.known.length === 0
        ? 'apply a ModelVersion of it before, or in the same file'
        : `there are ${list(a.known.map(String))}; apply a ModelVersion for another`,
  ),
  'manifest-immutable': entry<{ field: string; from: string; to: string }>(
    'error',
    (a) => `${a.field} cannot become ${a.to}: it is ${a.from} for good`,
    () => 'give what is new a name of its own, and delete this one when nothing refers to it',
  ),
  'object-conflict': entry<{ object: string; given: string; current: string }>(
    'error',
    (a) => `${a.object} is at resourceVersion ${a.current}, what is given is a change of ${a.given}`,
    () =>
      'get it anew, make the change there and apply that; or leave resourceVersion out to change what is there',
  ),
  'object-unknown': entry<{ object: string; near: readonly string[] }>(
    'error',
    (a) => `there is no ${a.object}`,
    (a) =>
      a.near.length > 0 ? `is ${a.near.join(' or ')} meant?` : 'intransit get KIND lists what there is',
  ),
  'object-damaged': entry<{ what: string }>(
    'error',
    (a) => `${a.what}: it is left alone`,
    () => 'apply it again, delete it, or put right what stands there',
  ),
  'object-referenced': entry<{ object: string; by: readonly string[] }>(
    'error',
    (a) => `${a.object} is referred to by ${list(a.by)}`,
    () => 'delete or change those first, or delete all of them in one command',
  ),
  'service-unsatisfiable': entry<{ reason: string; remedy?: string | undefined }>(
    'error',
    (a) => `no placement satisfies it: ${a.reason}`,
    (a) => a.remedy ?? 'loosen that constraint, or add nodes that meet it',
  ),

  'flow-policy': entry<{ reason: string; remedy?: string | undefined }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy ?? 'docs/classify.md says what models, definitions and actions there are',
  ),

  controller: entry<{ reason: string; remedy: string }>(
    'error',
    (a) => a.reason,
    (a) => a.remedy,
  ),
  'controller-unreachable': entry<{ address: string; reason: string }>(
    'error',
    (a) => `no controller answers at ${a.address}: ${a.reason}`,
    () => 'start it with intransit controller, or say where it is with --controller or INTRANSIT_CONTROLLER',
  ),
  'controller-refused': entry<{ message: string; remedy: string }>(
    'error',
    (a) => a.message,
    (a) => a.remedy,
  ),
  store: entry<{ store: string; reason: string; remedy?: string | undefined }>(
    'error',
    (a) => `store ${a.store}: ${a.reason}`,
    (a) => a.remedy ?? 'name another with --store, or see to that one',
  ),
};
