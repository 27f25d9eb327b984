import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { newNotes, readCapture } from '../../src/capture/index.ts';
import { FeatureExecutor, parseFeatures } from '../../src/features/index.ts';
import { textOf } from '../../src/features/labels.ts';

/**
 * Counts, sums and extrema of flows beside those that nDPI's tests expect. INTRANSIT_NDPI names the folder of its
 * repository that has `pcap` and `result`.
 */
const folder = process.env.INTRANSIT_NDPI ?? '';
const isThere = existsSync(join(folder, 'pcap')) && existsSync(join(folder, 'result'));

/** Why nDPI's figures of a capture are others than what its packets say. */
const otherReasons: Readonly<Record<string, string>> = {
  'anydesk.pcapng':
    'frames of an offloading sender, with an IP length of 0, are counted by their captured length',
  'line.pcap': 'the same',
  'thrift.pcap': 'the same',
  'capwap.pcap': 'its packets are counted under the flows that they carry',
  'fins.pcap': 'the bytes of VLAN tags are left out',
  'syslog.pcap': 'a reply under another protocol is not counted',
  'fuzz-2006-09-29-28586.pcap': 'a packet with damaged headers is counted',
};

/** A 32-bit state as four features, the lowest byte first. */
const bytes = (name: string) =>
  [0, 8, 16, 24].map((s) => `    ${name}${s}: ${name} >> ${s} & 255`).join('\n');

const names = ['packets', 'sum', 'least', 'most'].flatMap((n) => [`${n}Out`, `${n}Back`]);
const definition = parseFeatures(
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: statistics }
spec:
  accept: { ip: [4, 6], protocols: [tcp, udp] }
  classify: end
  timeouts: { tcpClose: false }
  state:
    packetsOut: { count: direction == 0 }
    packetsBack: { count: direction }
    sumOut: { sum: frame.length, when: direction == 0 }
    sumBack: { sum: frame.length, when: direction }
    leastOut: { min: frame.length, when: direction == 0 }
    leastBack: { min: frame.length, when: direction }
    mostOut: { max: frame.length, when: direction == 0 }
    mostBack: { max: frame.length, when: direction }
  features:
${names.map(bytes).join('\n')}
`,
  'statistics.yaml',
);

interface Statistics {
  readonly packets: readonly [number, number];
  readonly bytes: readonly [number, number];
  readonly least: readonly [number, number];
  readonly most: readonly [number, number];
}

const LINE =
  /^\t\d+\t(TCP|UDP) (\S+):(\d+) (<->|->) (\S+):(\d+) .*?\[(\d+) pkts\/(\d+) bytes (?:<->|->) (\d+) pkts\/(\d+) bytes\].*\[Pkt Len c2s\/s2c min\/avg\/max\/stddev: (\d+)\/(\d+) \d+\/\d+ (\d+)\/(\d+)/;

/** nDPI says 0 of a direction without packets; a minimum of nothing is the largest that its width holds. */
const least = (...values: number[]) => values.map((v) => (v === 2 ** 17 - 1 ? 0 : v));

function expected(text: string): Map<string, Statistics> {
  const flows = new Map<string, Statistics>();
  for (const line of text.split('\n')) {
    const m = LINE.exec(line);
    if (m === null) continue;
    const n = (i: number) => Number(m[i]);
    flows.set(`${m[1]} ${m[2]!.replace(/^\[|\]$/g, '')} ${m[3]} ${m[5]!.replace(/^\[|\]$/g, '')} ${m[6]}`, {
      packets: [n(7), n(9)],
      bytes: [n(8), n(10)],
      least: [n(11), n(12)],
      most: [n(13), n(14)],
    });
  }
  return flows;
}

describe.skipIf(!isThere)(
  `beside nDPI's flow statistics${isThere ? '' : ' (INTRANSIT_NDPI names no folder)'}`,
  () => {
    it('counts, sums and extrema are equal', { timeout: 600_000 }, async () => {
      let compared = 0;
      const differ = new Set<string>();
      for (const name of readdirSync(join(folder, 'pcap'))) {
        const result = join(folder, 'result', `${name}.out`);
        if (!existsSync(result)) continue;
        const flows = expected(readFileSync(result, 'utf8'));
        if (flows.size === 0) continue;
        // The runner wants to hear of a test once a minute.
        await setImmediate();
        const executor = new FeatureExecutor(definition);
        let isEthernet = true;
        for (const frame of readCapture(readFileSync(join(folder, 'pcap', name)), newNotes())) {
          isEthernet &&= frame.link === 'ethernet';
          executor.frame(frame);
        }
        // nDPI counts the bytes of other links' own headers.
        if (!isEthernet) continue;
        for (const { flow, features } of executor.end()) {
          const view = new DataView(features.buffer);
          const word = (i: number) => view.getUint32(4 * i, true);
          const ends = `${textOf(flow.client)} ${flow.clientPort} ${textOf(flow.server)} ${flow.serverPort}`;
          const want = flows.get(`${flow.protocol === 6 ? 'TCP' : 'UDP'} ${ends}`);
          if (want === undefined) continue;
          compared++;
          const got = {
            packets: [word(0), word(1)],
            bytes: [word(2), word(3)],
            least: least(word(4), word(5)),
            most: [word(6), word(7)],
          };
          if (JSON.stringify(got) !== JSON.stringify(want)) differ.add(name);
        }
      }
      expect([...differ].filter((name) => otherReasons[name] === undefined)).toEqual([]);
      expect(compared).toBeGreaterThan(2000);
    });
  },
);
