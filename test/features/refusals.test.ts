import { describe, expect, it } from 'vitest';
import { DiagnosticError } from '../../src/diagnostics/index.ts';
import { galleryNames, parseFeatures, readFeatures } from '../../src/features/index.ts';
import { parseLabels } from '../../src/features/labels.ts';

const text = (spec: string) =>
  `apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: test }\nspec:\n  ${spec}\n`;

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.message;
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('a definition is refused with place, expectation and remedy', () => {
  it.each([
    ['{ features: { a: ip.lenght } }', 'spec.features.a: there is no ip.lenght'],
    [
      '{ features: { a: ip.length } }',
      'spec.features.a: reaches 65575, and a feature is a byte: use log8(x)',
    ],
    ['{ features: { a: time } }', 'spec.features.a: is a point in time'],
    [
      '{ state: { t: { last: time } }, features: { a: time - old.t } }',
      'spec.features.a: is a time, not a number; give it a unit',
    ],
    [
      '{ clock: us, state: { t: { last: time } }, features: { a: "log8(ns(time - old.t))" } }',
      'the clock counts microseconds: it has no ns',
    ],
    ['{ clock: ms, features: { a: ip.ttl } }', 'spec.clock: expected ns or us'],
    ['{ state: { n: { count: true } }, features: { a: "log8(n" } }', "column 7: expected ')', not 'the end'"],
    [
      '{ state: { n: { total: true } }, features: { a: ip.ttl } }',
      'spec.state.n: expected one of count, sum',
    ],
    [
      '{ state: { n: { count: true, bits: 64 } }, features: { a: ip.ttl } }',
      'spec.state.n.bits: expected at most 48',
    ],
    [
      '{ classify: end, features: { a: ip.ttl } }',
      "ip.ttl is of a packet, and at a flow's end there is none",
    ],
    ['{ features: { a: "ip.ttl / 2" } }', "'/' begins no word"],
    ['{ features: { a: "shift(ip.ttl)" } }', 'there is no shift()'],
    ['{ features: { a: "min(ip.ttl)" } }', 'min takes two values or more'],
    ['{ features: { a: "ip.ttl << 60 & 1" } }', 'shifts by a number from 0 to 52'],
    ['{ bins: { b: [3, 3] }, features: { a: b(ip.ttl) } }', 'spec.bins.b: thresholds must ascend'],
    ['{ tables: { t: [1, 2] }, features: { a: t(ip.ttl) } }', 't has 2 places, and this value reaches 255'],
    ['{ features: {} }', '0 features'],
    ['{ key: five, features: { a: ip.ttl } }', 'spec.key: expected five-tuple'],
    ['{ timeouts: { idle: 5 }, features: { a: ip.ttl } }', 'spec.timeouts.idle'],
    ['{ classify: { packets: [0] }, features: { a: ip.ttl } }', 'packets count from 1'],
    ['{ surplus: 1, features: { a: ip.ttl } }', 'there is no field surplus here'],
  ])('%s', (spec, message) => {
    const told = messageOf(() => parseFeatures(text(spec), 'f.yaml'));
    expect(told).toContain(message);
    expect(told).toContain('f.yaml: ');
  });

  it('a state that does not fit, syntax, a bomb of aliases, an unknown name', () => {
    const many = Array.from({ length: 9 }, (_, i) => `s${i}: { sequence: ip.ttl, length: 32 }`).join(', ');
    expect(
      messageOf(() => parseFeatures(text(`{ state: { ${many} }, features: { a: ip.ttl } }`), 'f')),
    ).toContain('at most 256 fit a flow slot');
    expect(messageOf(() => parseFeatures('a: [', 'f'))).toContain('is neither YAML nor JSON');
    const twice = 'spec:\n  features:\n    n: "1"\n    n: "2"\n';
    expect(messageOf(() => parseFeatures(twice, 'f'))).toContain('line 4, column 5: n is there twice');
    expect(messageOf(() => parseFeatures('{"a": 1, "a": 2}', 'f'))).toContain('a is there twice');
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
      .split('')
      .map((c, i) => `${c}: &${c} [${new Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
      .join('\n')}`;
    expect(messageOf(() => parseFeatures(bomb, 'f'))).toContain('alias');
    expect(messageOf(() => readFeatures('traffic-17'))).toContain('ready-made are tofino-8, traffic-16');
    expect(messageOf(() => parseFeatures(text(`{ features: { a: "${'('.repeat(900)}" } }`), 'f'))).toContain(
      'nested',
    );
  });

  it('every definition of the gallery is sound', () => {
    expect(galleryNames().length).toBeGreaterThan(0);
    for (const name of galleryNames()) expect(readFeatures(name).name).toBe(name);
  });
});

describe('labels', () => {
  const header = 'client_ip,client_port,server_ip,server_port,transport,class\n';
  it.each([
    ['', 'is empty'],
    ['a,b\n1,2\n', 'has no column client_ip'],
    [header, 'has no rows after its header'],
    [`${header}1.2.3,5,1.2.3.4,6,TCP,web\n`, "line 2: '1.2.3' is no address"],
    [`${header}1.2.3.5,70000,1.2.3.4,6,TCP,web\n`, "line 2: '70000' is no port"],
    [`${header}1.2.3.5,7,1.2.3.4,6,SCTPX,web\n`, "line 2: 'SCTPX' is no transport"],
    [`${header}1.2.3.5,7,1.2.3.4,6,udp,\n`, 'line 2: has no class'],
    [
      `${header}1.2.3.5,7,1.2.3.4,6,udp,web\n1.2.3.4,6,1.2.3.5,7,udp,dns\n`,
      'line 3: the flow is dns here and web in line 2',
    ],
  ])('%j', (csv, message) => {
    expect(messageOf(() => parseLabels(csv, 'l.csv'))).toContain(message);
  });

  it('name flows whichever way they go, IPv6 in any form', () => {
    const labels = parseLabels(
      `${header}2001:DB8:0::1,7,2001:db8::2,53,udp,dns\n9.9.9.9,1,8.8.8.8,2,6,web\n`,
      'l.csv',
    );
    const v6 = (last: number) =>
      Uint8Array.from([0x20, 1, 0xd, 0xb8, ...new Array<number>(11).fill(0), last]);
    const flow = { protocol: 17, client: v6(2), clientPort: 53, server: v6(1), serverPort: 7 };
    expect(labels.classOf('any.pcap', flow)).toBe(0);
    expect(labels.classOf('any.pcap', { ...flow, clientPort: 54 })).toBeUndefined();
    expect(labels.unusedLines()).toEqual([3]);
  });
});
