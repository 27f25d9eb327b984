import type { Argv } from 'yargs';
import { z } from 'zod';
import { targets } from '../targets/registry.ts';
import type { OwnOptions, Target } from '../targets/target.ts';
import { UsageError } from './usage.ts';

/** The own options of all targets, each for the command line; which target takes one is known only with `--target`. */
export const ownOptions = <T>(y: Argv<T>): Argv<T> => optionsOf(y, ({ own }) => Object.keys(own.shape));

/** Own options that the planner gives to all nodes of a target. */
export const plannedOptions = <T>(y: Argv<T>): Argv<T> => optionsOf(y, ({ planned }) => planned?.model ?? []);

/** Own options of a target that a command takes whose other options have names of theirs. */
export const someOptions = <T>(y: Argv<T>, target: string, names: readonly string[]): Argv<T> =>
  optionsOf(y, ({ name }) => (name === target ? names : []));

function optionsOf<T>(y: Argv<T>, names: (target: Target) => readonly string[]): Argv<T> {
  let options = y;
  for (const target of targets())
    for (const name of names(target)) {
      const schema = target.own.shape[name]!;
      const { description = '', enum: choices } = z.toJSONSchema(schema, { io: 'input' });
      // yargs knows no other types than those of the schema's choices; the schema itself parses what is given.
      options = options.option(name, {
        type: 'string',
        requiresArg: true,
        describe: `${target.name}: ${description}`,
        ...(choices && { choices: choices.map(String) }),
      }) as unknown as Argv<T>;
    }
  return options;
}

/**
 * What of the arguments is the own of each engine's target.
 * @throws UsageError where one is of no target whose engine is asked for
 */
export function engineOptionsOf(engines: readonly string[], given: object): (target: Target) => OwnOptions {
  const asked = targets().filter((t) => t.engine !== undefined && engines.includes(t.engine.name));
  for (const target of targets())
    for (const name of Object.keys(target.own.shape))
      if (given[name as keyof typeof given] !== undefined && !asked.some((t) => name in t.own.shape))
        throw new UsageError(`--${name}: an option of --target ${target.name}, on which nothing runs here`);
  return (target) => Object.fromEntries(Object.entries(given).filter(([name]) => name in target.own.shape));
}

/** What of the arguments is the target's own. @throws UsageError where one is another target's, or wrong */
export function ownOptionsOf(target: Target, given: object): OwnOptions {
  const values = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const others = targets().filter((t) => t !== target);
  for (const other of others)
    for (const name of Object.keys(other.own.shape))
      if (name in values && !(name in target.own.shape))
        throw new UsageError(`--${name}: an option of --target ${other.name}, not of ${target.name}`);
  const own = Object.fromEntries(
    Object.keys(target.own.shape).flatMap((n) => (n in values ? [[n, values[n]]] : [])),
  );
  const result = target.own.safeParse(own);
  if (result.success) return own;
  const { path, message } = result.error.issues[0]!;
  throw new UsageError(`--${path.join('.')}: ${message}`);
}

/**
 * What of the arguments the planner gives to nodes of these kinds.
 * @throws UsageError where none of them heeds one, or one is wrong
 */
export function plannedOptionsOf(kinds: ReadonlySet<string>, given: object): OwnOptions {
  const own: Record<string, unknown> = {};
  for (const target of targets())
    for (const name of target.planned?.model ?? []) {
      const value = given[name as keyof typeof given] as unknown;
      if (value === undefined) continue;
      if (!kinds.has(target.name))
        throw new UsageError(`--${name}: the topology has no node of kind ${target.name}`);
      const issue = target.own.partial().safeParse({ [name]: value }).error?.issues[0];
      if (issue !== undefined) throw new UsageError(`--${name}: ${issue.message}`);
      own[name] = value;
    }
  return own;
}
