import { outcomeCounter, slotCounter } from '../backends/common/table-model.ts';
import { slotOutcomes } from '../dataplane/abi.ts';
import type { Init, Message, P4Client } from '../p4runtime/index.ts';
import { packetOutcomes } from '../wire/header.ts';
import { heldOn, type ObservedDevice, versionsOn } from './core/observed.ts';
import { heldModelIds } from './versions.ts';

/** What a device has counted since its program began; names are those of `packetOutcomes` and of `slotOutcomes`. */
export interface DeviceCounts {
  /** Packets by what became of them. */
  readonly packets: ReadonlyMap<string, number>;
  readonly versions: readonly {
    readonly modelId: number;
    readonly version: number;
    readonly outcomes: ReadonlyMap<string, number>;
  }[];
}

/**
 * Reads the counters of a device: those of packets with a wildcard, and of inferences only the cells of versions that are known to be there.
 * @throws P4RuntimeError
 */
export async function readDeviceCounts(client: P4Client, observed: ObservedDevice): Promise<DeviceCounts> {
  const held = heldModelIds(observed.entities).flatMap((modelId) =>
    versionsOn(observed, modelId).map((version) => ({
      ...{ modelId, version },
      slot: heldOn(observed, modelId, version)!.slot,
    })),
  );
  const slots = [...new Set(held.map((h) => h.slot))];
  const cells = slots.flatMap((slot) => slotOutcomes.map((_, i) => slot * slotOutcomes.length + i));
  const requests: Init<'Entity'>[] = [
    { counterEntry: { counterId: outcomeCounter.id } },
    ...cells.map((index) => ({ counterEntry: { counterId: slotCounter.id, index: { index } } })),
  ];
  const read = await client.readAll(requests);
  const found = new Map(read.flatMap((e) => countOf(e)));
  const at = (id: number, index: number) => found.get(`${id}/${index}`) ?? 0;
  return {
    packets: new Map(packetOutcomes.map(({ name }, i) => [name, at(outcomeCounter.id, i)])),
    versions: held.map(({ modelId, version, slot }) => ({
      ...{ modelId, version },
      outcomes: new Map(
        slotOutcomes.map((name, i) => [name, at(slotCounter.id, slot * slotOutcomes.length + i)]),
      ),
    })),
  };
}

const countOf = ({ counterEntry }: Message<'Entity'>): readonly (readonly [string, number])[] => {
  if (counterEntry === undefined) return [];
  const { counterId, index, data } = counterEntry;
  return [[`${counterId}/${index?.index ?? 0}`, Number(data?.packetCount ?? 0)]];
};
