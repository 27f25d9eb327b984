import type { KnownProgram } from '../../controller/core/observed.ts';
import type { DeviceProgram } from '../../controller/program.ts';
import type { StateFolder } from '../../controller/state.ts';

/** Compiled programs by their cookies. */
export class ProgramBuilds {
  readonly #state: StateFolder;
  readonly #builds = new Map<bigint, Promise<Uint8Array>>();

  constructor(state: StateFolder) {
    this.#state = state;
  }

  /** @throws DiagnosticError */
  async all(programs: readonly KnownProgram[]): Promise<void> {
    await Promise.all(programs.map((p) => this.of(p.program)));
  }

  /** Many devices that want one program wait for the same compiler. */
  of({ cookie, build }: DeviceProgram): Promise<Uint8Array> {
    const known = this.#builds.get(cookie);
    if (known !== undefined) return known;
    const made = this.#state.programs([{ cookie, build }]).then((found) => found.get(cookie)!);
    this.#builds.set(cookie, made);
    // One that failed is tried again by whoever asks next.
    made.catch(() => this.#builds.delete(cookie));
    return made;
  }
}
