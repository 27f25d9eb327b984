import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createXdpSetEngine, loadXdpSet } from '../../src/flow/set-engines.ts';
import { createReferenceSetEngine, verdictsIn } from '../../src/flow/set-reference.ts';
import { ipv6, udp4 } from '../features/packets.ts';
import { intransit, testFolder } from '../support/io.ts';
import { describeWith, loading } from '../support/machine.ts';
import { random } from '../support/random.ts';
import { deviceDefinitions, smallDefinition } from './definitions.ts';
import { randomFrame } from './frames.ts';
import {
  fourModels,
  headers,
  member,
  modelFiles,
  onlyTcp,
  setOf,
  shortFlows,
  TWO_MODELS,
  when,
} from './sets.ts';

const FRAMES = 3000;

describeWith(loading, 'several models in the kernel', () => {
  it('gives each packet to the first model that takes it, and decides as the reference does', async () => {
    const set = fourModels(deviceDefinitions.long!, '{ idle: 20ms, active: 90ms }', {
      name: 'c',
      when: when({ protocols: ['udp', 'icmp'] }),
      ...member(deviceDefinitions.everything!, 10),
    });
    const [xdp, reference] = [await createXdpSetEngine(set), createReferenceSetEngine(set)];
    try {
      const r = random(5);
      let timeNs = 1_700_000_000_000_000_000n;
      const frames = Array.from({ length: FRAMES }, () => {
        timeNs += BigInt(r.int(1, 400_000));
        const { data, length } = randomFrame(r);
        return { data, length, link: 'ethernet' as const, timeNs };
      });
      const seen = new Set<number>();
      const told: string[][] = [[], []];
      for (const [i, engine] of [xdp, reference].entries())
        await engine.capture(frames, ({ outcome, rows, flow }) => {
          for (const row of rows) if (i === 0) seen.add(Math.floor(row.class / 5));
          told[i]!.push(
            `${outcome} ${flow?.number} ${rows.map((row) => `${row.flow.number}:${row.class}/${row.margin}`)}`,
          );
        });
      expect(xdp.equality?.()).toEqual({ packets: FRAMES, mismatches: 0, examples: [] });
      expect([...seen].sort()).toEqual([0, 1, 2, 3]);
      expect(told[0]).toEqual(told[1]);
    } finally {
      await xdp.close();
    }
  });

  it('classifies packets by themselves whose flow finds no place, and counts what was said', async () => {
    const set = setOf([{ name: 'a', when: undefined, ...member(smallDefinition, 0) }], member(headers, 5));
    using loaded = await loadXdpSet(set, { test: true });
    const [head, packets] = loaded.programs.map((p) => p.device);
    const verdictOf = verdictsIn(set.collided!);
    const outcomes = Array.from({ length: 200 }, (_, flow) => {
      const frame = ipv6(17, [flow >> 8, flow & 255, 0, 53, 0, 8, 0, 0]);
      const result = head!.run(frame, 10_000_000_000n);
      if (result.outcome === 'collided') {
        const features = packets!.features();
        // 48 bytes, hop limit 61, the lower port 53 at most, and no payload.
        expect([...features]).toEqual([28, 61, 0, 0]);
        expect(result.verdict).toEqual(verdictOf(features));
      }
      return result.outcome;
    });
    expect(new Set(outcomes)).toEqual(new Set(['classified', 'collided']));
    const collided = outcomes.filter((o) => o === 'collided').length;
    expect(head!.counts()).toMatchObject({ classified: BigInt(200 - collided), collided: BigInt(collided) });
    // What no model takes is foreign.
    expect(head!.run(udp4(), 11_000_000_000n).outcome).toBe('foreign');
  });

  it('counts packets without a place as collided, also where the model for them does not accept them', async () => {
    const set = setOf([{ name: 'a', when: undefined, ...member(smallDefinition, 0) }], member(onlyTcp, 5));
    const [link, timeNs] = ['ethernet' as const, 10_000_000_000n];
    const frames = shortFlows(300).map((frame) => ({ ...frame, link, timeNs }));
    const engine = await createXdpSetEngine(set);
    const outcomes: string[] = [];
    try {
      await engine.capture(frames, ({ outcome }) => outcomes.push(outcome));
      expect(engine.equality?.()).toEqual({ packets: 300, mismatches: 0, examples: [] });
    } finally {
      await engine.close();
    }
    expect(new Set(outcomes)).toEqual(new Set(['classified', 'collided']));
    // Of the model for them some have a verdict, and some none.
    using loaded = await loadXdpSet(set, { test: true });
    const said = frames.map(({ data }) => loaded.programs[0]!.device.run(data, timeNs));
    const collided = said.flatMap((r, i) => (r.outcome === 'collided' ? [[i % 3 === 0, r.verdict]] : []));
    expect(collided.length).toBeGreaterThan(30);
    for (const [isTcp, verdict] of collided) expect(verdict !== undefined).toBe(isTcp);
  });
});

/** Three models of two classes, by the command line. */
describeWith(loading, 'classify by a file of models', () => {
  const folder = testFolder();
  const models = modelFiles(folder);
  const captures = ['--pcap', 'examples/captures/dns_doh.pcap', 'examples/captures/viber.pcap'];

  it('tells flows by the classes of all, the same in the kernel', async () => {
    const results = [];
    for (const on of ['reference', 'xdp']) {
      const { code, out, err } = await intransit(
        'classify',
        models(TWO_MODELS),
        ...captures,
        '--on',
        on,
        '--json',
      );
      expect([code, err]).toEqual([0, `${on}: captures: 2/2\n`]);
      results.push(JSON.parse(out));
    }
    const [reference, xdp] = results;
    expect(reference.classes.map((c: { name: string }) => c.name)).toEqual(['short', 'lasting', 'brief']);
    expect(xdp.equality).toMatchObject({ mismatches: 0 });
    expect(xdp.flows).toEqual(reference.flows);
    for (const flow of reference.flows) {
      const isName = /:53$/.test(flow.client) || /:53$/.test(flow.server);
      expect(flow.name === 'lasting' || flow.name === (isName ? 'short' : 'brief')).toBe(true);
    }
    expect(reference.flows.some((f: { name: string }) => f.name === 'short')).toBe(true);
  });

  const wrong: Readonly<Record<string, readonly [string, string]>> = {
    'a prefix that is none': [
      `${TWO_MODELS}    - { name: c, model: net.json, features: long.yaml, when: { prefixes: [10.0.0.0/40] } }\n`,
      'expected a prefix',
    ],
    'two of one name': [TWO_MODELS.replace('rest', 'names'), 'names is there twice'],
    'too few classes': [
      TWO_MODELS.replace('[brief, lasting]', '[brief, lasting, more]'),
      'the model tells 2 apart',
    ],
    'state of a packet': [
      `${TWO_MODELS}  collided: { model: net.json, features: long.yaml }\n`,
      'keep state',
    ],
    'a field that there is not': [TWO_MODELS.replace('ports', 'port'), 'spec.models[0].when'],
  };
  for (const [what, [spec, said]] of Object.entries(wrong))
    it(`refuses ${what}`, async () => {
      const { code, err } = await intransit('classify', models(spec, 'wrong.yaml'), ...captures);
      expect([code, err]).toEqual([1, expect.stringContaining(said)]);
      expect(err).toContain('wrong.yaml');
    });

  it('says what is noted when its models are read', async () => {
    const example = join(process.cwd(), 'examples/traffic-mlp.onnx');
    const spec = ['a', 'b'].map(
      (name) => `    - { name: ${name}, model: ${example}, features: traffic-16 }\n`,
    );
    const { code, err } = await intransit('classify', models(`  models:\n${spec.join('')}`), ...captures);
    expect(code).toBe(0);
    const alone = await intransit('classify', example, '--features', 'traffic-16', ...captures);
    expect(alone.err).toContain('[float-sums-rare]');
    // Of one model once, as of a model alone.
    expect(err).toBe(alone.err);
  });

  it('names its own features, and is for captures and interfaces', async () => {
    const usage = async (...argv: string[]) =>
      (await intransit('classify', models(TWO_MODELS), ...argv)).code;
    expect(await usage(...captures, '--features', 'traffic-16')).toBe(2);
    expect(await usage('--device', 'unix:/nowhere')).toBe(2);
    expect((await intransit('classify', 'examples/traffic-mlp.onnx', ...captures)).code).toBe(2);
  });
});
