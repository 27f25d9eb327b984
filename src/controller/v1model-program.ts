import { deviceTables } from '../backends/common/table-model.ts';
import { emitV1model, v1modelP4Info } from '../backends/v1model/emit.ts';
import { v1modelReplacement } from '../backends/v1model/replacement.ts';
import { planV1modelOrRefuse } from '../engines/bmv2.ts';
import { compilePlan } from '../engines/bmv2-session.ts';
import type { Model } from '../model/model.ts';
import { cookieOf } from '../p4runtime/index.ts';
import { temporaryFolder } from '../temporary.ts';
import type { DeviceProgram, ProgramOptions } from './program.ts';

const sharedTables: ReadonlySet<number> = new Set(deviceTables.map((t) => t.id));

/** @throws DiagnosticError where the layers do not fit a switch */
export function v1modelProgram(base: Model, options: ProgramOptions): DeviceProgram {
  const plan = planV1modelOrRefuse(base, options);
  const p4info = v1modelP4Info(plan);
  const source = [...emitV1model(plan)].filter(([name]) => name.endsWith('.p4')).flat();
  return {
    kind: 'v1model',
    p4info,
    cookie: cookieOf({ p4info, deviceConfig: Buffer.from(source.join('\0')) }),
    async build() {
      using folder = temporaryFolder();
      return await compilePlan(plan, folder.path);
    },
    weights(model, slot) {
      // The entry that makes the version known is the controller's: it holds the threshold of the device.
      const { install } = v1modelReplacement(plan, model, { modelVersion: 1, slot });
      return install.flatMap(({ entity }) =>
        entity === undefined || sharedTables.has(entity.tableEntry?.tableId ?? 0) ? [] : [entity],
      );
    },
  };
}
