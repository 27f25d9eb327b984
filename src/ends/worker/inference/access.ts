import { type DoorListen, isLoopback, listenFault, socketPath } from '../../../doors/rules.ts';
import type { Peer } from '../../../p4runtime/server/peer.ts';
import { InferenceFault } from './fault.ts';

/** What a client may: ask, or also change what there is. `--allow NAME=infer` lets one in who only asks. */
export type InferenceRight = 'infer' | 'load';

type Facts = Parameters<typeof listenFault>[0];

/** What nobody should listen with; undefined where nothing is wrong. Whoever is on this machine may ask. */
export function inferenceListenFault(listen: Facts, option: string): string | undefined {
  const isOpen = isLoopback(listen.address) && listen.tls === undefined && listen.allow === undefined;
  return isOpen && listen.group === undefined
    ? undefined
    : listenFault(listen, { option, what: 'this worker' });
}

/** @throws InferenceFault `forbidden` */
export function admit(peer: Peer | undefined, listen: DoorListen, right: InferenceRight): void {
  if (peer === undefined)
    throw new InferenceFault('forbidden', 'no name of the certificate is among those that may come in');
  if (peer.roles !== undefined && !peer.roles.has(right))
    throw new InferenceFault('forbidden', `${peer.name} may not ${right}: --allow ${peer.name}=infer,load`);
  const isAnybody = socketPath(listen.address) === undefined && listen.tls === undefined;
  if (right === 'load' && isAnybody && listen.insecure !== true)
    throw new InferenceFault(
      'forbidden',
      'models are loaded and unloaded through a socket (unix:PATH) or TLS with --allow, or with --insecure: anybody reaches this address',
    );
}
