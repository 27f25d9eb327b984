import { afterAll, beforeAll, expect, it } from 'vitest';
import { planXdp, type XdpPlan } from '../../../src/backends/xdp/plan.ts';
import { elementCount } from '../../../src/model/tensor.ts';
import { interpret } from '../../../src/reference/interpreter.ts';
import type { XdpDevice } from '../../../src/runtime/xdp/device.ts';
import { loadXdp, planOrRefuse } from '../../../src/runtime/xdp/engine.ts';
import {
  decodePacket,
  fieldOffset,
  framePayload,
  HEADER_BYTES,
  OUTER_BYTES,
  type PacketOutcome,
  packetKinds,
  packetOutcomes,
} from '../../../src/wire/index.ts';
import {
  checksums,
  padded,
  randomRequest,
  requestFrame,
  withBytes,
  withField,
  withUdpSum,
} from '../../support/frames.ts';
import { describeWith, loading } from '../../support/machine.ts';
import { modelOf, randomLinear } from '../../support/models.ts';
import { random, randomRows } from '../../support/random.ts';

const PASS = 2;
const TX = 3;
const ZONE = 5;

const grid = { element: 'int8', scale: 0.05, zeroPoint: 3 } as const;

/** A model of 10 inputs and so many outputs. */
const planOf = (outputs: number): XdpPlan => {
  const r = random(outputs);
  const layer = {
    kind: 'dense' as const,
    ...randomLinear(r, 10, outputs, grid),
    output: grid,
    rounding: 'onnx' as const,
  };
  return planOrRefuse(modelOf({ ...grid, shape: [10] }, [layer]), {
    modelId: 77,
    modelVersion: 12,
    port: 5151,
  });
};

const row = randomRows(random(3), 1, 10);
const ETHERNET_TYPE = 12;
const IP = 14;
const UDP = 34;

type Change = (request: Uint8Array, plan: XdpPlan) => Uint8Array;

const cases: readonly [PacketOutcome, string, Change][] = [
  ['foreign', 'ARP', (f) => withBytes(f, ETHERNET_TYPE, 0x08, 0x06)],
  ['foreign', 'IPv6', (f) => withBytes(f, ETHERNET_TYPE, 0x86, 0xdd)],
  ['foreign', 'a VLAN tag', (f) => withBytes(f, ETHERNET_TYPE, 0x81, 0x00)],
  ['foreign', 'IP version 6 in an IPv4 frame', (f) => withBytes(f, IP, 0x65)],
  ['foreign', 'TCP', (f) => withBytes(f, IP + 9, 6)],
  ['foreign', 'another port', (f) => withBytes(f, UDP + 2, 0x12, 0x34)],
  ['foreign', 'a frame too short for UDP', (f) => f.slice(0, OUTER_BYTES - 1)],
  ['ip_fragment', 'more fragments to come', (f) => withBytes(f, IP + 6, 0x20, 0)],
  ['ip_fragment', 'a later fragment', (f) => withBytes(f, IP + 6, 0, 1)],
  ['ip_options', 'options', (f) => withBytes(f, IP, 0x46)],
  ['truncated', 'an IPv4 header of 16 bytes', (f) => withBytes(f, IP, 0x44)],
  ['truncated', 'nothing behind UDP', (f) => f.slice(0, OUTER_BYTES)],
  ['truncated', 'a header cut short', (f) => f.slice(0, OUTER_BYTES + HEADER_BYTES - 1)],
  ['truncated', 'the last activation missing', (f) => f.slice(0, f.length - 1)],
  [
    'truncated',
    'a UDP length without room for the header',
    (f) => withBytes(f, UDP + 4, 0, 8 + HEADER_BYTES - 1),
  ],
  ['truncated', 'a UDP length one short', (f) => withBytes(f, UDP + 4, 0, 8 + HEADER_BYTES + 9)],
  ['truncated', 'an IP length one short', (f) => withBytes(f, IP + 2, 0, 20 + 8 + HEADER_BYTES + 9)],
  ['oversized', 'a UDP length one long', (f) => withBytes(padded(f, 1), UDP + 4, 0, 8 + HEADER_BYTES + 11)],
  ['oversized', 'a UDP length of 65,535', (f) => withBytes(f, UDP + 4, 0xff, 0xff)],
  [
    'oversized',
    'an IP length one long',
    (f) => withBytes(padded(f, 1), IP + 2, 0, 20 + 8 + HEADER_BYTES + 11),
  ],
  ['bad_magic', 'another magic', (f) => withField(f, 'magic', 0x49a6)],
  ['bad_magic', 'another header version', (f) => withField(f, 'headerVersion', 2)],
  ...(['result', 'error', 'probe'] as const).map((kind): [PacketOutcome, string, Change] => [
    'not_request',
    kind,
    (f) => withField(f, 'kind', packetKinds[kind]),
  ]),
  ['not_request', 'an unknown kind', (f) => withField(f, 'kind', 200)],
  ['unknown_model', 'another model', (f) => withField(f, 'modelId', 78)],
  ['unknown_version', 'another version', (f) => withField(f, 'modelVersion', 13)],
  ['cursor_elsewhere', 'a later cursor', (f) => withField(f, 'nextLayer', 1)],
  ['unsure', 'left to a larger model before', (f) => withField(f, 'flags', 0x2)],
  ['tensor_fragment', 'one part of two', (f) => withField(f, 'fragmentCount', 2)],
  ['tensor_fragment', 'no part at all', (f) => withField(f, 'fragmentCount', 0)],
  ['tensor_fragment', 'the second part of one', (f) => withField(f, 'fragmentIndex', 1)],
  ['bad_shape', 'another element type', (f) => withField(f, 'elementType', 1)],
  ['bad_shape', 'more elements', (f) => withField(f, 'elementCount', 11)],
  ['bad_shape', 'a model of more layers', (f) => withField(f, 'layerCount', 2)],
  ['zone_refused', 'a zone that is not allowed', (f) => withField(f, 'trustZone', ZONE)],
  ['bad_checksum', 'another activation', (f) => withBytes(f, f.length - 1, f.at(-1)! ^ 1)],
  ['bad_checksum', 'another job', (f) => withField(f, 'jobId', 4)],
  ['bad_checksum', 'another source', (f) => withBytes(f, IP + 15, 8)],
  ['bad_checksum', 'another sum', (f) => withBytes(f, UDP + 6, f[UDP + 6]! ^ 0x10)],
  ['bad_checksum', "another source's partial sum", (f) => withBytes(withUdpSum(f, 'partial'), IP + 15, 8)],
];

describeWith(loading, 'packets at the loaded program', () => {
  const plan = planOf(7);
  let device: XdpDevice;
  beforeAll(async () => {
    device = await loadXdp(plan);
  });
  afterAll(() => device?.close());

  const send = (frame: Uint8Array) => device.program.testRun({ packet: frame, dataOutSize: 4096 });

  /** What a frame changes in the counters. */
  function counted(frame: Uint8Array) {
    const before = device.counters();
    const result = send(frame);
    const after = device.counters();
    const changed = packetOutcomes.map(({ name }) => [name, Number(after[name] - before[name])] as const);
    return { ...result, changed: Object.fromEntries(changed.filter(([, n]) => n !== 0)) };
  }

  it.each(cases)('%s: %s', (verdict, _, change) => {
    const frame = change(requestFrame(plan, row), plan);
    const result = counted(frame);
    expect(result.changed).toEqual({ [verdict]: 1 });
    expect(result.action).toBe(PASS);
    expect(Buffer.compare(result.packet, frame)).toBe(0);
  });

  it('has a case for every verdict but computed, failed and shed, which needs a budget', () => {
    const named = new Set(cases.map(([verdict]) => verdict));
    expect(packetOutcomes.map(({ name }) => name).filter((name) => !named.has(name))).toEqual([
      'computed',
      'failed',
      'shed',
    ]);
  });

  it('failed: no room for a longer answer leaves the packet as it was', async () => {
    // A test run gives a packet about 3.5 kB of room; the answer needs more than the request leaves. The needs refuse such a
    // program, as no frame of its fits a page: so it is planned without them.
    const { plan: wide } = planXdp(
      modelOf({ ...grid, shape: [1] }, [
        { kind: 'dense', weights: Array(3800).fill(1), weightScale: 1, output: grid },
      ]),
      { mtu: 9000 },
    );
    using large = await loadXdp(wide!);
    const frame = requestFrame(wide!, Uint8Array.of(5));
    const { packet, action } = large.program.testRun({ packet: frame, dataOutSize: 8192 });
    expect(action).toBe(PASS);
    expect(Buffer.compare(packet, frame)).toBe(0);
    expect(large.counters()).toMatchObject({ failed: 1n, computed: 0n });
  });

  it('no bit that the UDP checksum covers can be turned', () => {
    const frame = requestFrame(plan, row);
    for (let bit = 8 * (IP + 12); bit < 8 * frame.length; bit++) {
      const turned = withBytes(frame, bit >> 3, frame[bit >> 3]! ^ (0x80 >> (bit & 7)));
      const { changed } = counted(turned);
      expect([bit, Object.keys(changed)]).toEqual([bit, [expect.not.stringMatching('computed')]]);
    }
  });

  it('a wrong checksum comes after all that is wrong with a request, and before what the device lacks', () => {
    const wrong = withBytes(requestFrame(plan, row), UDP + 6, 0x12, 0x34);
    expect(counted(withField(wrong, 'trustZone', ZONE)).changed).toEqual({ zone_refused: 1 });
    expect(counted(withField(wrong, 'modelId', 78)).changed).toEqual({ unknown_model: 1 });
    expect(counted(wrong).changed).toEqual({ bad_checksum: 1 });
  });

  it.each(['absent', 'partial'] as const)('a sum that is %s is taken', (sum) => {
    const frame = withUdpSum(requestFrame(plan, row), sum);
    const { packet, changed } = counted(frame);
    expect(changed).toEqual({ computed: 1 });
    expect(checksums(packet)).toEqual({ ip: 0, udp: sum === 'absent' ? undefined : 0 });
  });

  it('a zone is refused until it is allowed', () => {
    const frame = withUdpSum(withField(requestFrame(plan, row), 'trustZone', ZONE), 'right');
    device.allowZone(ZONE, true);
    expect(counted(frame).changed).toEqual({ computed: 1 });
    device.allowZone(ZONE, false);
    expect(counted(frame).changed).toEqual({ zone_refused: 1 });
  });

  it('an unknown model where the slots are empty', async () => {
    using empty = await loadXdp(plan);
    empty.clear(0);
    empty.program.testRun({ packet: requestFrame(plan, row) });
    expect(empty.counters()).toMatchObject({ unknown_model: 1n, computed: 0n });
  });
});

describeWith(loading, 'answers', () => {
  it.each([1, 2, 3, 4, 5, 9, 10, 11, 63, 64])('of %i elements to a request of 10', async (outputs) => {
    const plan = planOf(outputs);
    using device = await loadXdp(plan);
    const send = (packet: Uint8Array) => device.program.testRun({ packet, dataOutSize: 4096 });
    const r = random(outputs);
    for (let i = 0; i < 30; i++) {
      const inputs = randomRows(r, 1, 10);
      const turnRound = i % 2 === 0;
      const request = requestFrame(plan, inputs, { turnRound, jobId: BigInt(i) << 40n, sequence: i });
      const expected = interpret(plan.model, inputs);
      const sent = i % 3 === 0 ? padded(request, r.int(1, 30), 0xee) : request;
      const { packet, action } = send(sent);
      expect(action).toBe(turnRound ? TX : PASS);
      expect(packet.length).toBe(OUTER_BYTES + HEADER_BYTES + outputs);
      expect(checksums(packet)).toEqual({ ip: 0, udp: 0 });
      expect(framePayload(packet)?.length).toBe(HEADER_BYTES + outputs);
      const answer = decodePacket(framePayload(packet)!)!;
      expect(Buffer.compare(answer.activations, expected)).toBe(0);
      expect(answer.header).toEqual({
        ...decodePacket(framePayload(request)!)!.header,
        kind: packetKinds.result,
        nextLayer: 1,
        elementCount: outputs,
      });
      expectAddresses(request, packet, turnRound);
    }
  });

  function expectAddresses(request: Uint8Array, answer: Uint8Array, swapped: boolean) {
    const hex = (frame: Uint8Array, [from, to]: readonly [number, number]) =>
      Buffer.from(frame).toString('hex', from, to);
    for (const [a, b] of [
      [
        [0, 6],
        [6, 12],
      ],
      [
        [26, 30],
        [30, 34],
      ],
      [
        [34, 36],
        [36, 38],
      ],
    ] as const) {
      expect(hex(answer, a)).toBe(hex(request, swapped ? b : a));
      expect(hex(answer, b)).toBe(hex(request, swapped ? a : b));
    }
    // TTL, identification and type of service stay.
    for (const place of [
      [14, 16],
      [18, 24],
    ] as const)
      expect(hex(answer, place)).toBe(hex(request, place));
  }

  it('have no UDP checksum where the request had none', async () => {
    const plan = planOf(3);
    using device = await loadXdp(plan);
    const request = withBytes(requestFrame(plan, row), 40, 0, 0);
    const { packet } = device.program.testRun({ packet: request, dataOutSize: 4096 });
    expect(checksums(packet)).toEqual({ ip: 0, udp: undefined });
  });

  it('carry a right IPv4 checksum for any header before', async () => {
    const plan = planOf(3);
    using device = await loadXdp(plan);
    const r = random(9);
    for (let i = 0; i < 300; i++) {
      const frame = requestFrame(plan, row);
      const view = new DataView(frame.buffer);
      for (const at of [15, 18, 19, 22, 26, 27, 28, 29, 30, 31]) frame[at] = r.int(0, 255);
      frame[20] = r.pick([0, 0x40, 0x80]);
      // The checksum of the changed header: the one that brings the sum to zero.
      view.setUint16(24, 0);
      view.setUint16(24, checksums(frame).ip);
      const { packet } = device.program.testRun({
        packet: withUdpSum(frame, 'right'),
        dataOutSize: 4096,
      });
      expect(checksums(packet)).toEqual({ ip: 0, udp: 0 });
    }
  });
});

describeWith(loading, 'random packets', () => {
  it('20,000 damaged requests: untouched, or a right answer', async () => {
    const plan = planOf(7);
    using device = await loadXdp(plan);
    const inputs = elementCount(plan.input.shape);
    const r = random(2026);
    const runner = device.program.createTestRunner(2048);
    const seen = { computed: 0, untouched: 0 };
    for (let i = 0; i < 20_000; i++) {
      const frame = damaged(r, randomRequest(r, plan));
      if (frame.length < 14) continue;
      const verdict = runner.run(frame);
      if (verdict === PASS && Buffer.compare(runner.packet, frame) === 0) {
        seen.untouched++;
        continue;
      }
      const at = OUTER_BYTES + HEADER_BYTES;
      const expected = interpret(plan.model, frame.subarray(at, at + inputs));
      const payload = framePayload(runner.packet);
      const answer = payload && decodePacket(payload);
      if (answer === undefined || Buffer.compare(answer.activations, expected) !== 0)
        expect.fail(`packet ${i} ${Buffer.from(frame).toString('hex')}: a wrong answer`);
      // What was counted as ours was ours: only fields that the program does not read may differ.
      expect(answer!.header).toMatchObject({
        kind: packetKinds.result,
        nextLayer: 1,
        elementCount: 7,
        modelId: 77,
      });
      seen.computed++;
    }
    const counted = Object.values(device.counters()).reduce((a, b) => a + b, 0n);
    expect(Number(counted)).toBe(seen.computed + seen.untouched);
    expect(device.counters().failed).toBe(0n);
    expect(seen.computed).toBeGreaterThan(1000);
    expect(seen.untouched).toBeGreaterThan(5000);
  });
});

/** A request with bits flipped, bytes set, an end cut off or added, or nothing wrong at all. */
function damaged(r: ReturnType<typeof random>, request: Uint8Array): Uint8Array {
  let frame = request;
  for (let n = r.int(0, 3); n > 0; n--) {
    const at = r.int(0, Math.min(frame.length, OUTER_BYTES + HEADER_BYTES) - 1);
    const kind = r.pick(['flip', 'set', 'cut', 'grow', 'length', 'field'] as const);
    if (frame.length < 76) return frame;
    if (kind === 'flip') frame = withBytes(frame, at, frame[at]! ^ (1 << r.int(0, 7)));
    else if (kind === 'set') frame = withBytes(frame, at, r.pick([0, 0xff, 1, r.int(0, 255)]));
    else if (kind === 'cut') frame = frame.slice(0, frame.length - r.int(1, 30));
    else if (kind === 'grow') frame = padded(frame, r.int(1, 60), r.int(0, 255));
    else if (kind === 'length') frame = withBytes(frame, r.pick([16, 38]), 0, r.int(0, 90));
    else
      frame = withBytes(frame, OUTER_BYTES + fieldOffset(r.pick(['modelVersion', 'jobId', 'flags'])), 0, 0);
  }
  return frame;
}
