/**
 * All standing attacks, one after the other, each against the real part; prints a table, or with `--json` a document.
 * `--only TEXT` runs those whose names hold it, `--scale X` so much of the usual amount, `--seed N` other random numbers,
 * `--write` puts what was run into the table of docs/attack.md. Ends with 1 where one got through.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Attack, Outcome } from './attack.ts';
import { controllerKills } from './controller-kills.ts';
import { flood } from './flood.ts';
import { frames } from './frames.ts';
import { importers } from './importers.ts';
import { kills } from './kills.ts';
import { objects } from './objects.ts';
import { suite } from './suites.ts';

const attacks: readonly Attack[] = [
  frames,
  flood,
  importers,
  objects,
  kills,
  controllerKills,
  suite(
    'frames over veth and through BMv2, forwarding included',
    'a frame that comes out of another port, with other bytes or another count than at the other device; a wrong sum that is computed',
    ['test/agent/parity.test.ts', 'test/agent/data-plane.test.ts', 'test/agent/checksum.test.ts'],
  ),
  suite(
    'strangers, worker',
    'a long answer to an address that has not shown that it listens; memory or turns taken from others',
    [
      'test/ends/worker/strangers.test.ts',
      'test/ends/worker/robustness.test.ts',
      'test/ends/worker/reassembly.test.ts',
    ],
  ),
  suite(
    'odd arguments and files, command line',
    'a stack trace, an internal error, a terminal escape, a wait',
    ['test/cli/odd-arguments.test.ts', 'test/cli/odd-names.test.ts', 'test/cli/numbers.test.ts'],
  ),
  suite(
    'TLS and authorisation, P4Runtime and control doors',
    'a peer that is served with a certificate that is expired, of another authority, its own, of another name, or none, or over TLS 1.1',
    ['test/p4runtime/tls.test.ts', 'test/agent/doors.test.ts', 'test/ends/worker/control.test.ts'],
  ),
  suite(
    'doors of HTTP, controller and worker',
    'a slow client or a page of elsewhere that is served; a document that costs more than it is long',
    ['test/doors/http.test.ts', 'test/daemon/api/hostile.test.ts'],
  ),
  suite(
    'kills and restarts, agent',
    'an acknowledged write that is lost, a running data plane that is taken away',
    ['test/agent/restart.test.ts', 'test/agent/pins.test.ts'],
  ),
  suite(
    'full disks, failing disks and damaged state, agent',
    'a write that is acknowledged and lost, a damage that is believed',
    ['test/agent/state.test.ts', 'test/p4runtime/state.test.ts'],
  ),
  suite(
    'memory and doors, agent',
    'memory spent on a client that is not the primary, a door that opens to another user',
    ['test/agent/memory.test.ts', 'test/agent/doors.test.ts', 'test/p4runtime/limits.test.ts'],
  ),
  suite('neighbour on the host, temporary folders', 'a file of another user that is removed or written', [
    'test/durable/neighbour.test.ts',
  ]),
];

interface Row {
  readonly attack: Attack;
  readonly skipped?: string;
  readonly outcome?: Outcome;
}

const { values } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    only: { type: 'string' },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});
const options = { scale: Number(values.scale), seed: Number(values.seed) };
if (!(options.scale > 0 && Number.isInteger(options.seed))) {
  console.error('attack: --scale is a number above 0, --seed a whole one');
  process.exit(2);
}

const rows: Row[] = [];
for (const attack of attacks.filter(({ name }) => name.includes(values.only ?? ''))) {
  const skipped = attack.lacks?.();
  if (skipped !== undefined) {
    rows.push({ attack, skipped });
    continue;
  }
  console.error(`${attack.name} ...`);
  const outcome = await attack.run(options);
  for (const fault of outcome.faults) console.error(`  got through: ${fault}`);
  rows.push({ attack, outcome });
}

const figures = ({ outcome, skipped }: Row): string =>
  outcome === undefined
    ? `not run: ${skipped}`
    : Object.entries(outcome.figures)
        .map(([name, value]) => `${name} ${value}`)
        .join(', ');
const held = ({ outcome }: Row): string =>
  outcome === undefined ? '-' : outcome.faults.length === 0 ? 'yes' : 'NO';

const DOCUMENT = new URL('../../docs/attack.md', import.meta.url);

const line = (row: Row): string =>
  `| ${row.attack.name} | ${row.attack.what} | ${figures(row)} | ${held(row)} |`;

/** What was run now, and of the others what the table said before. */
function documentText(): string {
  const before = existsSync(DOCUMENT) ? readFileSync(DOCUMENT, 'utf8').split('\n') : [];
  const lines = attacks.flatMap((attack) => {
    const row = rows.find((r) => r.attack === attack);
    return row === undefined ? before.filter((l) => l.startsWith(`| ${attack.name} |`)) : [line(row)];
  });
  return [
    '<!-- Made by `npm run attack -- --write`; do not edit. -->',
    '# Attacks',
    '',
    'What `npm run attack` tries, against the real kernel, sockets and processes, and what came of it when this was made. What',
    'the program defends and what not is in the [threat model](threat-model.md).',
    '',
    '| attack | must not happen | figures | held off |',
    '|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}

if (values.json)
  console.log(
    JSON.stringify(
      rows.map(({ attack, skipped, outcome }) => ({ name: attack.name, skipped, ...outcome })),
      undefined,
      2,
    ),
  );
else for (const row of rows) console.log(`${row.attack.name}: ${held(row)} (${figures(row)})`);
if (values.write) writeFileSync(DOCUMENT, documentText());
// A session of ONNX Runtime or a socket of an attack that got through must not hold it.
process.exit(rows.some(({ outcome }) => (outcome?.faults.length ?? 0) > 0) ? 1 : 0);
