import { status } from '@grpc/grpc-js';
import type { Init } from '../proto/messages.ts';
import { Batch, type Work } from './batch.ts';
import type { DeviceState, P4Device } from './device.ts';
import { Fault } from './fault.ts';
import type { WriteContext } from './write-context.ts';

/**
 * Does some Writes, one after the other, and keeps them together: what keeping costs, such as a wait for the disk, is paid
 * once for all of them. What is answered is kept; what cannot be kept is not done.
 * @param state all that will be so, as of the call
 * @returns for each the errors an update, or undefined where all went well @throws Fault where none of them was done
 */
export async function writeGroup(
  context: WriteContext,
  device: P4Device,
  works: readonly Work[],
  state: () => DeviceState,
): Promise<readonly (readonly Init<'Error'>[] | undefined)[]> {
  await device.checkpoint?.(state);
  const batches = works.map((work) => new Batch(context, work));
  for (const batch of batches) batch.stage();
  const updates = batches.flatMap((b) => b.updates);
  if (updates.length > 0)
    try {
      await device.keep?.(updates);
    } catch (error) {
      for (const batch of [...batches].reverse()) batch.unstage();
      throw error;
    }
  const asStaged = await applyAll(batches, device);
  try {
    if (!asStaged) await device.amend?.(batches.flatMap((b) => b.updates));
    const changes = batches.flatMap((b) => b.changes);
    if (changes.length > 0) await device.save?.(state, changes);
  } catch (error) {
    const faults: unknown[] = [];
    for (const batch of [...batches].reverse()) faults.push(...(await batch.takeBack(device)));
    if (faults.length > 0)
      throw new Fault(status.INTERNAL, `not kept, and not all could be taken back: ${error}`);
    throw error;
  }
  return batches.map((b) => b.errors);
}

/** @returns false where the device refused something that had passed the checks */
async function applyAll(batches: readonly Batch[], device: P4Device): Promise<boolean> {
  for (const [i, batch] of batches.entries()) {
    const later = batches.slice(i + 1);
    const unstageLater = () => {
      for (const other of [...later].reverse()) other.unstage();
    };
    if (await batch.apply(device, unstageLater)) continue;
    for (const other of later) await other.applyAnew(device);
    return false;
  }
  return true;
}
