import { expect } from 'vitest';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';

/** How many of the frames that came out are answers; the others are the requests as they went in, all with this row. */
export function answersIn(frames: readonly Uint8Array[], sent: number, row: Uint8Array): number {
  expect(frames.length).toBe(sent);
  return frames.filter((frame) => {
    const { header, activations } = decodePacket(framePayload(frame)!)!;
    if (header.kind === packetKinds.request) expect([...activations]).toEqual([...row]);
    return header.kind === packetKinds.result;
  }).length;
}
