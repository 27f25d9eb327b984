/** Jobs that are remembered of all services; those that were asked for longest ago go first. */
const MOST_JOBS = 100_000;

/**
 * With which worker each job is: whoever asks where a job goes is told the same one, whatever has become of the weights meanwhile, as long as it
 * can be had and the job was asked for within the affinity of its service. Kept in memory: another controller gives jobs out anew.
 */
export class Affinity {
  readonly #jobs = new Map<string, { readonly worker: string; readonly at: number }>();

  /**
   * The worker of a job.
   * @param workers that can be had
   * @param choose gives one to a job that has none
   * @param now ms of a steady clock
   */
  workerOf(
    service: string,
    jobId: bigint,
    workers: ReadonlySet<string>,
    {
      affinityMs,
      choose,
      now,
    }: Readonly<{ affinityMs: number; choose: () => string | undefined; now: number }>,
  ): string | undefined {
    const key = `${service}/${jobId}`;
    const known = this.#jobs.get(key);
    const stays = known !== undefined && now - known.at <= affinityMs && workers.has(known.worker);
    const worker = stays ? known.worker : choose();
    this.#jobs.delete(key);
    if (worker === undefined) return undefined;
    this.#jobs.set(key, { worker, at: now });
    if (this.#jobs.size > MOST_JOBS) this.#jobs.delete(this.#jobs.keys().next().value!);
    return worker;
  }
}
