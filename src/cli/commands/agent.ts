import { freemem } from 'node:os';
import type { Argv } from 'yargs';
import type { Agent, AgentListen, PortInterface } from '../../agent/index.ts';
import { advertised, announce, announceOptions, checkAnnounce, nodeName } from '../announce.ts';
import { doorOf, doorOptions } from '../door-options.ts';
import { untilInterrupted } from '../interrupted.ts';
import { type Io, printJsonLine, printLine } from '../io.ts';
import { type ArgumentsOf, defineCommand, jsonOption, textOption } from '../options.ts';
import { UsageError } from '../usage.ts';

const usage = {
  command: 'agent',
  describe: 'Make this host a device of P4Runtime: XDP programs on its interfaces, tables in BPF maps',
  builder: (y: Argv) =>
    announceOptions(doorOptions(jsonOption(y), 'host'))
      .option('name', textOption('Names the data plane in the kernel'))
      .option('device-id', {
        type: 'string',
        default: '1',
        describe: 'Device id of P4Runtime',
        requiresArg: true,
      })
      .option(
        'listen',
        textOption(
          'unix:PATH, or HOST:PORT with TLS (port 0 takes a free one); default unix:/run/intransit/NAME.sock',
        ),
      )
      .option('interface', {
        type: 'string',
        array: true,
        describe: 'IF=PORT: an interface and its port number; once for each',
        requiresArg: true,
      })
      .option('mode', {
        choices: ['native', 'generic', 'auto'] as const,
        default: 'auto' as const,
        describe: 'Where XDP runs; auto is native where the driver has it and is no veth',
      })
      .option('netns', textOption('Network namespace of the interfaces'))
      .option('state', textOption('Folder of what was written; default /var/lib/intransit/NAME'))
      .option('fresh', { type: 'boolean', default: false, describe: 'Begin with nothing' })
      .option('detach-on-exit', {
        type: 'boolean',
        default: false,
        describe: 'Take the program off the interfaces at the end; otherwise it goes on forwarding',
      })
      .option('remove', textOption('Take away what an agent of this name has left, and end'))
      .option(
        'reset-elections',
        textOption('Have the agent of this name forget which election ids there were, and end'),
      ),
};

/** `agent --name N --device-id ID --listen ADDRESS --interface IF=PORT ...` */
export const agentCommand = (io: Io) =>
  defineCommand({
    ...usage,
    async handler(a) {
      // Other commands start faster without the libraries of gRPC.
      const { RESET_SIGNAL, removeAgent, resetElections, startAgent } = await import('../../agent/index.ts');
      if (a.remove !== undefined) {
        const name = nameOf('remove', a.remove);
        return printRemoved(io, a, name, removeAgent(name, a.state));
      }
      if (a.resetElections !== undefined) {
        const name = nameOf('reset-elections', a.resetElections);
        resetElections(name);
        return a.json
          ? printLine(io, JSON.stringify({ name, reset: true }))
          : printLine(io, `${name}: reset`);
      }
      const name = nameOf('name', a.name);
      const log = (text: string) => io.err(`intransit agent ${name}: ${text}\n`);
      checkAnnounce(a);
      if (a.controller !== undefined) nodeName(name);
      const listen = await listenOf(a, name);
      const agent = await startAgent({
        name,
        deviceId: deviceIdOf(a.deviceId),
        listen,
        ports: portsOf(a.interface ?? []),
        mode: a.mode,
        fresh: a.fresh,
        log,
        ...(a.netns !== undefined && { netns: a.netns }),
        ...(a.state !== undefined && { stateFolder: a.state }),
      });
      const stopped = untilInterrupted();
      process.on(RESET_SIGNAL, () => {
        log('elections: reset by the operator');
        agent.resetElections();
      });
      printReady(io, a, name, agent);
      const announcer = await announced(a, name, agent, listen, log);
      const signal = await stopped;
      await announcer?.close();
      if (a.detachOnExit) await agent.remove();
      else await agent.close();
      log(
        `${signal}: ended; ${a.detachOnExit ? 'the data plane is gone' : 'the data plane goes on forwarding'}`,
      );
    },
  });

type Arguments = ArgumentsOf<typeof usage.builder>;

async function announced(
  a: Arguments,
  name: string,
  agent: Agent,
  { tls }: AgentListen,
  log: (text: string) => void,
) {
  return announce(a, {
    registration: {
      kind: 'Device',
      name,
      spec: {
        target: 'xdp',
        address: advertised(a, agent.address),
        deviceId: Number(a.deviceId),
        tls: tls !== undefined,
        zone: a.zone,
      },
    },
    // What it holds the controller reads over P4Runtime.
    capability: () => ({
      kind: 'xdp',
      accelerator: 'xdp',
      engine: 'libbpf',
      couldHold: { layers: 255, memoryBytes: freemem() },
      zone: a.zone,
    }),
    say: log,
  });
}

function printRemoved(io: Io, { json }: Arguments, name: string, had: boolean): void {
  if (json) printJsonLine(io, { name, removed: had });
  else printLine(io, had ? `${name}: removed` : `${name}: there was nothing`);
}

function printReady(io: Io, { json, deviceId }: Arguments, name: string, agent: Agent): void {
  const { address, restored } = agent;
  const ports = agent.ports();
  if (json) {
    printJsonLine(io, {
      name,
      deviceId: Number(deviceId),
      address,
      pid: process.pid,
      restored,
      interfaces: ports.map((p) => ({ interface: p.name, port: p.port, mode: p.mode ?? null })),
    });
    return;
  }
  const list = ports
    .map((p) => `${p.name}=${p.port}${p.mode === undefined ? '' : ` (${p.mode})`}`)
    .join(', ');
  printLine(io, `${name}: device ${deviceId} at ${address}, ${list}${restored ? ', restored' : ''}`);
}

/** @throws UsageError where others than those who may could drive this host */
async function listenOf(a: Arguments, name: string): Promise<AgentListen> {
  const { defaultAddress, listenFault } = await import('../../agent/index.ts');
  const listen = doorOf(a, a.listen ?? defaultAddress(name));
  const fault = listenFault(listen);
  if (fault !== undefined) throw new UsageError(fault);
  return listen;
}

function nameOf(option: string, name: string | undefined): string {
  if (name === undefined) throw new UsageError('--name is missing');
  if (!/^[\w-]{1,32}$/.test(name))
    throw new UsageError(`--${option} ${name}: must be 1 to 32 letters, digits, - or _`);
  return name;
}

function deviceIdOf(text: string): bigint {
  if (!/^[1-9]\d{0,18}$/.test(text))
    throw new UsageError(`--device-id ${text}: must be a whole number from 1`);
  return BigInt(text);
}

/** P4's ports have nine bits, and the highest is its port of no return. */
const MAX_PORT = 510;
const INTERFACE = /^([^=\s/]{1,15})=(\d{1,3})$/;

function portsOf(texts: readonly string[]): PortInterface[] {
  if (texts.length === 0) throw new UsageError('--interface is missing: name at least one, as IF=PORT');
  const ports = texts.map((text): PortInterface => {
    const match = INTERFACE.exec(text);
    const port = Number(match?.[2]);
    if (match === null || port > MAX_PORT)
      throw new UsageError(`--interface ${text}: must be IF=PORT, with a port from 0 to ${MAX_PORT}`);
    return { name: match[1]!, port };
  });
  for (const [i, p] of ports.entries())
    if (ports.slice(0, i).some((o) => o.name === p.name || o.port === p.port))
      throw new UsageError(`--interface ${p.name}=${p.port}: the interface or the port is named twice`);
  return ports;
}
