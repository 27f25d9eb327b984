import type { P4Device } from '../../../src/p4runtime/server/device.ts';
import type { DeviceServerOptions } from '../../../src/p4runtime/server/device-server.ts';
import { MemoryDevice } from '../../../src/p4runtime/server/memory-device.ts';
import {
  P4RuntimeServer,
  type P4RuntimeServerOptions,
} from '../../../src/p4runtime/server/p4runtime-server.ts';

/** Our server with one device of id 1, on a free port of the loopback. */
export async function startServer(
  options: {
    readonly device?: P4Device;
    readonly listen?: Partial<P4RuntimeServerOptions>;
    readonly serve?: Partial<DeviceServerOptions>;
  } = {},
) {
  const server = new P4RuntimeServer();
  const device = new MemoryDevice();
  server.addDevice(options.device ?? device, { deviceId: 1n, ...options.serve });
  const address = await server.listen({ address: '127.0.0.1:0', ...options.listen });
  return {
    address,
    device,
    resetElections: () => server.resetElections(),
    close: () => server.close(),
  };
}
