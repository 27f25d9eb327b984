import { describe, test } from 'vitest';
import { MemoryDevice } from '../../../src/p4runtime/server/memory-device.ts';
import { toBigInt } from '../../../src/p4runtime/values.ts';
import { startServer } from '../support/server.ts';
import { act, keyed } from './build.ts';
import { cases } from './cases.ts';
import { Target } from './target.ts';

/** Ports 0..511, and two entries that the program brings along. */
class TestDevice extends MemoryDevice {
  constructor() {
    super([
      keyed('translated', '01', { action: act('drop') }).tableEntry!,
      keyed('translated', '02', { action: act('drop'), isConst: true }).tableEntry!,
      ...[0x10, 0x20, 0x30].map((value, i) => ({
        ...keyed('fixed', '00').tableEntry,
        match: [{ fieldId: 1, ternary: { value: Uint8Array.of(value), mask: Uint8Array.of(0xf0) } }],
        priority: 3 - i,
      })),
    ]);
  }

  /** p4c's P4Info does not tell it. */
  defaultAction() {
    return act('drop');
  }

  hasPort(port: Uint8Array): boolean {
    return toBigInt(port) < 512n;
  }
}

describe('conformance: our server', () => {
  for (const { id, title, server } of cases) {
    if (server === undefined) continue;
    test(`${id}. ${title}`, async () => {
      const device = new TestDevice();
      const running = await startServer({ device });
      const target = new Target({
        address: running.address,
        deviceId: 1,
        deviceConfig: new Uint8Array(1),
        base: 1_000n,
        device,
      });
      try {
        await server(target);
      } finally {
        target.close();
        await running.close();
      }
    });
  }
});
