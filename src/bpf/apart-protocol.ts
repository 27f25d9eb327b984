/** What a process and its loader say to each other: a request, the object's bytes, an answer. */
import type { ObjectPolicy } from './object-policy.ts';
import type { VerifierStats } from './verifier-log.ts';

/** What the process that loads is told of an object. */
export interface LoadRequest {
  readonly name: string;
  readonly policy: ObjectPolicy;
  /** Numbers, or the bytes of a variable. */
  readonly globals: Readonly<Record<string, number | readonly number[]>>;
  /** Descriptors in the loader, by the names of maps that are to be used again. */
  readonly reused: Readonly<Record<string, number>>;
  /** Whether the object stays when the next one is loaded, which may use its maps. */
  readonly keep: boolean;
  /** Bytes of the object, after the request. */
  readonly bytes: number;
}

/** What came of it. The descriptors are numbers of the loader, which hands each over when asked. */
export type LoadAnswer =
  | {
      readonly ok: true;
      /** Descriptors in the loader, by the names of programs. */
      readonly programs: Readonly<Record<string, { readonly fd: number; readonly stats?: VerifierStats }>>;
      readonly maps: Readonly<Record<string, number>>;
    }
  | {
      readonly ok: false;
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
      readonly log?: string;
      readonly errno?: number;
    };

/** Length of the request's JSON, before it. */
export const LENGTH_BYTES = 4;
