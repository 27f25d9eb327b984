/** Simulated devices of `bench/controller.ts`: a P4Runtime server with many devices, in a process of its own. */
import { MemoryDevice, P4RuntimeServer } from '../src/p4runtime/index.ts';

/** A server takes 64 connections, and every device has one of its own. */
const A_SERVER = 50;

const count = Number(process.argv[2]);
const devices = Array.from({ length: count }, () => new MemoryDevice());
const addresses: string[] = [];
for (let from = 0; from < count; from += A_SERVER) {
  const server = new P4RuntimeServer();
  for (const [i, device] of devices.slice(from, from + A_SERVER).entries())
    server.addDevice(device, { deviceId: BigInt(i + 1) });
  const address = await server.listen({ address: '127.0.0.1:0' });
  addresses.push(...devices.slice(from, from + A_SERVER).map((_, i) => `${address} ${i + 1}`));
}
process.send?.({ addresses });
process.on('message', () => {
  const writes = devices.reduce((sum, d) => sum + d.applied.length + d.commits, 0);
  process.send?.({ writes });
});
process.on('disconnect', () => process.exit());
