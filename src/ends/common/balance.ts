import { createHash } from 'node:crypto';

/** One of those that do the same. */
export interface Member {
  readonly name: string;
  /** Share of jobs beside the others; 0 for none. */
  readonly weight: number;
}

const TWO_TO_48 = 2 ** 48;

/** Even in (0, 1), the same for a job and a name everywhere. */
function even(jobId: bigint, name: string): number {
  const digest = createHash('sha256').update(`${jobId}/${name}`).digest();
  return (digest.readUIntBE(0, 6) + 0.5) / TWO_TO_48;
}

/**
 * The member that a job goes to, by weighted rendezvous hashing: members get their shares of all jobs, and where a weight falls or a member
 * goes, only jobs of that one move.
 * @returns undefined where there are none; where all weights are 0, the shares are equal
 */
export const memberFor = <M extends Member>(jobId: bigint, members: readonly M[]): M | undefined =>
  rendezvous(members, ({ name }) => even(jobId, name));

/**
 * The member of the highest `-weight / ln(hash)`.
 * @param hashOf a member's number in (0, 1) for that which is given away
 * @returns as `memberFor`
 */
export function rendezvous<M extends Member>(
  members: readonly M[],
  hashOf: (member: M) => number,
): M | undefined {
  const isAll0 = members.every((m) => m.weight <= 0);
  let best: M | undefined;
  let highest = 0;
  for (const member of members) {
    const weight = isAll0 ? 1 : member.weight;
    if (weight <= 0) continue;
    const score = -weight / Math.log(hashOf(member));
    if (best !== undefined && score <= highest) continue;
    best = member;
    highest = score;
  }
  return best;
}

/** Whether a job is among this share of all jobs; those of a smaller share are among those of a larger one. */
export const isAmong = (jobId: bigint, percent: number): boolean =>
  100 * even(jobId, 'share of jobs') < percent;
