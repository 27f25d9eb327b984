import { z } from 'zod';
import { insertion } from '../backends/common/entries.ts';
import { type Diagnostic, DiagnosticError, diagnostic, refuse } from '../diagnostics/index.ts';
import { documentHead } from '../features/document-head.ts';
import { parseYamlDocument } from '../features/index.ts';
import { readText } from '../files.ts';
import { expectation, MOST_FAULTS, pathText } from '../import/json/parse.ts';
import type { Update } from '../p4runtime/index.ts';
import { type ClassAction, type ClassRate, classEntry, rateEntity } from '../runtime/xdp/flow-actions.ts';

/**
 * The one definition of a file of actions: what is done with packets of flows by their class. `schema/actions.schema.json` is
 * generated from it; docs/classify.md explains it.
 */

const target = z.union([z.string().min(1), z.int().min(0).max(510)], {
  error: 'expected an interface by its name, or the number of a port',
});
const rate = z
  .string({ error: 'expected a rate with its unit, for example 2Mbit' })
  .regex(
    /^\d{1,9}(bit|kbit|Mbit|Gbit)$/,
    'expected a whole number with bit, kbit, Mbit or Gbit, for example 2Mbit',
  );
const burst = z
  .string({ error: 'expected bytes with their unit, for example 64KiB' })
  .regex(/^\d{1,9}(B|KiB|MiB)$/, 'expected a whole number with B, KiB or MiB, for example 64KiB');

const classAction = z
  .strictObject({
    dscp: z.int().min(0).max(63).optional().describe('DSCP that packets get; the checksum of IPv4 follows'),
    rate: rate.optional().describe('Bits a second, whole frames counted; what is beyond is dropped'),
    burst: burst
      .optional()
      .describe('Bytes at once; default a tenth of a second of the rate, at least 16KiB'),
    redirect: target.optional().describe('Where packets go instead'),
    copy: z
      .union([target, z.array(target).min(1).max(16)])
      .optional()
      .describe('Where a copy of each packet goes, as it came'),
    drop: z.literal(true).optional(),
    tell: z.literal(true).optional().describe('The controller is told of flows that become this class'),
  })
  .refine((a) => a.drop === undefined || a.redirect === undefined, {
    error: 'drop and redirect contradict each other: leave one out',
  })
  .refine((a) => a.burst === undefined || a.rate !== undefined, {
    path: ['burst'],
    error: 'goes with a rate',
  });

const actionsSchema = z
  .strictObject({
    ...documentHead('FlowActions'),
    spec: z.strictObject({
      classes: z
        .record(z.string(), classAction)
        .refine((all) => Object.keys(all).length > 0, { error: 'names no class' })
        .describe('By the name of a class, or its number'),
    }),
  })
  .describe('Actions on flows by their class: docs/classify.md');

/** JSON Schema of a file of actions, for editors. */
export const actionsSchemaText = (): string =>
  `${JSON.stringify(z.toJSONSchema(actionsSchema, { io: 'input', target: 'draft-2020-12' }), undefined, 2)}\n`;

/** An interface by its name, or a port by its number. */
export type Target = string | number;

/** What is done with packets of a class, ports as the file names them. */
export interface NamedAction {
  readonly class: number;
  readonly dscp: number | undefined;
  readonly rate: ClassRate | undefined;
  readonly way: ClassAction['way'];
  readonly redirect: Target | undefined;
  readonly copy: readonly Target[];
  readonly tell: boolean;
}

/**
 * Reads a file of actions.
 * @param names of the classes, in the order of their numbers @param count of the classes
 * @throws DiagnosticError with every fault
 */
export function readActions(
  file: string,
  names: readonly string[] | undefined,
  count: number,
): readonly NamedAction[] {
  const result = actionsSchema.safeParse(parseYamlDocument(readText(file), file));
  const fault = (path: string, what: string): Diagnostic =>
    diagnostic('actions-field', { path, what }, { file });
  if (!result.success)
    throw new DiagnosticError(
      result.error.issues
        .slice(0, MOST_FAULTS)
        .map((issue) => fault(pathText(issue.path), expectation(issue))),
    );
  const faults: Diagnostic[] = [];
  const known = new Map<number, string>();
  const actions = Object.entries(result.data.spec.classes).flatMap(([name, a]): NamedAction[] => {
    const path = `spec.classes.${name}`;
    const index = names?.includes(name) ? names.indexOf(name) : /^\d+$/.test(name) ? Number(name) : -1;
    if (index < 0 || index >= count) {
      const there = names === undefined ? '' : `: ${names.join(', ')}`;
      faults.push(fault(path, `is no class of the model, which has 0 to ${count - 1}${there}`));
      return [];
    }
    const before = known.get(index);
    if (before !== undefined) {
      faults.push(fault(path, `is the class ${before}, which is there already`));
      return [];
    }
    known.set(index, name);
    return [
      {
        class: index,
        dscp: a.dscp,
        rate: a.rate === undefined ? undefined : rateOf(a.rate, a.burst),
        way: a.drop ? 'drop' : a.redirect === undefined ? 'none' : 'cross',
        redirect: a.redirect,
        copy: a.copy === undefined ? [] : Array.isArray(a.copy) ? a.copy : [a.copy],
        tell: a.tell ?? false,
      },
    ];
  });
  if (faults.length > 0) throw new DiagnosticError(faults.slice(0, MOST_FAULTS));
  return actions;
}

const RATE_UNITS = { bit: 1n, kbit: 1_000n, Mbit: 1_000_000n, Gbit: 1_000_000_000n } as const;
const BURST_UNITS = { B: 1n, KiB: 1n << 10n, MiB: 1n << 20n } as const;
const LEAST_BURST = 16_384n;
const MOST_BURST = 2n ** 32n;

/** A rate of bits a second with its unit, and a burst of bytes, as devices take them. @pre both have the form of the schema */
export function rateOf(rateText: string, burstText: string | undefined): ClassRate {
  const bits = quantity(rateText, RATE_UNITS);
  const bytesPerSecond = bits / 8n > 0n ? bits / 8n : 1n;
  const usual = bytesPerSecond / 10n;
  const wanted = burstText === undefined ? undefined : quantity(burstText, BURST_UNITS);
  const burstBytes = wanted ?? (usual > LEAST_BURST ? usual : LEAST_BURST);
  return { bytesPerSecond, burstBytes: burstBytes < MOST_BURST ? burstBytes : MOST_BURST };
}

function quantity(text: string, units: Readonly<Record<string, bigint>>): bigint {
  const [, digits, unit] = /^(\d+)(\w+)$/.exec(text)!;
  return BigInt(digits!) * units[unit!]!;
}

/** The action as devices have it. @param portOf number of a port @param session of the class's copies */
export const deviceAction = (
  a: NamedAction,
  portOf: (target: Target) => number,
  session: number,
): ClassAction => ({
  way: a.way,
  port: a.redirect === undefined ? 0 : portOf(a.redirect),
  dscp: a.dscp,
  session: a.copy.length > 0 ? session : 0,
  tell: a.tell,
});

/** What is written for the session of a number: whole packets go out of these ports. */
export const sessionUpdate = (sessionId: number, ports: readonly number[]): Update => {
  const replicas = ports.map((egressPort, i) => ({ egressPort, instance: i + 1 }));
  const cloneSessionEntry = { sessionId, replicas, packetLengthBytes: 0 };
  return { type: 'INSERT', entity: { packetReplicationEngineEntry: { cloneSessionEntry } } };
};

/** Session of a class's copies; 0 is none. */
export const sessionOf = (a: NamedAction): number => a.class + 1;

/** What is written for the action of one class: where copies go, then the entry, then the rate. */
export function actionUpdates(a: NamedAction, file: string): Update[] {
  const portOf = (target: Target): number => {
    if (typeof target === 'number') return target;
    return refuse('actions-target', { target, what: 'no number of a port' }, { file });
  };
  return [
    ...(a.copy.length === 0 ? [] : [sessionUpdate(sessionOf(a), a.copy.map(portOf))]),
    insertion(classEntry(a.class, deviceAction(a, portOf, sessionOf(a)))),
    ...(a.rate === undefined ? [] : [{ type: 'MODIFY' as const, entity: rateEntity(a.class, a.rate) }]),
  ];
}
