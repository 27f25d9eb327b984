import { readFileSync } from 'node:fs';
import { importModel } from '../../src/import/index.ts';
import { elementCount } from '../../src/model/tensor.ts';
import { interpret } from '../../src/reference/interpreter.ts';
import { loadXdp, planOrRefuse } from '../../src/runtime/xdp/engine.ts';
import { decodePacket, framePayload, packetKinds } from '../../src/wire/index.ts';
import { requestFrame } from '../../test/support/frames.ts';
import { type Random, random } from '../../test/support/random.ts';
import { type Attack, MOST_FAULTS } from './attack.ts';

const FRAMES = 1_000_000;
const [PASS, TX] = [2, 3];

/** A request with up to four bytes changed, mostly in its headers, and now and then of another length. */
function damage(r: Random, request: Uint8Array): Uint8Array {
  const length = r.chance(0.1) ? r.int(14, request.length + 64) : request.length;
  const frame = new Uint8Array(length);
  frame.set(request.subarray(0, length));
  for (let changes = r.int(0, 4); changes > 0; changes--)
    frame[r.chance(0.8) ? r.int(0, Math.min(73, length - 1)) : r.int(0, length - 1)] = r.int(0, 255);
  return frame;
}

/** Every frame through the program in the kernel: one counter each, untouched or the right answer. */
export const frames: Attack = {
  name: 'damaged frames, XDP',
  what: 'a frame that is counted not exactly once, passed on altered, or answered by other than the reference says',
  lacks: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
  async run({ seed, scale }) {
    const { model } = await importModel('examples/traffic-mlp.onnx');
    const plan = planOrRefuse(model, { mtu: 1500 });
    using device = await loadXdp(plan);
    const rows = readFileSync('examples/traffic-mlp.x.bin');
    const width = elementCount(plan.input.shape);
    const r = random(seed);
    const faults: string[] = [];
    const fault = (text: string) => faults.length < MOST_FAULTS && faults.push(text);
    const count = Math.round(FRAMES * scale);
    const counted = () => Object.values(device.counters()).reduce((sum, n) => sum + n, 0n);
    const before = counted();
    const runner = device.program.createTestRunner(2048, 2048);
    let answered = 0;
    for (let i = 0; i < count; i++) {
      const row = rows.subarray((i % 100) * width, ((i % 100) + 1) * width);
      const frame = damage(r, requestFrame(plan, row));
      const result = runner.run(frame);
      const out = runner.packet;
      if (result !== PASS && result !== TX) fault(`frame ${i}: outcome ${result}`);
      const came = decodePacket(framePayload(frame) ?? new Uint8Array(0));
      const went = decodePacket(framePayload(out) ?? new Uint8Array(0));
      if (went?.header.kind === packetKinds.result && came?.header.kind === packetKinds.request) {
        answered++;
        if (Buffer.compare(went.activations, interpret(model, came.activations)) !== 0)
          fault(`frame ${i}: a wrong answer`);
      } else if (Buffer.compare(out, frame) !== 0) fault(`frame ${i}: passed on altered`);
      if (i % 4096 === 4095) await new Promise(setImmediate);
    }
    const more = Number(counted() - before);
    if (more !== count) fault(`${count} frames made ${more} counts`);
    return { figures: { frames: count, answered, faults: faults.length }, faults };
  },
};
