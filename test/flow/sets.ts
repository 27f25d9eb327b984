import { parseFeatures } from '../../src/features/index.ts';
import { selectorSchema } from '../../src/features/selector.ts';
import type { FlowSet, SetModel } from '../../src/flow/set.ts';
import { networkOf } from './networks.ts';

/** A model of five classes, whose numbers in the set are not in their order. */
export const member = (definition: SetModel['definition'], first: number): SetModel => ({
  definition,
  model: networkOf(definition),
  classes: Array.from({ length: 5 }, (_, i) => first + ((i * 2) % 5)),
});
/** Of packets alone. */
export const headers = parseFeatures(
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: headers }
spec:
  accept: { ip: [4, 6], protocols: [tcp, udp, icmp] }
  features: { a: "log8(ip.length)", b: "ip.ttl", c: "min(port.source, port.destination) >> 8", d: payload.length & 255 }
`,
  'headers.yaml',
);
export const onlyTcp = parseFeatures(
  `apiVersion: intransit.dev/v1alpha1
kind: Features
metadata: { name: only-tcp }
spec:
  accept: { ip: [6], protocols: [tcp] }
  features: { a: "log8(ip.length)", b: "ip.ttl" }
`,
  'only-tcp.yaml',
);
export const when = (spec: object) => selectorSchema.parse(spec);

export const setOf = (members: FlowSet['members'], collided?: SetModel): FlowSet => ({
  name: 'test',
  file: 'models.yaml',
  members,
  collided,
  classes: Array.from({ length: 5 * (members.length + 1) }, (_, i) => `class-${i}`),
  diagnostics: [],
});
