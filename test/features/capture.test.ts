import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CaptureError, newNotes, readCapture } from '../../src/capture/index.ts';
import { describeWithTools } from '../support/machine.ts';
import { pcapOf, tcp4, udp4 } from './packets.ts';

const frames = [
  { data: tcp4(), timeUs: 1_700_000_000_123_456 },
  { data: udp4({ payload: [1, 2, 3] }), timeUs: 1_700_000_000_123_457 },
];
const read = (bytes: Uint8Array) => {
  const notes = newNotes();
  return { frames: [...readCapture(bytes, notes)], notes };
};

describe('pcap', () => {
  it('gives bytes and times, in either byte order, of micro- and nanoseconds', () => {
    const file = pcapOf(frames);
    const [first, second] = read(file).frames;
    expect(first).toMatchObject({ timeNs: 1_700_000_000_123_456_000n, link: 'ethernet', length: 54 });
    expect(Buffer.from(second!.data)).toEqual(Buffer.from(frames[1]!.data));
    const swapped = Buffer.from(file);
    for (let at = 0; at < 24; at += at === 4 ? 2 : 4)
      at === 4 || at === 6 ? swapped.subarray(at, at + 2).swap16() : swapped.subarray(at, at + 4).swap32();
    expect(swapped.readUInt32BE(0)).toBe(0xa1b2c3d4);
    const nanoseconds = Buffer.from(file);
    nanoseconds.writeUInt32LE(0xa1b23c4d, 0);
    expect(read(nanoseconds).frames[0]!.timeNs).toBe(1_700_000_000_000_123_456n);
  });

  it('gives what comes before a cut, and says so', () => {
    const file = pcapOf(frames);
    for (const bytes of [1, 10, 50]) {
      const { frames: got, notes } = read(file.subarray(0, file.length - bytes));
      expect([got.length, notes.cut]).toEqual([1, true]);
    }
  });

  it('refuses what is no capture, and frames that are too large', () => {
    expect(() => read(new Uint8Array(0))).toThrow(CaptureError);
    expect(() => read(Buffer.from('not a capture at all'))).toThrow('neither pcap nor pcapng');
    const damaged = pcapOf(frames);
    damaged.writeUInt32LE(0x7fffffff, 24 + 8);
    expect(() => read(damaged)).toThrow('byte 24');
  });

  it('counts frames of unknown links', () => {
    const { frames: got, notes } = read(pcapOf(frames, 105));
    expect(got).toEqual([]);
    expect([...notes.unknownLinks]).toEqual([[105, 2]]);
  });
});

describeWithTools(['editcap'], 'captures that Wireshark wrote', () => {
  it.each([
    ['pcapng', []],
    ['nsecpcap', []],
    ['pcapng', ['-s', '40']],
  ])('%s %s', (format, options) => {
    const folder = mkdtempSync(join(tmpdir(), 'intransit-capture-'));
    try {
      const [from, to] = [join(folder, 'a.pcap'), join(folder, 'b')];
      writeFileSync(from, pcapOf(frames));
      expect(spawnSync('editcap', ['-F', format, ...options, from, to]).status).toBe(0);
      const { frames: got, notes } = read(readFileSync(to));
      expect(notes.cut).toBe(false);
      const snap = options.length > 0 ? 40 : 65_535;
      expect(got.map((f) => ({ ...f, data: Buffer.from(f.data) }))).toEqual(
        frames.map(({ data, timeUs }) => ({
          link: 'ethernet',
          timeNs: BigInt(timeUs) * 1000n,
          length: data.length,
          data: Buffer.from(data.subarray(0, snap)),
        })),
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
