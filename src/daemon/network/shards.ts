import { createHash } from 'node:crypto';
import { SHARDS } from '../../dataplane/abi.ts';
import { type Member, rendezvous } from '../../ends/common/balance.ts';

/** Names whose orders are remembered; elastic workers come and go. */
const MOST_NAMES = 4096;
const orders = new Map<string, Float64Array>();

/**
 * A number in (0, 1) for each shard, the same for a name everywhere: every step of 1/512 once, in an order that follows from the name. So the
 * shares of few shards deviate less from the weights than those of as many draws.
 */
function stepsOf(name: string): Float64Array {
  const known = orders.get(name);
  if (known !== undefined) return known;
  const draws = Array.from({ length: SHARDS }, (_, shard) => ({
    shard,
    drawn: createHash('sha256').update(`shard ${shard}/${name}`).digest().readUIntBE(0, 6),
  }));
  const steps = new Float64Array(SHARDS);
  draws.sort((a, b) => a.drawn - b.drawn);
  for (const [rank, { shard }] of draws.entries()) steps[shard] = (rank + 0.5) / SHARDS;
  if (orders.size >= MOST_NAMES) orders.clear();
  orders.set(name, steps);
  return steps;
}

/**
 * The member of each shard, as an index, by weighted rendezvous hashing: a member that goes gives away its own shards and takes just those
 * back when it returns, and where a weight changes only shards of that member do. It follows from names and weights alone, so
 * a controller that is started anew finds what the last one wrote.
 * @pre there is a member
 */
export function membersOfShards(members: readonly Member[]): readonly number[] {
  // Of two with the same step the first wins: whatever the order in which they are told.
  const indexed = members
    .map((member, index) => ({ ...member, index, steps: stepsOf(member.name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  return Array.from(
    { length: SHARDS },
    (_, shard) => rendezvous(indexed, ({ steps }) => steps[shard]!)?.index ?? 0,
  );
}
