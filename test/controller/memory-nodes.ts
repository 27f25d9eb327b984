import { afterAll } from 'vitest';
import { type MemoryNode, memoryNode } from './support.ts';

/** What makes devices without a data plane for the tests of one file; they are closed after them. */
export function memoryNodes(): () => Promise<MemoryNode> {
  const open: MemoryNode[] = [];
  afterAll(() => Promise.all(open.map((node) => node.server.close())));
  return async () => {
    const node = await memoryNode();
    open.push(node);
    return node;
  };
}
