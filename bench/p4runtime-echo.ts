/**
 * A P4Runtime server that takes all and keeps nothing, in a process of its own: what a client costs by itself. Prints its
 * port; ends with its standard input. Every client is the primary; a Read is answered by the file that is named: a
 * ReadResponse.
 */
import { readFileSync } from 'node:fs';
import { Server, ServerCredentials, type ServiceDefinition } from '@grpc/grpc-js';
import { v1Codec } from '../src/p4runtime/proto/registry.ts';
import { p4runtimeService } from '../src/p4runtime/proto/service.ts';

const NOTHING = Buffer.alloc(0);
const answer = readFileSync(process.argv[2]!);
const asItIs = (bytes: Buffer): Buffer => bytes;

/** The service with messages left as bytes. */
const raw = Object.fromEntries(
  Object.entries(p4runtimeService()).map(([name, method]) => [
    name,
    {
      ...method,
      requestSerialize: asItIs,
      requestDeserialize: asItIs,
      responseSerialize: asItIs,
      responseDeserialize: asItIs,
    },
  ]),
) as ServiceDefinition;

type Answer = (error: null, bytes: Buffer) => void;
const nothing = (_: unknown, done: Answer): void => done(null, NOTHING);

interface Call {
  on(event: string, listener: (bytes: Buffer) => void): void;
  write(bytes: Buffer): void;
  end(): void;
}

const primary = (request: Buffer): Buffer => {
  const { arbitration } = v1Codec('StreamMessageRequest').decode(request);
  return Buffer.from(
    v1Codec('StreamMessageResponse').encode({ arbitration: { ...arbitration, status: { code: 0 } } }),
  );
};

const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 });
server.addService(raw, {
  Write: nothing,
  SetForwardingPipelineConfig: nothing,
  GetForwardingPipelineConfig: nothing,
  Capabilities: nothing,
  Read(call: Call) {
    call.write(answer);
    call.end();
  },
  StreamChannel(call: Call) {
    call.on('data', (request) => call.write(primary(request)));
    call.on('end', () => call.end());
  },
});
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.stdout.write(`${port}\n`);
});
process.stdin.on('end', () => process.exit()).resume();
