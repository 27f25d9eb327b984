import type { Target } from './target.ts';
import { tnaTarget } from './tna/target.ts';
import { v1modelTarget } from './v1model/target.ts';
import { xdpTarget } from './xdp/target.ts';

/** All targets by name, in the order of help texts. */
const registered = new Map<string, Target>([xdpTarget, v1modelTarget, tnaTarget].map((t) => [t.name, t]));

/**
 * Adds a target: from then on commands, planner and controller know it.
 * @returns what takes it away again
 * @throws Error where the name is taken
 */
export function registerTarget(target: Target): () => void {
  if (registered.has(target.name)) throw new Error(`target ${target.name} is registered already`);
  registered.set(target.name, target);
  return () => {
    registered.delete(target.name);
  };
}

/** All of them, those that tests registered too, in the order of help texts. */
export const targets = (): readonly Target[] => [...registered.values()];

/** Names of all targets, those of tests too. */
export const targetNames = (): readonly string[] => [...registered.keys()];

/** @throws Error where there is none: names from outside are checked against `targetNames` */
export function targetNamed(name: string): Target {
  const target = registered.get(name);
  if (target === undefined) throw new Error(`no target ${name}`);
  return target;
}
