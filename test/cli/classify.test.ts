import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pcapOf, tcp4, udp4 } from '../features/packets.ts';
import { intransit, testFolder } from '../support/io.ts';
import { identityDocument } from '../support/small-models.ts';

const folder = testFolder();
const at = (name: string) => join(folder, name);
const captures = ['KakaoTalk_chat', 'dns_doh', 'fuzz-2006-06-26-2594', 'openvpn', 'quic046', 'ssh', 'viber'];
const traffic = [
  'classify',
  'examples/traffic-mlp.onnx',
  '--features',
  'traffic-16',
  '--pcap',
  ...captures.map((name) => `examples/captures/${name}.pcap`),
];

interface Report {
  readonly [key: string]: unknown;
  readonly flows: readonly Record<string, unknown>[];
}

/** A dense layer that gives the first two features: class 0 if the first is larger or equal. */
const model = (over: object) => ({ ...identityDocument('two', 2), ...over });

const definition = `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: two }
spec:
  state: { n: { count: true } }
  features: { tcp: "is.tcp ? 9 : 1", five: "5" }
  classify: { packets: [2] }
`;

describe('classify', () => {
  it('scores the example captures as scikit-learn does', async () => {
    const { code, out, err } = await intransit(
      ...traffic,
      '--labels',
      'examples/captures/labels.csv',
      '--json',
    );
    expect([code, err]).toEqual([0, expect.stringContaining('reference: captures: 7/7\n')]);
    const report: Report = JSON.parse(out);
    // sklearn.metrics: f1_score(average='macro'), accuracy_score and confusion_matrix of the rows of --csv.
    expect(report.macroF1).toBeCloseTo(0.586990119777005, 12);
    expect(report.accuracy).toBeCloseTo(0.8347107438016529, 12);
    expect(report.confusion).toEqual([
      [10, 12, 1, 6, 0, 3, 0],
      [2, 12, 5, 9, 0, 1, 0],
      [0, 0, 0, 0, 0, 0, 0],
      [0, 1, 0, 175, 0, 0, 0],
      [0, 0, 0, 0, 1, 0, 0],
      [0, 0, 0, 0, 0, 4, 0],
      [0, 0, 0, 0, 0, 0, 0],
    ]);
    expect(report).toMatchObject({
      frames: 2260,
      verdicts: 2108,
      outcomes: { classified: 2108, foreign: 92, fragment: 26, damaged: 34, collided: 0 },
    });
    expect(report.flows[0]).toEqual({
      capture: 'KakaoTalk_chat.pcap',
      flow: 1,
      transport: 'UDP',
      client: '10.24.82.188:38448',
      server: '10.188.1.1:53',
      packets: 2,
      begun: '1430069021.959113000',
      duration: 0.082886,
      verdicts: 2,
      class: 3,
      name: 'dns',
      margin: 8,
      label: 3,
      labelName: 'dns',
    });
  });

  it('shows flows that were never due, and writes a page and a table', async () => {
    writeFileSync(at('two.json'), JSON.stringify(model({})));
    writeFileSync(at('two.yaml'), definition);
    writeFileSync(
      at('<b>&"x.pcap'),
      pcapOf([
        { data: tcp4({ flags: 2 }), timeUs: 1_000_000 },
        { data: tcp4({ flags: 16 }), timeUs: 1_000_100 },
        { data: udp4({ payload: [1] }), timeUs: 1_000_200 },
      ]),
    );
    writeFileSync(
      at('labels.csv'),
      'transport,client_ip,client_port,server_ip,server_port,class\ntcp,192.0.2.1,40000,198.51.100.2,443,<i>web\nudp,192.0.2.1,40000,198.51.100.2,53,a\n',
    );
    const { code, out, err } = await intransit(
      ...['classify', at('two.json'), '--features', at('two.yaml'), '--pcap', at('<b>&"x.pcap')],
      ...['--labels', at('labels.csv'), '--html', at('x.html'), '--csv', at('x.csv')],
    );
    expect(err).toContain("the labels' are taken in alphabetical order: <i>web, a");
    expect([code, out]).toEqual([0, expect.stringContaining('(too early)')]);
    expect(out).toContain('2 flows, 1 verdicts; 3 frames: 1 classified, 2 early');
    expect(readFileSync(at('x.csv'), 'utf8').split('\n').slice(1)).toEqual([
      '"<b>&""x.pcap",1,TCP,192.0.2.1:40000,198.51.100.2:443,2,1.000000000,0.000100000,1,0,<i>web,4,<i>web',
      '"<b>&""x.pcap",2,UDP,192.0.2.1:40000,198.51.100.2:53,1,1.000200000,0.000000000,0,,,,a',
      '',
    ]);
    const page = readFileSync(at('x.html'), 'utf8');
    expect(page).toContain('&lt;b&gt;&amp;&quot;x.pcap');
    expect(page).toContain('&lt;i&gt;web');
    for (const open of ['<b>', '<i>', '<script', '<img', '<link', 'http://', 'https://', 'src=', 'url('])
      expect(page).not.toContain(open);
    expect([...page.matchAll(/<svg /g)]).toHaveLength(3);
  });

  it('takes features through the grid of a model that reads signed bytes', async () => {
    const input = { element: 'int8', shape: [2], scale: 0.5, zeroPoint: -128 };
    writeFileSync(at('signed.json'), JSON.stringify(model({ input })));
    writeFileSync(at('two.yaml'), definition);
    writeFileSync(
      at('a.pcap'),
      pcapOf([
        { data: tcp4(), timeUs: 0 },
        { data: tcp4(), timeUs: 1 },
      ]),
    );
    const { out } = await intransit(
      ...['classify', at('signed.json'), '--features', at('two.yaml'), '--pcap', at('a.pcap'), '--json'],
    );
    // 9 / 0.5 and 5 / 0.5 less the zero point, times the scale again.
    expect(JSON.parse(out).flows).toMatchObject([{ class: 0, margin: 4 }]);
  });

  it('refuses what does not go together', async () => {
    writeFileSync(at('two.json'), JSON.stringify(model({})));
    writeFileSync(at('two.yaml'), definition);
    const pcap = ['--pcap', 'examples/captures/ssh.pcap'];
    const fails = async (...argv: string[]) => {
      const { code, err, out } = await intransit('classify', ...argv);
      expect(out).toBe('');
      return [code, err];
    };
    expect(await fails('examples/digits-mlp.onnx', '--features', 'traffic-16', ...pcap)).toEqual([
      1,
      expect.stringContaining(
        'reads 64 inputs, and the definition traffic-16 has 16 features: length, packets',
      ),
    ]);
    expect(await fails(at('two.json'), '--features', at('two.yaml'), '--pcap', at('absent'))).toEqual([
      1,
      expect.stringContaining('cannot be read'),
    ]);
    expect(
      await fails(
        ...[at('two.json'), '--features', at('two.yaml'), ...pcap],
        ...['--labels', 'examples/captures/labels.csv'],
      ),
    ).toEqual([1, expect.stringContaining('tells 2 classes apart, and the labels name 5')]);
    const flows = ['examples/traffic-mlp.onnx', '--features', 'traffic-16'];
    for (const usage of [
      [],
      [...pcap, '--live', 'lo'],
      [...pcap, '--seconds', '1'],
      ['--live', 'lo', '--on', 'xdp'],
    ])
      expect(await fails(...flows, ...usage)).toEqual([2, expect.stringMatching(/--pcap|--live/)]);
    expect(await fails(at('two.json'), '--features', 'no-such', ...pcap)).toEqual([
      1,
      expect.stringContaining('no ready-made definition no-such'),
    ]);
  });

  it('takes options of look-ups for one model on a switch alone, and compiles such programs', async () => {
    const flows = ['examples/traffic-mlp.onnx', '--features', 'traffic-16', '--pcap', at('absent')];
    const fails = async (...argv: string[]) => {
      const { code, err } = await intransit('classify', ...argv);
      return [code, err];
    };
    for (const usage of [
      ['--lowering', 'tables'],
      ['--on', 'xdp', '--levels', '8'],
    ])
      expect(await fails(...flows, ...usage)).toEqual([
        2,
        expect.stringContaining('with --on bmv2 and --pcap'),
      ]);
    expect(await fails(...flows, '--on', 'bmv2', '--levels', '8')).toEqual([
      1,
      expect.stringContaining('it needs rows'),
    ]);
    const argv = ['compile', ...flows.slice(0, 3), '--target', 'v1model', '--no-build'];
    const rows = ['--calibrate', 'examples/traffic-mlp.x.bin', '--levels', '8'];
    const made = await intransit(...argv, '-o', at('looked-up'), '--lowering', 'tables', ...rows);
    expect(made).toMatchObject({ code: 0, err: expect.stringContaining('an approximated network') });
    expect(readFileSync(join(at('looked-up'), 'program.p4'), 'utf8')).toContain('table sums_0_15');
    expect(JSON.parse(readFileSync(join(at('looked-up'), 'manifest.json'), 'utf8')).lowering).toBe('tables');
    const lanes = await intransit(...argv, '-o', at('lanes'), ...rows);
    expect(lanes).toMatchObject({ code: 1, err: expect.stringContaining('--lowering tables') });
  });

  it('takes features through the scaler of a pipeline, as the network was trained', async () => {
    const { out } = await intransit(
      ...['classify', 'gallery/traffic-16.onnx', ...traffic.slice(2)],
      ...['--labels', 'examples/captures/labels.csv', '--json'],
    );
    // ONNX Runtime on the rows of `features`, and scikit-learn's accuracy and macro-F1 of them.
    const { verdicts } = JSON.parse(out).labels;
    expect(verdicts.accuracy).toBeCloseTo(0.3563692625064466, 12);
    expect(verdicts.macroF1).toBeCloseTo(0.2852497911807411, 12);
  });

  it('compiles a program of flows, also of their ends, and refuses layers of it', async () => {
    const argv = ['compile', 'examples/traffic-mlp.onnx', '-o', at('out'), '--no-build'];
    const flow = await intransit(...argv, '--target', 'xdp', '--features', 'traffic-16', '--json');
    expect([flow.code, JSON.parse(flow.out).files]).toEqual([
      0,
      [
        ...['intransit_bits.h', 'intransit_flow.h', 'intransit_flow_act.h', 'intransit_flow_packet.h'],
        ...['intransit_lanes.h', 'intransit_ways.h'],
        ...['manifest.json', 'p4info.txt', 'program.c', 'weights.bin'],
      ],
    ]);
    const split = ['--target', 'xdp', '--features', 'traffic-16', '--layers', '0..1'];
    expect((await intransit(...argv, ...split)).code).toBe(2);
    writeFileSync(
      at('end.yaml'),
      definition.replace('{ packets: [2] }', 'end').replace('is.tcp ? 9 : 1', 'n & 1'),
    );
    writeFileSync(at('two.json'), JSON.stringify(model({})));
    const end = ['compile', at('two.json'), '-o', at('o'), '--target', 'xdp', '--features', at('end.yaml')];
    const { code, err } = await intransit(...end);
    expect(code, err).toBe(0);
  });
});
