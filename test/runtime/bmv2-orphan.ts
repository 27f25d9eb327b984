/** Starts a switch, says where it works and under which id, and waits to be killed. */
import { startSwitch } from '../../src/runtime/bmv2/switch.ts';
import { createWorkspace } from '../../src/runtime/bmv2/workspace.ts';

const workspace = createWorkspace();
const { pid } = await startSwitch(workspace);
process.stdout.write(`${workspace.directory} ${pid}\n`);
setInterval(() => {}, 60_000);
