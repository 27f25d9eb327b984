import { describe, expect, it } from 'vitest';
import { DEVICE_CONFIG_FORMAT, decodeDeviceConfig } from '../../../src/backends/xdp/device-config.ts';

const config = (arrays: readonly object[], bytes = arrays.length) =>
  Buffer.from(
    JSON.stringify({
      format: DEVICE_CONFIG_FORMAT,
      manifest: {
        format: 'intransit-manifest/1',
        target: 'xdp',
        model: { name: 'm', layerCount: 3 },
        layers: { from: 0, to: 3 },
        port: 18858,
        weights: { mode: 'runtime', bytes, arrays },
      },
      program: Buffer.from('x').toString('base64'),
    }),
  );
const array = (i: number, name = 'layer0_w') => ({ name, offset: i });

describe('the config that a controller pushes', () => {
  it('has the arrays of each layer one after the other', () => {
    const arrays = [array(0), array(3), array(7, 'layer2_b')];
    expect(decodeDeviceConfig(config(arrays, 9)).weights).toEqual([
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
      expect(() => decodeDeviceConfig(config(wrong, 3))).toThrow(/out of order/);
  });

  it('is refused where it is larger than any that is meant, before it is looked at', () => {
    const many = Array.from({ length: 60_000 }, (_, i) => array(i));
    expect(() => decodeDeviceConfig(config(many))).toThrow(/expected at most 4096 arrays/);
    expect(decodeDeviceConfig(config(many.slice(0, 4096))).weights[0]!.arrays).toHaveLength(4096);
    expect(() => decodeDeviceConfig(config([array(0, `layer0_${'x'.repeat(500)}`)]))).toThrow(/is wrong at/);
    expect(() => decodeDeviceConfig(config([{ name: 'layer0_w', offset: 1e300 }]))).toThrow(/is wrong at/);
    expect(() => decodeDeviceConfig(Buffer.alloc(64 * 2 ** 20 + 1))).toThrow(/at most 67108864 are read/);
  });
});
