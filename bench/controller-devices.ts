/** Simulated devices of `bench/controller.ts`: a P4Runtime server with many devices, in a process of its own. */
import { MemoryDevice, P4RuntimeServer } from '../src/p4runtime/index.ts';

const count = Number(process.argv[2]);
const devices = Array.from({ length: count }, () => new MemoryDevice());
const server = new P4RuntimeServer();
for (const [i, device] of devices.entries()) server.addDevice(device, { deviceId: BigInt(i + 1) });
const address = await server.listen({ address: '127.0.0.1:0' });
process.send?.({ address });
process.on('message', () => {
  const writes = devices.reduce((sum, d) => sum + d.applied.length + d.commits, 0);
  process.send?.({ writes });
});
process.on('disconnect', () => process.exit());
