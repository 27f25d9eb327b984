import type { DeployStep } from '../report.ts';
import type { Effect } from './effects.ts';
import { currentOn, heldOn, type Observed, versionsOn } from './observed.ts';
import type { Stage } from './order.ts';

/** What must hold before a step is done: others may have been at work since the steps were found. */
export type Precondition =
  /** The device runs the program for which entries were made. */
  | { readonly must: 'run'; readonly object: string; readonly cookie: bigint }
  /** The version can be computed there. */
  | { readonly must: 'hold'; readonly object: string; readonly modelId: number; readonly version: number }
  | {
      readonly must: 'not-be-current';
      readonly object: string;
      readonly modelId: number;
      readonly version: number;
    };

/** One thing that is to be so on one device or worker. */
export interface Step {
  readonly object: string;
  readonly stage: Stage;
  /** Of the device along the path. */
  readonly place: number;
  /** False where it is so already: doing it writes nothing. */
  readonly changes: boolean;
  readonly requires: readonly Precondition[];
  readonly effect: Effect;
  /** What takes it back; absent where it stays whatever happens. */
  readonly undo: { readonly step: DeployStep; readonly effect: Effect; readonly detail: string } | undefined;
  /** What would be changed, as a dry run says it. */
  readonly would: string;
}

/** What keeps a step from being done; undefined where all holds. */
export function unmet(
  { requires }: Pick<Step, 'requires'>,
  observed: (name: string) => Observed | undefined,
): string | undefined {
  for (const condition of requires) {
    const there = observed(condition.object);
    const why = there === undefined ? undefined : unmetBy(condition, there);
    if (why !== undefined) return why;
  }
  return undefined;
}

function unmetBy(condition: Precondition, there: Observed): string | undefined {
  const { object } = condition;
  switch (condition.must) {
    case 'run':
      return there.on === 'worker' || there.cookie === condition.cookie
        ? undefined
        : `${object} runs another program meanwhile`;
    case 'hold': {
      const { modelId, version } = condition;
      const holds =
        there.on === 'worker'
          ? versionsOn(there, modelId).includes(version)
          : heldOn(there, modelId, version) !== undefined;
      return holds ? undefined : `${object} does not hold version ${version}: install it first`;
    }
    case 'not-be-current':
      return currentOn(there, condition.modelId) === condition.version
        ? `version ${condition.version} is current on ${object}: flip to another first`
        : undefined;
  }
}
