import { difference, type Init } from '../../p4runtime/index.ts';
import type { Entity } from './observed.ts';

/** Entities that become what is wanted of them; all others are left alone. */
export interface Write {
  readonly part: (entity: Entity) => boolean;
  readonly wanted: readonly Entity[];
}

/** No table of ours is constant. */
const NONE: ReadonlySet<number> = new Set();

/** Updates that make the entities of a part what is wanted. */
export const updatesOf = (entities: readonly Entity[], { part, wanted }: Write): readonly Init<'Update'>[] =>
  difference(entities.filter(part), wanted.filter(part), NONE);
