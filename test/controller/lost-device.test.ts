/** A device that is lost between what was written to it and its being read back: nobody knows what it has kept. */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { deploy } from '../../src/controller/index.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { testFolder } from '../support/io.ts';
import { describeWithTools } from '../support/machine.ts';
import { smallModel, writeDeployment, writeModel } from './files.ts';
import { codes, failureOf, type MemoryNode, memoryNode } from './support.ts';

// Each round deploys anew, on a machine that does other work beside.
vi.setConfig({ testTimeout: 120_000 });

const folder = testFolder();
const { readAll, write } = P4Client.prototype;
const nodes: MemoryNode[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  for (const { server } of nodes.splice(0)) await server.close();
});

/**
 * A device whose server is closed before anything is read that follows a write.
 * @param last which write that is; 0 is the push of the program
 */
async function losesAfter(
  last: number,
): Promise<{ node: MemoryNode; seen: () => { writes: number; lost: boolean } }> {
  const node = await memoryNode();
  nodes.push(node);
  let writes = 0;
  let lost = false;
  vi.spyOn(P4Client.prototype, 'write').mockImplementation(async function (this: P4Client, ...given) {
    await write.apply(this, given);
    writes++;
  });
  vi.spyOn(P4Client.prototype, 'readAll').mockImplementation(async function (this: P4Client, ...given) {
    if (node.device.commits > 0 && writes === last) {
      lost = true;
      await node.server.close();
    }
    return await readAll.apply(this, given);
  });
  return { node, seen: () => ({ writes, lost }) };
}

/** A deployment of a model on one device, with nothing kept but the compiled program. */
function deployment({ address }: MemoryNode): string {
  const state = join(folder, 'deployment.state');
  const kept = join(folder, 'programs');
  try {
    cpSync(join(state, 'programs'), kept, { recursive: true });
  } catch {
    // The first of them compiles it.
  }
  rmSync(state, { recursive: true, force: true });
  mkdirSync(kept, { recursive: true });
  cpSync(kept, join(state, 'programs'), { recursive: true });
  writeModel(folder, 'model.json', smallModel());
  return writeDeployment(folder, {
    model: { file: 'model.json', version: 1 },
    devices: [{ name: 's1', kind: 'v1model', address, layers: '0..', ports: [{ ingress: 1, egress: 2 }] }],
  });
}

describeWithTools(['p4c-bm2-ss'], 'deploy', () => {
  test('what is lost before it is read back is told as lost, whatever was written last', async () => {
    let failed = 0;
    for (let last = 0; ; last++) {
      const { node, seen } = await losesAfter(last);
      const work = deploy(deployment(node));
      const outcome = await work.then(
        ({ outcome }) => outcome,
        async () => codes(await failureOf(work)),
      );
      vi.restoreAllMocks();
      if (!seen().lost) {
        // More writes than there are: nothing is lost, so the others were all of them.
        expect([outcome, seen().writes]).toEqual(['deployed', last - 1]);
        break;
      }
      expect([last, outcome]).toEqual([last, ['device-unreachable']]);
      failed++;
    }
    // The program, the weights, the version, which one is current, and where answers go.
    expect(failed).toBeGreaterThanOrEqual(5);
  });
});
