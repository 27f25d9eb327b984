import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseFeatures } from '../../src/features/index.ts';
import { selectorSchema } from '../../src/features/selector.ts';
import type { FlowSet, SetModel } from '../../src/flow/set.ts';
import { ipv6 } from '../features/packets.ts';
import { deviceDefinitions, endDefinition } from './definitions.ts';
import { networkOf } from './networks.ts';

type Member = FlowSet['members'][number];

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

/**
 * Four models, each of which takes what the ones before it leave, and one for packets whose flow finds no place.
 * @param first features of the first
 * @param timeouts of the second, which classifies flows at their end
 * @param third the third, and what it takes
 */
export const fourModels = (first: SetModel['definition'], timeouts: string, third: Member): FlowSet =>
  setOf(
    [
      {
        name: 'a',
        when: when({ prefixes: ['10.0.0.1/32', '2001:db8::2/127'], ports: ['0-60', 879] }),
        ...member(first, 0),
      },
      {
        name: 'b',
        when: when({ vlans: [0], dscp: Array.from({ length: 20 }, (_, i) => 3 * i) }),
        ...member(endDefinition(timeouts), 5),
      },
      third,
      { name: 'd', when: undefined, ...member(deviceDefinitions.oneWay!, 15) },
    ],
    member(headers, 20),
  );

/** As many flows of one packet each, more than a small table has places for: of three one TCP, the others UDP. */
export const shortFlows = (count: number) =>
  Array.from({ length: count }, (_, flow) => {
    const ports = [flow >> 8, flow & 255, 0, 53];
    const isTcp = flow % 3 === 0;
    const data = isTcp
      ? ipv6(6, [...ports, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 2, 0, 9, 0, 0, 0, 0])
      : ipv6(17, [...ports, 0, 8, 0, 0]);
    return { data, length: data.length };
  });

/** Writes a model and features, and then files of models that name them. */
export function modelFiles(folder: string): (spec: string, name?: string) => string {
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  write(
    'long.yaml',
    'apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: long }\nspec:\n  state: { n: { count: true } }\n  features: { a: log8(ip.length), b: "n > 3 ? 200 : 0" }\n',
  );
  write(
    'net.json',
    JSON.stringify({
      format: 'intransit-model',
      version: 1,
      name: 'net',
      input: { element: 'uint8', zeroPoint: 0, scale: 1, shape: [2] },
      layers: [
        {
          kind: 'dense',
          weights: [
            [1, 0],
            [0, 1],
          ],
          weightScale: 1,
          output: { element: 'uint8', zeroPoint: 0, scale: 1 },
        },
      ],
    }),
  );
  return (spec, name = 'models.yaml') =>
    write(
      name,
      `apiVersion: intransit.dev/v1alpha1\nkind: FlowModels\nmetadata: { name: two }\nspec:\n${spec}`,
    );
}

/** Two models of two classes each, one of which is both's. */
export const TWO_MODELS = `  models:
    - { name: names, model: net.json, features: long.yaml, classes: [short, lasting], when: { ports: [53] } }
    - { name: rest, model: net.json, features: long.yaml, classes: [brief, lasting] }
`;
