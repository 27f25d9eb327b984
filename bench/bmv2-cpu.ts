import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { P4Info } from '../src/p4runtime/types.ts';
import { exchange } from '../src/runtime/bmv2/exchange.ts';
import { type Bmv2Session, sessionOf } from '../src/runtime/bmv2/session.ts';
import { startSwitch } from '../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../src/runtime/bmv2/workspace.ts';
import { compileP4Program } from '../src/toolchain/p4c.ts';

/** CPU time of all threads of a process so far, in ns (first field of schedstat: time on a CPU). */
export function cpuNs(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`))
    total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  return total;
}

/** CPU us a packet of the switch's process, over `count` packets that it is sent and sends on. */
export async function cpuOfPackets(
  session: Bmv2Session,
  frames: readonly Uint8Array[],
  count: number,
): Promise<number> {
  const before = cpuNs(session.device.pid);
  await pass(session, frames, count);
  return (cpuNs(session.device.pid) - before) / count / 1000;
}

/** Packets a second that come back, of `count`; every one does, or this throws. */
export async function packetsASecond(
  session: Bmv2Session,
  frames: readonly Uint8Array[],
  count: number,
): Promise<number> {
  const begun = performance.now();
  await pass(session, frames, count);
  return (count / (performance.now() - begun)) * 1000;
}

const pass = (session: Bmv2Session, frames: readonly Uint8Array[], count: number): Promise<void> =>
  exchange(session, { count, file: 'bench', frame: (i) => frames[i % frames.length]!, receive: () => {} });

interface Program {
  /** Declarations of the ingress, and what it does besides passing on. */
  readonly locals: string;
  readonly statement: string;
  readonly p4info: P4Info;
}

const sourceOf = ({ locals, statement }: Program): string => `#include <core.p4>
#include <v1model.p4>
struct headers_t {}
struct metadata_t {}
parser Nothing(packet_in packet, out headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
    state start { transition accept; }
}
control Sum(inout headers_t hdr, inout metadata_t meta) { apply {} }
control Cross(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) {
${locals}    apply { ${statement} standard.egress_spec = 2; }
}
control Leave(inout headers_t hdr, inout metadata_t meta, inout standard_metadata_t standard) { apply {} }
control Emit(packet_out packet, in headers_t hdr) { apply {} }
V1Switch(Nothing(), Sum(), Cross(), Leave(), Sum(), Emit()) main;
`;

/** A switch that only passes packets on: what the machine, gRPC and BMv2 cost by themselves. */
export const openEmpty = (): Promise<Bmv2Session> =>
  openProgram({ locals: '', statement: '', p4info: { pkgInfo: { arch: 'v1model' } } });

/** A switch whose program passes all packets on, without a parser. */
export async function openProgram(program: Program): Promise<Bmv2Session> {
  const workspace = createWorkspace();
  const source = join(workspace.directory, 'bench.p4');
  const json = join(workspace.directory, 'bench.json');
  await writeFile(source, sourceOf(program));
  await compileP4Program(source, json, 'bench.p4');
  const device = await startSwitch(workspace);
  await device.client.pipeline.commit({ p4info: program.p4info, deviceConfig: await readFile(json) });
  return sessionOf(device, workspace);
}

/**
 * Keeps the switch's threads on one processor. Spread over idle ones they wake each other for every packet, and that costs
 * more than the packet: interrupts between processors are dear in virtual machines.
 */
export function pin({ device }: Bmv2Session): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', '1', `${device.pid}`], { stdio: 'ignore' });
}
