/** What flow mode is given wrong, by the command line: exit 1, the place, what was expected, and what to do. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pcapOf, tcp4 } from '../features/packets.ts';
import { intransit, testFolder } from '../support/io.ts';
import { identityDocument } from '../support/small-models.ts';

const folder = testFolder();
const at = (name: string): string => join(folder, name);
const write = (name: string, text: string | Uint8Array): string => {
  writeFileSync(at(name), text);
  return at(name);
};
const features = (name: string, spec: string): string =>
  write(
    name,
    `apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: test }\nspec:\n${spec}\n`,
  );
const MODEL = write('two.json', JSON.stringify(identityDocument('two', 2)));
const GOOD = features('good.yaml', '  features: { a: ip.ttl, b: tcp.flags }');
const PCAP = write('a.pcap', pcapOf([{ data: tcp4(), timeUs: 1 }]));
const HEADER = 'client_ip,client_port,server_ip,server_port,transport,class\n';

/** What is said of which file, with `help:` after it. */
interface Wrong {
  readonly definition?: string;
  readonly pcap?: string;
  readonly labels?: string;
  readonly file: string;
  readonly said: string;
}

const long = Array.from({ length: 9 }, (_, i) => `s${i}: { sequence: ip.ttl, length: 32 }`).join(', ');
const wrong: Readonly<Record<string, Wrong>> = {
  'a feature that the model lacks': {
    definition: features('three.yaml', '  features: { a: ip.ttl, b: tcp.flags, c: ip.ttl }'),
    file: 'two.json',
    said: 'reads 2 inputs, and the definition test has 3 features: a, b, c',
  },
  'a feature too few': {
    definition: features('one.yaml', '  features: { a: ip.ttl }'),
    file: 'two.json',
    said: 'reads 2 inputs, and the definition test has 1 features: a',
  },
  'a feature twice': {
    definition: features('twice.yaml', '  features:\n    a: ip.ttl\n    a: tcp.flags'),
    file: 'twice.yaml',
    said: 'a is there twice',
  },
  'a state that fits no flow': {
    definition: features('long.yaml', `  state: { ${long} }\n  features: { a: ip.ttl, b: ip.ttl }`),
    file: 'long.yaml',
    said: 'spec.state: a flow keeps 297 numbers; at most 256 fit a flow slot',
  },
  'a state that is too wide': {
    definition: features(
      'wide.yaml',
      '  state: { n: { count: true, bits: 49 } }\n  features: { a: ip.ttl, b: ip.ttl }',
    ),
    file: 'wide.yaml',
    said: 'spec.state.n.bits: expected at most 48',
  },
  'a unit that no clock has': {
    definition: features('unit.yaml', '  clock: ms\n  features: { a: ip.ttl, b: ip.ttl }'),
    file: 'unit.yaml',
    said: 'spec.clock: expected ns or us: the clocks that devices have',
  },
  'a unit finer than the clock': {
    definition: features(
      'fine.yaml',
      '  clock: us\n  state: { t: { last: time } }\n  features: { a: "log8(ns(time - old.t))", b: ip.ttl }',
    ),
    file: 'fine.yaml',
    said: 'the clock counts microseconds: it has no ns',
  },
  'a duration without a unit': {
    definition: features('idle.yaml', '  timeouts: { idle: 5 }\n  features: { a: ip.ttl, b: ip.ttl }'),
    file: 'idle.yaml',
    said: 'spec.timeouts.idle',
  },
  'a capture that is cut in its header': {
    pcap: write('cut.pcap', pcapOf([]).subarray(0, 10)),
    file: 'cut.pcap',
    said: 'ends within its header',
  },
  'an empty file': { pcap: write('empty.pcap', ''), file: 'empty.pcap', said: 'is empty' },
  'a capture without frames': {
    pcap: write('none.pcap', pcapOf([])),
    file: 'none.pcap',
    said: 'has no whole frame',
  },
  'an unknown link type': {
    pcap: write('link.pcap', pcapOf([{ data: tcp4(), timeUs: 0 }], 105)),
    file: 'link.pcap',
    said: 'link type 105, which is not understood',
  },
  'no capture at all': {
    pcap: write('text.pcap', 'time,source,destination\n1,2,3\n1,2,3\n1,2,3\n'),
    file: 'text.pcap',
    said: '',
  },
  'labels that name no flow': {
    labels: write(
      'other.csv',
      `${HEADER}192.0.2.9,1,198.51.100.2,2,tcp,a\n192.0.2.9,3,198.51.100.2,2,tcp,b\n`,
    ),
    file: 'other.csv',
    said: 'none of its 2 labels names a flow of these captures',
  },
  'labels with a row that is none': {
    labels: write('row.csv', `${HEADER}192.0.2.9,99999,198.51.100.2,2,tcp,a\n`),
    file: 'row.csv',
    said: "line 2: '99999' is no port",
  },
};

describe('flow mode refuses', () => {
  for (const [what, { definition = GOOD, pcap = PCAP, labels, file, said }] of Object.entries(wrong)) {
    const options = labels === undefined ? [] : ['--labels', labels];
    it(`${what}: classify`, async () => {
      const { code, out, err } = await intransit(
        ...['classify', MODEL, '--features', definition, '--pcap', pcap, ...options, '--json'],
      );
      expect([code, out]).toEqual([1, '']);
      told(err, file, said);
    });
    // What is wrong with a model is no matter of the matrix.
    if (file === 'two.json') continue;
    it(`${what}: features`, async () => {
      const { code, out, err } = await intransit(
        ...['features', definition, '--pcap', pcap, ...options, '-o', at('x.npy'), '--json'],
      );
      expect([code, out]).toEqual([1, '']);
      told(err, file, said);
      expect(() => readFileSync(at('x.npy'))).toThrow();
    });
  }

  it('a definition that a device cannot run, by the name of what it cannot', async () => {
    const definition = features('ns.yaml', '  clock: ns\n  features: { a: "payload[0]", b: ip.ttl }');
    const { code, err } = await intransit(
      ...['compile', MODEL, '--features', definition, '--target', 'v1model', '-o', at('out')],
    );
    expect(code).toBe(1);
    told(err, 'ns.yaml', 'clock: ns cannot run on v1model: a BMv2 switch counts microseconds');
    expect(err).toContain('payload bytes cannot run on v1model');
  });
});

function told(err: string, file: string, said: string): void {
  expect(err).toContain(`intransit: ${at(file)}: `);
  expect(err).toContain(said);
  expect(err).toContain('help: ');
  expect(err).not.toMatch(/\n\s+at /);
}
