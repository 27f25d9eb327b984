import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeploymentInput } from '../../src/controller/index.ts';
import { P4Client } from '../../src/p4runtime/index.ts';
import { testFolder } from '../support/io.ts';
import { retrained, smallModel, writeDeployment, writeModel } from './files.ts';
import { memoryNodes } from './memory-nodes.ts';
import type { MemoryNode } from './support.ts';

export const v1 = smallModel();
export const v2 = retrained(v1, 1);
const v3 = retrained(v1, 2);

/** Two devices without a data plane, and a folder with three trainings of one model. */
interface Scene {
  readonly folder: string;
  readonly s1: MemoryNode;
  readonly s2: MemoryNode;
  /** The deployment file with a version of the model. */
  file(version: number, change?: Partial<DeploymentInput>): string;
  writes(): number[];
  state(): { current?: number; previous?: number; versions: Record<string, string> };
  /** As another controller sees the first device. */
  withClient(node: MemoryNode, work: (client: P4Client) => Promise<void>): Promise<void>;
}

interface Scenes {
  /** Compiled programs of all scenes, so that p4c runs once for each. */
  readonly programs: string;
  scene(): Promise<Scene>;
}

/** Scenes of one file of tests. */
export function deployScenes(): Scenes {
  const root = testFolder();
  const openNode = memoryNodes();
  const programs = join(root, 'programs');
  let scenes = 0;
  return {
    programs,
    scene: () => openScene(join(root, `scene-${scenes++}`), programs, openNode),
  };
}

async function openScene(
  folder: string,
  programs: string,
  openNode: () => Promise<MemoryNode>,
): Promise<Scene> {
  mkdirSync(join(folder, 'deployment.state'), { recursive: true });
  if (existsSync(programs)) cpSync(programs, join(folder, 'deployment.state/programs'), { recursive: true });
  const nodes = [await openNode(), await openNode()] as const;
  for (const [i, model] of [v1, v2, v3].entries()) writeModel(folder, `v${i + 1}.json`, model);
  const [s1, s2] = nodes;
  const devices: DeploymentInput['devices'] = [
    { name: 's1', kind: 'v1model', address: s1.address, layers: '0..1', ports: [{ ingress: 1, egress: 2 }] },
    {
      name: 's2',
      kind: 'v1model',
      address: s2.address,
      layers: '1..',
      routes: [{ prefix: '10.0.0.0/8', port: 3 }],
    },
  ];
  return {
    folder,
    s1,
    s2,
    file: (version, change = {}) =>
      writeDeployment(folder, { model: { file: `v${version}.json`, version }, devices, ...change }),
    writes: () => nodes.map((n) => n.writes()),
    state: () => JSON.parse(readFileSync(join(folder, 'deployment.state/state.json'), 'utf8')),
    async withClient(node, work) {
      const client = new P4Client({ address: node.address, deviceId: 1, electionId: 100n });
      await client.connect();
      try {
        await work(client);
      } finally {
        client.close();
      }
    },
  };
}

export const devicesOf = (s: Pick<Scene, 's1' | 's2'>) =>
  [s.s1, s.s2].map(({ address }, i) => ({ name: `s${i + 1}`, kind: 'v1model' as const, address }));
