/** Names of the kinds, without what they are made of: commands start faster so. */

interface KindNames {
  /** In paths of the API. */
  readonly plural: string;
  /** Other words for it on the command line. */
  readonly short: readonly string[];
  readonly summary: string;
  /** Made by the daemon alone: nobody applies it. */
  readonly isDerived?: true;
}

const names = {
  Device: {
    plural: 'devices',
    short: ['device', 'dev'],
    summary: 'A switch or an XDP host, driven over P4Runtime',
  },
  Worker: {
    plural: 'workers',
    short: ['worker', 'wk'],
    summary: 'A host at the end of a path that finishes what devices left',
  },
  Link: { plural: 'links', short: ['link'], summary: 'A way between two nodes' },
  Model: { plural: 'models', short: ['model'], summary: 'What all versions of a model have in common' },
  ModelVersion: { plural: 'modelversions', short: ['modelversion', 'mv'], summary: 'Weights of a model' },
  Service: {
    plural: 'services',
    short: ['service', 'svc'],
    summary: 'Models that are offered to traffic',
  },
  FlowPolicy: {
    plural: 'flowpolicies',
    short: ['flowpolicy', 'fp'],
    summary: 'Ordinary traffic classified by a model',
  },
  Rollout: {
    plural: 'rollouts',
    short: ['rollout', 'ro'],
    summary: 'A change of the current version of a service',
  },
  Job: {
    plural: 'jobs',
    short: ['job'],
    summary: 'A job, workflow or agent that asks services, by its name',
  },
  Placement: {
    plural: 'placements',
    short: ['placement', 'pl'],
    summary: 'Which layers of a service run where; made by the daemon',
    isDerived: true,
  },
} as const satisfies Record<string, KindNames>;

/** As `kind` of a manifest has it, such as `ModelVersion`. */
export type Kind = keyof typeof names;

/** Plural for paths of the API, and short names for commands. */
export const namesOf: Readonly<Record<Kind, KindNames>> = names;

/** All kinds, also those that only the daemon makes. */
export const kindNames = Object.keys(names) as readonly Kind[];

/** Exactly as a manifest has it; `kindNamed` takes plurals and short names, too. */
export const isKindName = (kind: string): kind is Kind => (kindNames as readonly string[]).includes(kind);

/** Kinds that are applied. */
export const appliedKinds: readonly Kind[] = kindNames.filter((kind) => !namesOf[kind].isDerived);

/** The kind that is meant by its name, plural or short name, in any case of letters. */
export function kindNamed(word: string): Kind | undefined {
  const asked = word.toLowerCase();
  return kindNames.find((kind) => {
    const { plural, short } = namesOf[kind];
    return kind.toLowerCase() === asked || plural === asked || short.includes(asked);
  });
}
