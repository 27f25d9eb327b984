import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pcapOf, tcp4, udp4 } from '../features/packets.ts';
import { intransit, testFolder } from '../support/io.ts';

const folder = testFolder();
const at = (name: string) => join(folder, name);

writeFileSync(
  at('a.pcap'),
  pcapOf([
    { data: tcp4({ flags: 2 }), timeUs: 1_000_000 },
    { data: udp4({ payload: [1] }), timeUs: 1_000_100 },
    {
      data: tcp4({
        source: '198.51.100.2',
        destination: '192.0.2.1',
        sourcePort: 443,
        destinationPort: 40_000,
        flags: 18,
      }),
      timeUs: 1_000_007,
    },
  ]),
);
writeFileSync(
  at('labels.csv'),
  'pcap,transport,client_ip,client_port,server_ip,server_port,class\na.pcap,TCP,192.0.2.1,40000,198.51.100.2,443,web\na.pcap,TCP,192.0.2.1,1,198.51.100.2,443,p2p\n',
);

describe('features', () => {
  it('writes the matrix, the classes and the index', async () => {
    const { code, out, err } = await intransit(
      'features',
      'traffic-16',
      '--pcap',
      at('a.pcap'),
      '--labels',
      at('labels.csv'),
      '--classes',
      'web,p2p',
      '-o',
      at('x.npy'),
      '--index',
      at('i.csv'),
      '--json',
    );
    expect(err).toContain('1 of 2 labels name no flow of these captures, first that of line 3');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      rows: 3,
      flows: 2,
      outcomes: { classified: 3 },
      classes: [
        { name: 'web', rows: 2 },
        { name: 'p2p', rows: 0 },
      ],
      unlabelled: 1,
    });
    const rows = readFileSync(at('x.npy')).subarray(-48);
    expect([...rows]).toEqual([
      // log8(40): (5 - 2) * 8 + 2.
      ...[26, 1, 26, 26, 26, 0, 255, 2, 64, 63, 1, 187, 0, 0, 0, 0],
      ...[22, 1, 22, 22, 22, 0, 0, 0, 64, 0, 0, 53, 0, 0, 0, 0],
      ...[26, 2, 34, 26, 26, 7, 255, 18, 64, 63, 1, 187, 255, 1, 0, 7],
    ]);
    expect([...new Int8Array(readFileSync(at('x.y.npy')).subarray(-3))]).toEqual([0, -1, 0]);
    expect(readFileSync(at('i.csv'), 'utf8').split('\n')[3]).toBe(
      'a.pcap,3,1,2,6,192.0.2.1:40000,198.51.100.2:443,web',
    );
  });

  it('refuses what it cannot read, and writes nothing', async () => {
    writeFileSync(at('cut.pcap'), pcapOf([]).subarray(0, 10));
    writeFileSync(at('empty.pcap'), '');
    writeFileSync(at('link.pcap'), pcapOf([{ data: tcp4(), timeUs: 0 }], 105));
    writeFileSync(at('none.pcap'), pcapOf([]));
    for (const [file, message] of [
      ['cut.pcap', 'ends within its header'],
      ['empty.pcap', 'is empty'],
      ['link.pcap', '1 frames are of link type 105'],
      ['none.pcap', 'has no whole frame'],
      ['absent.pcap', 'cannot be read'],
    ] as const) {
      const { code, err } = await intransit(
        'features',
        'traffic-16',
        '--pcap',
        at(file),
        '-o',
        at('none.npy'),
      );
      expect([code, err]).toEqual([1, expect.stringContaining(message)]);
    }
    expect(existsSync(at('none.npy'))).toBe(false);
    expect(
      (await intransit('features', 'traffic-16', '--pcap', at('a.pcap'), '-o', at('x'), '--classes', 'a'))
        .code,
    ).toBe(2);
  });
});
