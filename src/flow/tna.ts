import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tnaFlowFiles } from '../backends/tna/flow/artifact.ts';
import { planFront } from '../backends/tna/flow/plan.ts';
import { PROGRAM_FILE } from '../backends/tna/replacement.ts';
import { diagnostic, madeOrRefuse } from '../diagnostics/index.ts';
import { decide, planNetwork, tnaOwn } from '../targets/tna/planned.ts';
import { optionRefusal } from '../targets/tna/target.ts';
import { BAREFOOT, BFAS, compileTna } from '../toolchain/tofino.ts';
import type { WriteProgram } from './options.ts';

/** The program with what it includes, P4Info, entries and manifest; compiled and assembled where the open compiler is there. */
export const writeTnaFlow: WriteProgram = async (definition, model, folder, options, compile) => {
  const own = tnaOwn.parse(options.own ?? {});
  const decided = decide(model, {});
  const { flows: planned, diagnostics } = planFront(definition);
  const wrong = optionRefusal(model, options, decided, own);
  const flows = madeOrRefuse(planned, [...diagnostics, ...(wrong === undefined ? [] : [wrong])]);
  const network = planNetwork(model, own, { ...decided, front: flows.front });
  options.tell?.(network.diagnostics.filter((d) => d.severity !== 'error'));
  const plan = madeOrRefuse(network.plan, network.diagnostics);
  const files = tnaFlowFiles(plan, flows, network.approximation?.agreement);
  for (const [name, content] of files) writeFileSync(join(folder, name), content);
  if (!compile) return [...files.keys()];
  const made = await compileTna(join(folder, PROGRAM_FILE), plan.chip.name, model.file);
  if (made.length === 0)
    options.tell?.([diagnostic('tna-unjudged', { tools: [BAREFOOT, BFAS] }, { file: model.file })]);
  return [...files.keys(), ...made];
};
