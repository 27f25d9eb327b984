import { type FeatureDefinition, parseFeatures } from '../../src/features/index.ts';

/** Of a document's `spec`. */
export const define = (spec: string): FeatureDefinition =>
  parseFeatures(
    `apiVersion: intransit.dev/v1alpha1\nkind: Features\nmetadata: { name: test }\nspec:\n${spec}`,
    'test.yaml',
  );

/** Flows that are classified at their ends. */
export function endDefinition(timeouts: string, table = '{}'): FeatureDefinition {
  return define(`
  accept: { ip: [4, 6], protocols: [tcp, udp] }
  timeouts: ${timeouts}
  table: ${table}
  bins: { octave: [3, 9, 100, 1000, 40000] }
  state:
    n: { count: true }
    replies: { count: direction }
    bytes: { sum: ip.length }
    most: { max: ip.length }
    flags: { or: tcp.flags }
    begun: { first: time }
    seen: { last: time }
  features:
    n: log8(n)
    replies: log8(replies)
    bytes: log8(bytes)
    most: octave(most)
    flags: flags
    age: log8(us(seen - begun))
  classify: end`);
}

/** Definitions that between them use every key, state, function and occasion that a device runs. */
export const deviceDefinitions: Readonly<Record<string, FeatureDefinition>> = {
  everything: define(`
  accept: { ip: [4, 6], protocols: [tcp, udp, icmp] }
  timeouts: { idle: 3ms, active: 40ms }
  tables: { square: [0, 1, 4, 9, 16, 25] }
  bins: { octave: [3, 9, 100, 1000, 40000] }
  state:
    n: { count: true }
    replies: { count: direction, bits: 3 }
    bytes: { sum: ip.length, when: "ip.length > 60" }
    least: { min: payload.length }
    most: { max: "payload.length * 3 + tcp.window" }
    flags: { or: tcp.flags }
    mean: { ewma: ip.length << 2, shift: 3 }
    begun: { first: time }
    seen: { last: time, when: is.tcp }
  features:
    n: log8(n)
    replies: replies
    bytes: log8(bytes)
    least: log8(least)
    most: log2(most)
    flags: flags
    mean: log8(mean)
    gap: log8(us(time - old.seen))
    age: log8(us(time - begun))
    port: min(port.client, port.server) >> 8
    server: octave(port.server) + octave(ip.ttl)
    square: square(clamp(ip.dscp, 1, 5))
    mixed: "(ip.ttl ^ tcp.flags) & 255 | icmp.type & 15"
    rest: "ip.length - 40 > 30 && !is.tcp || vlan.id == 7 ? ip.ecn + icmp.code & 63 : max(frame.length >> 9, 3)"
    ipv6: "ip.version == 6 ? ip.header >> 3 & 255 : 0"
    old: old.n & 255 <= 7
  classify: every-packet`),
  long: define(`
  clock: ns
  accept: { ip: [4, 6], protocols: [tcp, udp] }
  key: host-pair
  state:
    seen: { last: time }
    lengths: { sequence: ip.length, length: 6 }
    gaps: { sequence: us(time - seen), length: 5 }
    sizes: { histogram: payload.length, thresholds: [1, 10, 40, 100] }
    first: { payload: 8 }
    ways: { sequence: direction, length: 8, when: is.tcp }
  features:
    a: log8(lengths[0])
    b: log8(lengths[5])
    c: log8(gaps[1])
    d: log8(gaps[4])
    e: log8(sizes[0])
    f: log8(sizes[2])
    g: log8(sizes[4])
    h: first[0]
    i: first[7]
    j: "ways[0] + ways[3] * 2 + ways[7] * 4"
    k: payload[31]
    l: log8(ms(time - old.seen))
  classify: powers-of-two`),
  narrow: define(`
  accept: { ip: [4], protocols: [udp] }
  key: { fields: [ip.protocol, port.source, port.destination], bothWays: true }
  state: { n: { count: true, bits: 4 } }
  features: { n: n, direction: direction, ttl: ip.ttl }
  classify: { packets: [2, 3, 50] }`),
  oneWay: define(`
  accept: { ip: [6], protocols: [tcp, udp, icmp] }
  key: five-tuple-one-way
  state: { n: { count: is.udp } }
  features: { n: log8(n), two: "2" }`),
  end: endDefinition('{ idle: 20ms, active: 90ms }'),
};

/** Keys of whole words, whose bits are all a sender's to choose. */
export const chosenDefinition = define(`
  accept: { ip: [6] }
  key: { fields: [ip.source, ip.destination], bothWays: false }
  table: { flows: 65536 }
  state: { n: { count: true } }
  features: { n: log8(n), two: "2" }`);

/** The same of a switch, where it is the addresses of IPv4. */
export const chosenOnSwitch = define(`
  accept: { ip: [4] }
  key: five-tuple-one-way
  state: { n: { count: true } }
  features: { n: log8(n), two: "2" }`);

/** Room for few. */
export const smallDefinition = define(`
  accept: { ip: [6] }
  table: { flows: 64, keep: 1s }
  state: { n: { count: true } }
  features: { n: log8(n), two: "2" }`);
