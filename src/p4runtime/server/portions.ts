import type { Init } from '../proto/messages.ts';
import { exhausted } from './fault.ts';
import { LIMITS } from './limits.ts';

const ENTITIES_A_MESSAGE = 1_000;
/** Clients take 4 MiB unless they are told otherwise. */
const BYTES_A_MESSAGE = 2 ** 20;

/** Entities of a Read in messages of a size that every client takes. */
export class Portions {
  readonly all: Init<'Entity'>[][] = [];
  #count = 0;
  #bytes = 0;

  get full(): boolean {
    return this.#count > LIMITS.readEntities;
  }

  /** @throws Fault RESOURCE_EXHAUSTED */
  add(entities: readonly Init<'Entity'>[]): void {
    this.#count += entities.length;
    if (this.full) throw exhausted(`more than ${LIMITS.readEntities} entities: read fewer tables at once`);
    for (const entity of entities) {
      const bytes = largeBytes(entity);
      const last = this.all.at(-1);
      if (
        last === undefined ||
        last.length >= ENTITIES_A_MESSAGE ||
        (last.length > 0 && this.#bytes + bytes > BYTES_A_MESSAGE)
      ) {
        this.all.push([entity]);
        this.#bytes = bytes;
      } else {
        last.push(entity);
        this.#bytes += bytes;
      }
    }
  }
}

/** Of what may be large: the parameters of an action hold whole arrays of weights. */
const largeBytes = ({ tableEntry }: Init<'Entity'>): number =>
  tableEntry?.action?.action?.params?.reduce((sum, { value }) => sum + (value?.length ?? 0), 0) ?? 0;
