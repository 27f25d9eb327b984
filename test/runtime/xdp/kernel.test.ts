import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { emitXdp } from '../../../src/backends/xdp/emit.ts';
import {
  type BpfObject,
  ensureBpffs,
  interfaceDriver,
  openObject,
  openPinnedProgram,
  programsEnded,
  RingBuffer,
  unpin,
  waitForPrograms,
} from '../../../src/bpf/index.ts';
import { buildXdp, planOrRefuse } from '../../../src/runtime/xdp/engine.ts';
import { testFolder } from '../../support/io.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf } from '../../support/models.ts';

const grid = { element: 'uint8', scale: 1, zeroPoint: 0 } as const;
const plan = planOrRefuse(
  modelOf({ ...grid, shape: [1] }, [{ kind: 'dense', weights: [1], weightScale: 1, output: grid }]),
  {},
);

describeWith(loading, 'what the agent wants of the kernel', () => {
  const folder = testFolder();
  let path: string;
  let object: BpfObject;
  beforeAll(async () => {
    path = await buildXdp(emitXdp(plan), folder);
    object = await openObject(path);
  });
  afterAll(() => object?.close());

  it('memory of a map is the map', () => {
    const words = object.map('models').words();
    // Four words a value: the sixth word is the second of the second value.
    words.set(5, 0x0102_0304_0506_0708n);
    expect(object.map('models').lookup(1)?.readBigUInt64LE(8)).toBe(0x0102_0304_0506_0708n);
    object.map('models').update(1, Buffer.alloc(32));
    expect(words.get(5)).toBe(0n);
    words.close();
    expect(() => words.get(1)).toThrow(/is closed/);
    expect(() => object.map('zones').words()).toThrow(/4 bytes, no multiple of 8/);
    expect(() => object.map('outcomes').words()).toThrow(
      /BPF_F_MMAPABLE|not permitted|EINVAL|ENOTSUPP|operation/,
    );
  });

  it('running programs end', async () => {
    waitForPrograms();
    await programsEnded();
  });

  it('an object may go on with the maps of another', async () => {
    object.map('zones').update(7, 1);
    using second = await openObject(path, { maps: { zones: object.map('zones') } });
    expect(second.map('zones').lookup(7)?.readUInt32LE()).toBe(1);
    await expect(openObject(path, { maps: { nothing: object.map('zones') } })).rejects.toThrow(
      /no map "nothing"/,
    );
    await expect(openObject(path, { maps: { models: object.map('zones') } })).rejects.toThrow();
  });

  it('a pinned program is opened again', () => {
    const pin = join(ensureBpffs('intransit'), `kernel-test-${process.pid}`);
    object.program('intransit').pin(pin);
    using program = openPinnedProgram(pin);
    unpin(pin);
    expect([program.name, program.info()]).toEqual(['intransit', object.program('intransit').info()]);
    expect(() => openPinnedProgram(pin)).toThrow();
  });

  it('an empty ring buffer has nothing, and other maps are none', () => {
    const ring = new RingBuffer(object.map('refused'), () => {});
    expect(ring.consume()).toBe(0);
    ring.close();
    expect(ring.consume()).toBe(0);
    expect(() => new RingBuffer(object.map('zones'), () => {})).toThrow(/ring buffer "zones"/);
  });

  it('an interface’s driver is known or not', () => {
    expect(interfaceDriver('no-such-one')).toBeUndefined();
  });
});
