import { join } from 'node:path';
import { type DoorListen, socketPath } from '../doors/rules.ts';
import { cannotListen, groupId, RUN_FOLDER, socketMode, takePath } from '../doors/socket.ts';
import type { P4RuntimeServer, P4RuntimeServerOptions } from '../p4runtime/index.ts';

export { insecureWarning, listenFault } from '../doors/rules.ts';
export { RUN_FOLDER } from '../doors/socket.ts';

/** Where an agent is driven from. */
export interface AgentListen extends P4RuntimeServerOptions, Pick<DoorListen, 'group' | 'insecure'> {}

/** Nobody but root reaches it. */
export const defaultAddress = (name: string): string => `unix:${join(RUN_FOLDER, `${name}.sock`)}`;

/** An address that an agent has. */
export interface Listening {
  readonly address: string;
  /** Once the server is closed. */
  release(): void;
}

/**
 * Opens the server's door. A socket is only for this user, or a group, from the moment when it is there; one that a dead
 * process has left is replaced.
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openDoor(server: P4RuntimeServer, listen: AgentListen): Promise<Listening> {
  const path = socketPath(listen.address);
  const release = path === undefined ? () => {} : await takePath(path);
  try {
    const { group, ...options } = listen;
    const socket = {
      mode: socketMode(group),
      ...(group !== undefined && { gid: groupId(group) }),
    };
    return { address: await server.listen({ ...options, socket }), release };
  } catch (error) {
    release();
    return cannotListen(listen.address, error instanceof Error ? error.message : String(error));
  }
}
