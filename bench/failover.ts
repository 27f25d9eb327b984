/**
 * How a network of real parts gets over its troubles: namespaces, three devices (agents, and a BMv2 where it is on the PATH), two workers,
 * two controllers on one etcd, and jobs at a steady rate. A device dies and comes back, a worker is overloaded, the controller dies and the
 * other leads, and so does one that is started anew. Needs root, clang, etcd and ethtool.
 *
 *     npm run build && npx tsx bench/failover.ts [JOBS A SECOND, 5000]
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { temporaryFolder } from '../src/temporary.ts';
import type { JobsReport } from '../test/daemon/live/jobs.ts';
import { LiveNetwork } from '../test/daemon/live/network.ts';
import {
  badVersionComes,
  controllerDies,
  deviceDies,
  versionComes,
  workerIsOverloaded,
} from '../test/daemon/live/troubles.ts';

const perSecond = Number(process.argv[2] ?? 5000);
const line = (what: string, value: string) => console.log(`${what.padEnd(60)}${value}`);
const ms = (value: number) => `${Math.round(value)} ms`;

function tell(what: string, seen: JobsReport): void {
  const { begun, answered, wrong, lost, retried, longestPauseMs, seconds } = seen;
  line(
    `${what}: jobs`,
    `${Math.round(begun / seconds)}/s, ${answered} answered, ${wrong} wrong, ${lost} lost, ${retried} sent again, longest pause ${ms(longestPauseMs)}`,
  );
}

using folder = temporaryFolder();
const network = await LiveNetwork.lay({
  folder: folder.path,
  intransit: [process.execPath, join(import.meta.dirname, '../dist/cli/main.js')],
  perSecond,
});
try {
  const [first] = network.controllers;
  await network.describe(first!);
  const second = await network.startController();
  await network.startJobs();
  await sleep(2000);
  await network.seen();
  await sleep(5000);
  tell('nothing happens', await network.seen());

  const death = await deviceDies(network, first!);
  line('a device dies: until the controller knows', ms(death.detectedMs));
  line('  from then until it is steered around', ms(death.steeredMs));
  line('  from its end until its layers run elsewhere', ms(death.movedMs));
  line('  from its return until they run on it again', ms(death.backMs));
  tell('  without it', death.without);
  tell('  back', death.back);

  const overload = await workerIsOverloaded(network, first!);
  line('a worker says that it is overloaded: until no job goes there', ms(overload.awayMs));
  line('  from its end until it has its whole share', ms(overload.backMs));
  line('  its share on the way, and how often it fell', `${overload.steps.join(', ')}; ${overload.falls}`);
  tell('  meanwhile', overload.seen);

  let leader = first!;
  for (const what of ['the controller dies', 'and the other, before one that was started anew']) {
    const standby = leader === first ? second : await network.startController();
    const over = await controllerDies(network, leader, standby);
    line(`${what}: until another leads`, ms(over.takenOverMs));
    line('  until it has found every node as it should be', ms(over.foundMs));
    line('  nodes that it changed', over.changed.join('; ') || 'none');
    line('  what agents keep', over.isUntold ? 'untouched' : 'changed');
    tell('  meanwhile', over.seen);
    leader = standby;
  }
  const { seen, share, tookMs } = await versionComes(network, leader, 2);
  line('a version is tried by 20 % of jobs for 4 s, until all nodes have it', ms(tookMs));
  line('  its share of the answers meanwhile', `${(100 * share).toFixed(1)} %`);
  tell('  meanwhile', seen);
  const bad = await badVersionComes(network, leader, 3);
  line('one that is late: until that is found', ms(bad.foundMs));
  line('  until no node has it any more', ms(bad.goneMs));
  line('  why', bad.reason);
  tell('  meanwhile', bad.seen);
  const end = await network.stopJobs();
  tell('the last jobs', end);
} finally {
  await network.close();
}
process.exit();
