import { messageOf } from '../../durable/index.ts';
import { type EventInput, StoreFenced, type Term } from '../store/index.ts';
import type { Aims } from './aims.ts';
import type { ProgramBuilds } from './builds.ts';
import { about, bring, type JobHost } from './job.ts';
import type { ProgramLibrary } from './models.ts';
import type { ManagedNode } from './node.ts';

/** What jobs need of their surroundings. */
interface Means {
  readonly aims: Aims;
  readonly programs: ProgramLibrary;
  readonly builds: ProgramBuilds;
  readonly log: (event: Omit<EventInput, 'actor'>) => void;
  /** Waits until the log holds what was told. @throws StoreFenced where somebody else leads by now */
  readonly logged: (term: Term) => Promise<void>;
  /** Whether a node that was read is left as it is. */
  readonly isLeft: (node: ManagedNode) => boolean;
  /** States of these nodes have changed. */
  readonly changed: (nodes: readonly ManagedNode[]) => void;
}

/** The jobs that are under way, each of nodes that are brought to their goals together. */
export class Jobs {
  readonly #means: Means;
  readonly #jobs = new Set<Promise<void>>();

  constructor(means: Means) {
    this.#means = means;
  }

  get size(): number {
    return this.#jobs.size;
  }

  /** Until all have ended. */
  async ended(): Promise<void> {
    await Promise.all(this.#jobs);
  }

  /** @param nodes that have goals, and with which nobody is at work */
  begin(nodes: readonly ManagedNode[], drainMs: number, term: Term): void {
    const { aims, programs, builds, log, logged, isLeft, changed } = this.#means;
    if (nodes.length === 0) return;
    const host: JobHost = {
      now: () => performance.now(),
      isLeft,
      candidates: (kind) => programs.all(kind),
      compile: (wanted) => builds.all(wanted),
      log,
      logged: () => logged(term),
      changed: () => changed(nodes),
    };
    const tasks = nodes.map((node) => ({ node, goal: aims.goal(node.name)! }));
    const job = bring(tasks, drainMs, host)
      .catch((error: unknown) => {
        if (error instanceof StoreFenced) return;
        // A fault of ours; the network is looked after all the same.
        const message = messageOf(error);
        for (const node of nodes) {
          node.notBefore = performance.now() + node.backoff.next();
          log(about(node, 'Warning', 'Fault', message));
        }
      })
      .finally(() => this.#jobs.delete(job));
    this.#jobs.add(job);
  }
}
