import { beforeAll, describe, test } from 'vitest';
import { startSwitch } from '../support/bmv2.ts';
import { bmv2Reason, compileFixture, haveBmv2 } from '../support/tools.ts';
import { cases } from './cases.ts';
import { Target } from './target.ts';

describe.skipIf(!haveBmv2)(`conformance: BMv2${bmv2Reason}`, () => {
  let deviceConfig: Uint8Array;
  beforeAll(() => {
    deviceConfig = compileFixture('conformance.p4').deviceConfig;
  });

  for (const { id, title, server, bmv2: difference, notOnBmv2 } of cases) {
    if (server === undefined) continue;
    if (notOnBmv2 !== undefined) {
      test.skip(`${id}. ${title} (skipped: ${notOnBmv2})`, () => {});
      continue;
    }
    const note = difference === undefined ? '' : ` [known difference: ${difference}]`;
    test(`${id}. ${title}${note}`, async () => {
      // A switch for each case: a saved program, replication state and election ids outlive a push.
      const bmv2 = await startSwitch();
      const target = new Target({
        address: bmv2.address,
        deviceId: bmv2.deviceId,
        deviceConfig,
        base: 1_000n,
      });
      try {
        await bmv2.ready();
        await server(target);
      } catch (error) {
        const said = bmv2.log().slice(-500);
        throw new Error(`${error instanceof Error ? error.message : error}\nthe switch said: ${said}`, {
          cause: error,
        });
      } finally {
        target.close();
        await bmv2.kill();
      }
    });
  }
});
