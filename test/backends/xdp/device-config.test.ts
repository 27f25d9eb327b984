import { describe, expect, it } from 'vitest';
import {
  DEVICE_CONFIG_FORMAT,
  decodeDeviceConfig,
  type RequestConfig,
} from '../../../src/backends/xdp/device-config.ts';

const program = (index: number, weights: object, port = 18858) => ({
  index,
  source: 's',
  manifest: {
    format: 'intransit-manifest/1',
    target: 'xdp',
    model: { name: 'm', layerCount: 3 },
    layers: { from: 0, to: 3 },
    port,
    weights,
  },
  program: Buffer.from('x').toString('base64'),
});

function requestsOf(bytes: Uint8Array): RequestConfig {
  const decoded = decodeDeviceConfig(bytes);
  if (decoded.kind !== 'requests') throw new Error('it is of flows');
  return decoded;
}

const config = (arrays: readonly object[], bytes = arrays.length) =>
  Buffer.from(
    JSON.stringify({
      format: DEVICE_CONFIG_FORMAT,
      programs: [program(0, { mode: 'runtime', bytes, slots: 16, arrays })],
    }),
  );
const array = (i: number, name = 'layer0_w') => ({ name, offset: i });

describe('the config that a controller pushes', () => {
  it('has the arrays of each layer one after the other', () => {
    const arrays = [array(0), array(3), array(7, 'layer2_b')];
    expect(requestsOf(config(arrays, 9)).programs[0]!.weights).toEqual([
      {
        layer: 0,
        offset: 0,
        arrays: [
          { name: 'layer0_w', bytes: 3 },
          { name: 'layer0_w', bytes: 4 },
        ],
      },
      { layer: 2, offset: 7, arrays: [{ name: 'layer2_b', bytes: 2 }] },
    ]);
    for (const wrong of [
      [array(0), array(0)],
      [array(3), array(1)],
      [array(0, 'w')],
      [array(0), array(1, 'layer1_w'), array(2)],
    ])
      expect(() => requestsOf(config(wrong, 3))).toThrow(/out of order/);
  });

  it('has programs with places of their own, all for one port', () => {
    const none = { mode: 'static' };
    const decode = (...programs: object[]) =>
      requestsOf(Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, programs })));
    expect(decode(program(3, none), program(1, none)).programs.map((p) => [p.index, p.slots])).toEqual([
      [1, 16],
      [3, 16],
    ]);
    expect(() => decode(program(1, none), program(1, none))).toThrow(/two programs 1/);
    expect(() => decode(program(0, none), program(1, none, 7))).toThrow(/program 1 .* is for UDP port 7/);
    expect(() => decode(program(16, none))).toThrow(/wrong at programs\.0\.index/);
    expect(() => decode()).toThrow(/wrong at programs/);
  });

  it('has several programs of flows, the last of which may be for packets alone', () => {
    const flows = (table = { flows: 64, places: 4, placeBytes: 8 }) => ({
      manifest: {
        ...{ format: 'intransit-flow-manifest/1', target: 'xdp', model: { name: 'm', layerCount: 1 } },
        ...{ features: { definition: 'd', names: ['a', 'b'] }, table, weights: { mode: 'static' } },
      },
      program: '',
    });
    const decode = (of: object) =>
      decodeDeviceConfig(Buffer.from(JSON.stringify({ format: DEVICE_CONFIG_FORMAT, ...of })));
    const decoded = decode({ flows: [flows(), flows()], packets: true });
    expect(decoded).toMatchObject({ kind: 'flows', isSet: true, packets: true });
    expect(decode(flows())).toMatchObject({ kind: 'flows', isSet: false, packets: false });
    expect(() => decode({ flows: [flows()], packets: true })).toThrow(/packets: no model is left/);
    expect(() => decode({ flows: [], packets: false })).toThrow(/wrong at flows/);
    expect(() => decode({ flows: Array.from({ length: 10 }, () => flows()), packets: false })).toThrow(
      /flows/,
    );
    const large = flows({ flows: 2 ** 20, places: 4, placeBytes: 1024 });
    expect(decode({ flows: [large], packets: false })).toMatchObject({ kind: 'flows' });
    expect(() => decode({ flows: [large, flows()], packets: false })).toThrow(/keep fewer/);
  });

  it('is refused where it is larger than any that is meant, before it is looked at', () => {
    const many = Array.from({ length: 60_000 }, (_, i) => array(i));
    expect(() => requestsOf(config(many))).toThrow(/expected at most 4096 arrays/);
    expect(requestsOf(config(many.slice(0, 4096))).programs[0]!.weights[0]!.arrays).toHaveLength(4096);
    expect(() => requestsOf(config([array(0, `layer0_${'x'.repeat(500)}`)]))).toThrow(/is wrong at/);
    expect(() => requestsOf(config([{ name: 'layer0_w', offset: 1e300 }]))).toThrow(/is wrong at/);
    expect(() => decodeDeviceConfig(Buffer.alloc(64 * 2 ** 20 + 1))).toThrow(/at most 67108864 are read/);
  });
});
