import { closeSync } from 'node:fs';
import { readCString } from './memory.ts';
import { libbpf } from './native.ts';

const [AF_INET, SOCK_DGRAM] = [2, 2];
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GDRVINFO = 3;
const INTERFACE_NAME_BYTES = 16;

/** Name of an interface's driver, such as `veth`; undefined where it does not tell. In this thread's namespace. */
export function interfaceDriver(name: string): string | undefined {
  const lib = libbpf();
  const fd = lib.socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) return undefined;
  try {
    // struct ethtool_drvinfo, in memory of its own: the request below holds its address.
    const info = Buffer.from(new ArrayBuffer(196));
    info.writeUInt32LE(ETHTOOL_GDRVINFO);
    // struct ifreq.
    const request = Buffer.alloc(40);
    request.write(name.slice(0, INTERFACE_NAME_BYTES - 1));
    request.writeBigUInt64LE(lib.address(info), INTERFACE_NAME_BYTES);
    if (lib.ioctl(fd, SIOCETHTOOL, request) < 0) return undefined;
    return readCString(info.subarray(4, 36));
  } finally {
    closeSync(fd);
  }
}
