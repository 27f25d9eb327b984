import { spawnSync } from 'node:child_process';
import { requireTool, SWITCH } from '../../toolchain/p4c.ts';

/** A program and its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/**
 * How simple_switch_grpc is started. Published builds open a second control door, Thrift's, to every network and on the port of all
 * other switches unless told otherwise: here on any free one and, where this process may, in a network namespace in which nobody is.
 *
 * @param options those of the switch itself, such as its interfaces
 * @param target those of simple_switch_grpc, such as the address of P4Runtime
 * @param isApart whether it needs no network: no interfaces, and Unix sockets alone
 * @throws DiagnosticError `tool-missing`
 */
export function switchCommand(
  options: readonly string[],
  target: readonly string[],
  isApart = false,
): Command {
  const program = requireTool(SWITCH);
  const thrift = hasThrift(program) ? ['--thrift-port', '0'] : [];
  const args = [...options, ...thrift, '--', ...target];
  return isApart && thrift.length > 0 && canUnshare()
    ? ['unshare', '--net', program, ...args]
    : [program, ...args];
}

const asked = new Map<string, boolean>();

function hasThrift(program: string): boolean {
  let has = asked.get(program);
  if (has === undefined) {
    const { stdout, stderr } = spawnSync(program, ['--help'], { encoding: 'utf8' });
    has = `${stdout}${stderr}`.includes('--thrift-port');
    asked.set(program, has);
  }
  return has;
}

let mayUnshare: boolean | undefined;

/** Not without rights, nor where the command is missing. */
function canUnshare(): boolean {
  mayUnshare ??= spawnSync('unshare', ['--net', 'true'], { stdio: 'ignore' }).status === 0;
  return mayUnshare;
}
