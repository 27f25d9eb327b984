import type { DeployStep } from '../report.ts';

/** Parts of a rollout: what fails in one of them decides what is taken back. */
export type Phase = 'prepare' | 'install' | 'flip' | 'settle';

/** Steps of one kind, on all that they concern. */
export interface Stage {
  readonly step: DeployStep;
  readonly phase: Phase;
  readonly on: 'device' | 'worker';
  /** `together`: side by side; else one after the other along the path. */
  readonly way: 'together' | 'from-end' | 'from-beginning';
  /** Begins when packets of versions that are no longer current have left the path. */
  readonly drained?: true;
}

/**
 * The order of a rollout, and the whole of it. A device that computes first stamps its version into the packet, and those
 * behind it use the same; so a version is known from the end of the path on, before the first device of the path makes it
 * current, and it goes when nothing under way can name it.
 */
export const rolloutOrder: readonly Stage[] = [
  { step: 'program', phase: 'prepare', on: 'device', way: 'together' },
  { step: 'weights', phase: 'install', on: 'worker', way: 'together' },
  { step: 'weights', phase: 'install', on: 'device', way: 'together' },
  { step: 'version', phase: 'install', on: 'device', way: 'from-end' },
  { step: 'current', phase: 'flip', on: 'device', way: 'from-beginning' },
  // Only what no device has stamped asks a worker for its current version.
  { step: 'current', phase: 'flip', on: 'worker', way: 'together' },
  { step: 'forwarding', phase: 'settle', on: 'device', way: 'together' },
  // Of a device that classifies flows, all at once.
  { step: 'flows', phase: 'settle', on: 'device', way: 'together' },
  { step: 'remove', phase: 'settle', on: 'device', way: 'together', drained: true },
  { step: 'remove', phase: 'settle', on: 'worker', way: 'together', drained: true },
];

/**
 * What is taken back where a step of a phase fails: that phase, and what had to be there for it. Programs and forwarding stay,
 * and once all is current nothing goes back.
 */
export const takenBack: Readonly<Record<Phase, readonly Phase[]>> = {
  prepare: [],
  install: ['install'],
  flip: ['flip', 'install'],
  settle: [],
};
