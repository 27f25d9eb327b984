/**
 * Flow mode over a veth, one core: what a packet costs from the sender's call until it is classified and gone. In the kernel the
 * program stands on the receiving end, in the driver, and passes packets up, drops them by their class, or sends them on; in user
 * space a process takes them out of an AF_PACKET ring, with the same C, and leaves it at that, or sends them on. Sender and receiver are
 * held to one processor, in namespaces of their own; all is CPU time, so that it holds on a busy machine. Rounds by turns, medians.
 *
 *     npx tsx bench/flow-veth.ts [--rounds N] [--seconds N]      root, clang
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { attachXdp, type BpfProgram, openObject, withNetns } from '../src/bpf/index.ts';
import { readFeatures } from '../src/features/index.ts';
import { modelOfFeatures } from '../src/flow/model.ts';
import { loadXdpFlow } from '../src/flow/xdp.ts';
import { importModel } from '../src/import/index.ts';
import { classCount } from '../src/model/classes.ts';
import { EBPF_DIR } from '../src/paths.ts';
import { median } from '../src/runtime/bench.ts';
import { type ClassAction, encodeClass } from '../src/runtime/xdp/flow-actions.ts';
import { planFlowOrRefuse } from '../src/targets/xdp/flows.ts';
import { temporaryFolder } from '../src/temporary.ts';
import { compileBpf } from '../src/toolchain/clang.ts';
import { buildUserSpace, type Ran, ran } from './flow-user-space.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '1' } },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const CORE = '1';
const definition = readFeatures('traffic-16');
const model = modelOfFeatures(await importModel('examples/traffic-mlp.onnx'), definition);
using folder = temporaryFolder();

async function plain(source: string, name: string): Promise<BpfProgram> {
  const object = join(folder.path, `${name}.o`);
  await compileBpf(source, object);
  return (await openObject(object)).program(name);
}

/** A program as users load it. @param action of all classes */
async function flows(flags: readonly string[], action?: (tx: (ifindex: number) => number) => ClassAction) {
  const acts = action !== undefined;
  const device = await loadXdpFlow(planFlowOrRefuse(definition, model), { test: false, acts }, flags);
  const tx = (ifindex: number): number => {
    device.map('tx').update(0, ifindex);
    return 0;
  };
  for (let c = 0; acts && c < classCount(model); c++)
    device.map('classes').update(c, encodeClass(action(tx)));
  return { program: device.program, classified: () => Number(device.counts().classified) };
}

const [sending, receiving, beyond] = ['s', 'r', 'o'].map((x) => `fv${process.pid}${x}`) as [
  string,
  string,
  string,
];
/** From the sender to the receiver, and on to where nobody wants the packets. */
const [FROM, IN, OUT, TO] = ['va', 'vb', 'vc', 'vd'] as const;
const binary = buildUserSpace(definition, model, folder.path, 'user');

const run = (netns: string, ...argv: readonly string[]): Promise<Ran> =>
  ran('ip', ['netns', 'exec', netns, 'taskset', '-c', CORE, binary, ...argv]);
const send = () => run(sending, 'send', FROM, String(seconds));

const ip = (...argv: string[]) => execFileSync('ip', argv, { stdio: 'pipe' });
function lay(netns: string, name: string, other: string, peer: string): void {
  ip('-n', netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', peer, 'netns', other);
  for (const [where, link] of [
    [netns, name],
    [other, peer],
  ] as const) {
    ip('netns', 'exec', where, 'sysctl', '-qw', `net.ipv6.conf.${link}.disable_ipv6=1`);
    ip('-n', where, 'link', 'set', link, 'up');
  }
}

for (const netns of [sending, receiving, beyond]) ip('netns', 'add', netns);
try {
  lay(sending, FROM, receiving, IN);
  lay(receiving, OUT, beyond, TO);
  const drop = await plain('bench/flow/drop.c', 'drop');
  const outIndex = Number(
    execFileSync('ip', ['netns', 'exec', receiving, 'cat', `/sys/class/net/${OUT}/ifindex`]).toString(),
  );
  // What is sent on ends in the driver of the other end, which so takes frames of XDP too.
  using _end = attachXdp(drop, { interface: TO, netns: beyond, mode: 'native' });
  const nothing = { port: 0, dscp: undefined, session: 0, tell: false } as const;
  const noLayers = ['-DINTRANSIT_FLOW_NO_LAYERS', '-Wno-unused-function'];
  interface InDriver {
    readonly program: BpfProgram;
    readonly classified?: () => number;
  }
  const inDriver: readonly (readonly [string, InDriver])[] = [
    ['dropped at once', { program: drop }],
    ['passed up', { program: await plain(join(EBPF_DIR, 'pass.c'), 'pass') }],
    ['state and features, passed up', await flows(noLayers)],
    ['traffic-mlp, passed up', await flows([])],
    ['traffic-mlp, dropped by class', await flows([], () => ({ ...nothing, way: 'drop' }))],
    [
      'traffic-mlp, sent on',
      await flows([], (tx) => ({ ...nothing, way: 'cross', port: withNetns(receiving, () => tx(outIndex)) })),
    ],
  ];
  const samples = new Map<string, number[]>();
  const keep = (name: string, ns: number): void => {
    samples.set(name, [...(samples.get(name) ?? []), ns]);
  };
  for (let round = 0; round < rounds; round++) {
    for (const [name, { program, classified }] of inDriver) {
      const before = classified?.() ?? 0;
      const link = attachXdp(program, { interface: IN, netns: receiving, mode: 'native' });
      const { cpu, packets } = await send();
      link.detach();
      const found = classified === undefined ? packets : classified() - before;
      if (found < 0.999 * packets) throw new Error(`${name}: ${found} of ${packets} packets`);
      keep(name, cpu / packets);
    }
    const nobody = await send();
    keep('no XDP, nobody listens', nobody.cpu / nobody.packets);
    for (const [name, onward] of [
      ['ring, C', []],
      ['ring, C, sent on', [OUT]],
    ] as const) {
      const taking = run(receiving, 'receive', IN, String(seconds + 2), ...onward);
      await setTimeout(700);
      const sent = await send();
      const taken = await taking;
      if (taken.packets < 1000 || taken.classified !== taken.packets)
        throw new Error(`${name}: ${JSON.stringify(taken)}`);
      if ((taken.lost ?? 0) > 0.01 * sent.packets)
        console.log(`${name}: ${taken.lost} of ${sent.packets} packets found no room in the ring`);
      keep(name, sent.cpu / sent.packets + taken.cpu / taken.packets);
    }
  }
  const of = (name: string): number => median(samples.get(name)!);
  for (const name of samples.keys()) {
    const ns = of(name);
    // A driver's end makes a buffer of its own of each packet, whatever it does with it then.
    const own = ns - of(/^ring|^no XDP/.test(name) ? 'no XDP, nobody listens' : 'dropped at once');
    console.log(
      `${ns.toFixed(0).padStart(6)} ns, ${(1e3 / ns).toFixed(2)} Mpackets/s, ${(of('passed up') / ns).toFixed(2)} of passing up; ` +
        `${own.toFixed(0)} ns more than it takes to get there: ${name}`,
    );
  }
} finally {
  for (const netns of [sending, receiving, beyond]) ip('netns', 'del', netns);
}
process.exit(0);
