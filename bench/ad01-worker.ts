/**
 * Child process of bench/ad01.ts: what a user would run instead of the program in the kernel. Answers our packets from a UDP
 * socket, the network computed by ONNX Runtime on one thread. Takes the model's path and the port as arguments.
 */
import { createSocket } from 'node:dgram';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { decodePacket, encodePacket, packetKinds } from '../src/wire/index.ts';

const [path, port] = process.argv.slice(2) as [string, string];
const session = await InferenceSession.create(path, { intraOpNumThreads: 1, interOpNumThreads: 1 });
const [output] = session.outputNames as [string];

const socket = createSocket('udp4');
socket.on('message', async (payload, from) => {
  const packet = decodePacket(payload);
  if (packet === undefined) return;
  const data = new Int8Array(packet.activations);
  const results = await session.run({ x: new Tensor('int8', data, [1, data.length]) });
  const answer = results[output]!.data as Int8Array;
  const header = {
    ...packet.header,
    kind: packetKinds.result,
    nextLayer: packet.header.layerCount,
    elementCount: answer.length,
  };
  socket.send(encodePacket({ header, activations: new Uint8Array(answer) }), from.port, from.address);
});
socket.bind(Number(port), () => process.stdout.write('ready\n'));
