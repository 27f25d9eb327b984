import { DiagnosticError } from '../../diagnostics/index.ts';
import type { Named, Network } from './network.ts';
import { connectionOf, ManagedNode, type NodeOptions } from './node.ts';

/** The nodes of a network, each with a connection; which of them do not answer, and of which something is new. */
export class NodePool {
  readonly #nodes = new Map<string, ManagedNode>();
  readonly #away = new Set<ManagedNode>();
  readonly #changed = new Set<string>();
  /** Names behind which others were before: what is recorded of them is of those. */
  readonly #reused = new Set<string>();

  get size(): number {
    return this.#nodes.size;
  }

  /** Those that do not answer. */
  get away(): ReadonlySet<ManagedNode> {
    return this.#away;
  }

  get(name: string): ManagedNode | undefined {
    return this.#nodes.get(name);
  }

  values(): MapIterator<ManagedNode> {
    return this.#nodes.values();
  }

  names(): MapIterator<string> {
    return this.#nodes.keys();
  }

  /** Something else is to be recorded of the node, perhaps. */
  change(name: string): void {
    this.#changed.add(name);
  }

  /** Those of whom something else is to be recorded, each once. */
  takeChanged(): readonly ManagedNode[] {
    const changed = [...this.#changed].flatMap((name) => this.#nodes.get(name) ?? []);
    this.#changed.clear();
    return changed;
  }

  /** Nodes that were there, and have been away for so long; of those that nobody has heard of yet nothing bad is thought. */
  gone(now: number, patienceMs: number): ReadonlySet<string> {
    const gone = [...this.#away].filter(({ lostAt }) => lostAt === undefined || now - lostAt >= patienceMs);
    return new Set(gone.map(({ name }) => name));
  }

  /**
   * A connection for each device and worker, and none for those that are gone.
   * @returns whether all is so; a node that is busy ends its job first, and is to be looked after again
   */
  lookAfter(network: Network, options: NodeOptions): boolean {
    let isDone = true;
    for (const [name, node] of this.#nodes) {
      const spec = network.devices.get(name)?.spec ?? network.workers.get(name)?.spec;
      const isDialled = node.anewAt === undefined || node.anewAt > performance.now();
      if (spec !== undefined && isDialled && connectionOf(spec) === node.connection) continue;
      if (node.isBusy) {
        isDone = false;
        continue;
      }
      node.close();
      this.#nodes.delete(name);
      this.#away.delete(node);
      this.#reused.add(name);
    }
    for (const device of network.devices.values()) this.#add('Device', device, options);
    for (const worker of network.workers.values()) this.#add('Worker', worker, options);
    return isDone;
  }

  #add(kind: 'Device' | 'Worker', named: Named<'Device'> | Named<'Worker'>, options: NodeOptions): void {
    if (this.#nodes.has(named.name)) return;
    let node: ManagedNode;
    try {
      node = dial(named, options);
    } catch (error) {
      if (!(error instanceof DiagnosticError)) throw error;
      node = ManagedNode.undialled(kind, named, error, performance.now());
    }
    if (kind === 'Device' && this.#reused.has(named.name)) node.wasBrought = false;
    this.#nodes.set(named.name, node);
    this.#changed.add(named.name);
    if (node.reach.kind === 'away') this.#away.add(node);
  }

  /** Whether it answers has changed. */
  reached(node: ManagedNode): void {
    this.#changed.add(node.name);
    this.#away.delete(node);
    if (node.reach.kind !== 'away') return;
    node.lostAt = performance.now();
    this.#away.add(node);
  }

  /** Ends all connections. */
  clear(): void {
    for (const node of this.#nodes.values()) node.close();
    this.#nodes.clear();
    this.#away.clear();
    this.#changed.clear();
    this.#reused.clear();
  }
}

/** @throws DiagnosticError where files of TLS cannot be read */
const dial = (named: Named<'Device'> | Named<'Worker'>, options: NodeOptions): ManagedNode =>
  isWorker(named) ? ManagedNode.worker(named, options) : ManagedNode.device(named, options);

const isWorker = (named: Named<'Device'> | Named<'Worker'>): named is Named<'Worker'> =>
  'control' in named.spec;
