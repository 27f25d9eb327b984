import type { RawStream } from './raw-stream.ts';
import type { Target } from './target.ts';

/** One line of the list: a situation and what is to come of it. */
export interface Case {
  /** Number in the list. */
  readonly id: number;
  readonly title: string;
  /** Against a server: ours, and BMv2. */
  readonly server?: (t: Target) => Promise<void>;
  /** The same of a controller that is the primary, with its stream, on a device with the pipeline of the tests. */
  readonly primary?: (t: Target, stream: RawStream) => Promise<void>;
  /** Against our client. */
  readonly client?: () => Promise<void> | void;
  /** Why there is no test of a server. */
  readonly reason?: string;
  /** What BMv2 does otherwise; the test expects that there. */
  readonly bmv2?: string;
  /** Why it is not run against BMv2. */
  readonly notOnBmv2?: string;
}
