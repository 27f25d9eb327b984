import {
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { messageOf } from '../durable/index.ts';
import { Door } from '../p4runtime/server/door.ts';
import { ANYBODY, type Peer, peerOf } from '../p4runtime/server/peer.ts';
import type { HttpDoor } from './http.ts';
import { type DoorListen, socketPath } from './rules.ts';
import { cannotListen, openAt, takePath } from './socket.ts';

/** What a gRPC server takes on of strangers. */
export interface GrpcLimits {
  /** Bytes of one message. */
  readonly messageBytes: number;
  /** Calls under way: what they bring is in memory. */
  readonly calls: number;
  /** In which a call must be answered, the arrival of its message included, ms. */
  readonly callMs: number;
}

/**
 * A service of gRPC behind a door: a socket of this machine, or TCP, with TLS if there is any.
 * @param owner what it is that listens, for the message where somebody does already
 * @throws DiagnosticError `agent` where the address is taken, or is no place for a socket
 */
export async function openGrpcDoor(
  listen: DoorListen,
  owner: string,
  service: { readonly definition: ServiceDefinition; readonly implementation: UntypedServiceImplementation },
  limits: GrpcLimits,
): Promise<HttpDoor> {
  const path = socketPath(listen.address);
  const release = path === undefined ? () => {} : await takePath(path, owner);
  const server = new Server({
    'grpc.max_receive_message_length': limits.messageBytes,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.calls,
    interceptors: [boundedCalls(limits)],
  });
  server.addService(service.definition, service.implementation);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const door = new Door(listen.tls, (connection) => injector.injectConnection(connection));
  const close = () => {
    door.close();
    server.forceShutdown();
    release();
  };
  try {
    const address = await openAt(door, listen);
    return { address, close };
  } catch (error) {
    close();
    return cannotListen(listen.address, messageOf(error));
  }
}

/** A call beyond their number is refused before its message is read; one that takes too long is ended. */
function boundedCalls({ calls, callMs }: GrpcLimits): ServerInterceptor {
  let underWay = 0;
  return (_, next) => {
    if (underWay >= calls) {
      next.sendStatus({ code: status.RESOURCE_EXHAUSTED, details: 'too many calls are under way' });
      return new ServerInterceptingCall(next, { start: () => {} });
    }
    underWay++;
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      underWay--;
    };
    const timer = setTimeout(() => {
      over();
      next.sendStatus({ code: status.DEADLINE_EXCEEDED, details: `no end within ${callMs / 1000} s` });
    }, callMs);
    return new ServerInterceptingCall(next, {
      start: (begin) => begin({ onCancel: over }),
      sendStatus: (outcome, send) => {
        if (isOver) return;
        over();
        send(outcome);
      },
    });
  };
}

/** Who is at the other end of a call; undefined where TLS let in one who has none of the names. */
export function peerOfCall(
  call: { getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } } },
  { allow }: DoorListen,
): Peer | undefined {
  if (allow === undefined) return ANYBODY;
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return certificate === undefined ? undefined : peerOf(certificate, allow);
}
