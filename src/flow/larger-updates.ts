import { randomInt } from 'node:crypto';
import { insertion } from '../backends/common/entries.ts';
import { ask, askByClone, askMeter, clonedEscalation, escalation } from '../backends/common/flow/tables.ts';
import { ipv4, type Update } from '../p4runtime/index.ts';
import type { Asking } from '../runtime/xdp/flow-asking.ts';
import type { LargerModelPlace } from '../runtime/xdp/larger-model.ts';
import { encodeFrame, encodePacket, fieldOffset, OUTER_BYTES, requestPacket } from '../wire/index.ts';
import { sessionUpdate } from './actions.ts';

/** How a switch reaches a worker. */
export interface LargerPath {
  /** Its port to there. */
  readonly port: number;
  /** Addresses that its requests come from, and answers go to: IPv4 and Ethernet. */
  readonly address: string;
  readonly mac: string;
  /** Of whoever takes its requests on: the worker, or a router. */
  readonly nextMac: string;
  /** Layers of the worker's model: each request says so. */
  readonly layerCount: number;
}

/** Whom a device is to ask, and when. */
export interface DeviceEscalation extends Asking, LargerModelPlace {
  /** Of a switch. */
  readonly path?: LargerPath;
}

/** Clone session of questions: those of classes are lower. */
const SESSION = 1001;
const SECRETS = 2 ** 16;

/** What is written for it: on a host the agent asks, on a switch a cloned packet. @param features of the definition */
export function escalationUpdates(e: DeviceEscalation, features: number): Update[] {
  if (e.path === undefined) {
    const parameters = [e.below, ipv4(e.address), e.port, e.modelId, e.rate];
    return [insertion({ table: escalation, keys: [], action: ask, parameters })];
  }
  const request = BigInt(`0x${Buffer.from(requestStart(e, e.path, features)).toString('hex')}`);
  const secret = randomInt(SECRETS);
  const rate = { cir: BigInt(e.rate), cburst: BigInt(e.rate), pir: BigInt(e.rate), pburst: BigInt(e.rate) };
  return [
    sessionUpdate(SESSION, [e.path.port]),
    { type: 'MODIFY', entity: { meterEntry: { meterId: askMeter.id, index: { index: 0n }, config: rate } } },
    insertion({
      table: clonedEscalation,
      keys: [],
      action: askByClone,
      parameters: [e.below, SESSION, secret, request],
    }),
  ];
}

const ipv4Of = (address: string): Uint8Array => Uint8Array.from(address.split('.').map(Number));
const macOf = (mac: string): Uint8Array =>
  Uint8Array.from(mac.split(':').map((byte) => Number.parseInt(byte, 16)));

/** Where the sum of UDP stands in a frame; and the job, behind half of the inference header. */
const [SUM_AT, JOB_AT] = [OUTER_BYTES - 2, OUTER_BYTES + fieldOffset('jobId')];

/** A request as a switch sends it, up to its job. */
function requestStart(e: DeviceEscalation, path: LargerPath, features: number): Uint8Array {
  const { modelId, port } = e;
  const { layerCount } = path;
  const packet = requestPacket(new Uint8Array(features), {
    ...{ modelId, modelVersion: 0, layerCount, element: 'uint8', turnRound: true, unsure: true },
  });
  const frame = encodeFrame(
    {
      sourceMac: macOf(path.mac),
      destinationMac: macOf(path.nextMac),
      sourceIp: ipv4Of(path.address),
      destinationIp: ipv4Of(e.address),
      sourcePort: port,
      destinationPort: port,
    },
    encodePacket(packet),
  );
  // A switch does not know the sum of what it fills in: it leaves the sum out, and so does the answer.
  frame.fill(0, SUM_AT, OUTER_BYTES);
  return frame.subarray(0, JOB_AT);
}
