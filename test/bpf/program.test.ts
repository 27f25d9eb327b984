import { expect, it } from 'vitest';
import { createTestRunner, openObject, XdpAction } from '../../src/bpf/index.ts';
import { describeWith, failure, fixture, fixtureObject, loading } from './support.ts';

describeWith(loading, 'a test run', () => {
  const object = fixtureObject('rewrite', { globals: { offset: 300 } });

  it('gives action, packet and duration, and leaves its input alone', () => {
    const packet = Buffer.from(Array.from({ length: 60 }, (_, i) => i));
    const before = Buffer.from(packet);
    const result = object().program('rewrite').testRun({ packet });
    expect(result.action).toBe(XdpAction.tx);
    expect(result.durationNs).toBeGreaterThanOrEqual(0);
    before[14] = 15;
    expect(result.packet).toEqual(before);
    expect(packet[14]).toBe(14);
  });

  it('sees its own output when it repeats', () => {
    const { packet } = object()
      .program('rewrite')
      .testRun({ packet: Buffer.alloc(60), repeat: 10 });
    expect(packet[14]).toBe(10);
  });

  it('needs room for a packet that grows', async () => {
    const program = object().program('grow');
    const packet = Buffer.alloc(100, 1);
    expect(await failure(() => program.testRun({ packet }))).toMatchObject({
      errnoName: 'ENOSPC',
      remedy: expect.stringContaining('above 356'),
    });
    const grown = program.testRun({ packet, dataOutSize: 400 });
    expect(grown.action).toBe(XdpAction.pass);
    expect(grown.packet.length).toBe(400);
    expect(grown.packet.subarray(0, 100)).toEqual(packet);
  });

  it.each([0, 1, 13])('refuses a frame of %i bytes', async (length) => {
    const error = await failure(() =>
      object()
        .program('rewrite')
        .testRun({ packet: Buffer.alloc(length) }),
    );
    expect(error).toMatchObject({ errnoName: 'EINVAL' });
    expect(error.message).toContain(`with a packet of ${length} bytes`);
  });

  it('takes a frame as long as an MTU of 3,000', () => {
    expect(
      object()
        .program('rewrite')
        .testRun({ packet: Buffer.alloc(3014) }).packet.length,
    ).toBe(3014);
  });
});

describeWith(loading, 'a test runner', () => {
  const object = fixtureObject('rewrite');

  it('runs 100,000 packets of changing length and content', () => {
    const runner = object().program('rewrite').createTestRunner(120);
    const packet = Buffer.alloc(120);
    let wrong = 0;
    for (let i = 0; i < 100_000; i++) {
      const length = 60 + (i % 61);
      packet[14] = i;
      const action = runner.run(packet.subarray(0, length));
      const ok =
        action === XdpAction.tx && runner.packet.length === length && runner.packet[14] === ((i + 1) & 0xff);
      if (!ok) wrong++;
    }
    expect(wrong).toBe(0);
    expect(runner.durationNs).toBeLessThan(2 ** 31);
  });

  it('holds packets up to its size', async () => {
    const runner = createTestRunner(object().program('rewrite'), 60);
    expect(await failure(() => runner.run(Buffer.alloc(61)))).toMatchObject({
      code: 'bpf-bad-argument',
      message: 'the packet has 61 bytes, the runner holds 60',
    });
  });

  it('keeps its memory while garbage is collected around it', () => {
    const runners = Array.from({ length: 200 }, () => createTestRunner(object().program('rewrite'), 200));
    const garbage: Uint8Array[] = [];
    for (let i = 0; i < 2000; i++) garbage.push(new Uint8Array(50_000).fill(0xee));
    garbage.length = 0;
    for (const [i, runner] of runners.entries()) {
      const packet = Buffer.alloc(100, i);
      runner.run(packet);
      packet[14] = (i + 1) & 0xff;
      expect(runner.packet).toEqual(packet);
    }
  });

  it('ends with its object', async () => {
    const other = await openObject(await fixture('rewrite'));
    const runner = other.program('rewrite').createTestRunner(60);
    other.close();
    expect((await failure(() => runner.run(Buffer.alloc(60)))).code).toBe('bpf-closed');
  });
});
