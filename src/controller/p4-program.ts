import { deviceTables } from '../backends/common/table-model.ts';
import { emitP4, p4Info } from '../backends/p4/emit.ts';
import { p4Replacement } from '../backends/p4/replacement.ts';
import { planP4OrRefuse } from '../engines/bmv2.ts';
import { compilePlan } from '../engines/bmv2-session.ts';
import type { Model } from '../model/model.ts';
import { cookieOf } from '../p4runtime/index.ts';
import { temporaryFolder } from '../temporary.ts';
import type { DeviceProgram, ProgramOptions } from './program.ts';

const sharedTables: ReadonlySet<number> = new Set(deviceTables.map((t) => t.id));

/** @throws DiagnosticError where the layers do not fit a switch */
export function p4Program(base: Model, options: ProgramOptions): DeviceProgram {
  const plan = planP4OrRefuse(base, options);
  const p4info = p4Info(plan);
  const source = [...emitP4(plan)].filter(([name]) => name.endsWith('.p4')).flat();
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
      const { install } = p4Replacement(plan, model, { modelVersion: 1, slot });
      return install.flatMap(({ entity }) =>
        entity === undefined || sharedTables.has(entity.tableEntry?.tableId ?? 0) ? [] : [entity],
      );
    },
  };
}
