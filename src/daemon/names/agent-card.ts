import type { Resolution } from './resolve.ts';

/** How an interface of an A2A card says that it is none of A2A's own bindings. */
const bindings = {
  api: 'urn:intransit:api:v1alpha1',
  udp: 'urn:intransit:udp:1',
} as const;

/** What an agent card says of the controller itself. */
export interface CardOptions {
  /** By which the client reached the controller: `http://host:port`. */
  readonly url: string;
  readonly version: string;
}

/**
 * An A2A agent card: the network as one agent whose skills are its services, or one name with what it can be asked. No A2A endpoint is
 * served here, so the interfaces name their own bindings: the controller's API, which resolves names, and packets over UDP.
 */
export function agentCard(
  names: readonly Resolution[],
  { url, version }: CardOptions,
  one?: Resolution,
): object {
  const skills = one === undefined ? names.filter((n) => n.type === 'service') : skillsOf(one, names);
  const packets = (one?.addresses ?? []).map(({ address, protocol }) =>
    protocol === 'intransit+udp'
      ? { url: `udp://${address}`, protocolBinding: bindings.udp, protocolVersion: '1' }
      : address.includes('://') && protocol !== 'unix'
        ? {
            url: address,
            protocolBinding: protocol === 'https' || protocol === 'http' ? 'JSONRPC' : protocol,
            protocolVersion: '1.0',
          }
        : undefined,
  );
  return {
    name: one?.name ?? 'intransit',
    description:
      one?.description ??
      'A network that computes the layers of quantised neural networks on the way of packets',
    version,
    supportedInterfaces: [
      ...packets.flatMap((p) => p ?? []),
      { url: `${url}/api/v1alpha1`, protocolBinding: bindings.api, protocolVersion: 'v1alpha1' },
    ],
    capabilities: { streaming: false, pushNotifications: false },
    defaultInputModes: ['application/octet-stream'],
    defaultOutputModes: ['application/octet-stream'],
    skills: skills.map(({ name, models, labels, description }) => ({
      id: name,
      name,
      description:
        description ??
        `Inference by ${models.map((m) => `model ${m.model} (id ${m.modelId}${m.version === undefined ? '' : `, version ${m.version}`})`).join(' or ')}`,
      tags: [
        'inference',
        ...models.map((m) => `model:${m.model}`),
        ...Object.entries(labels).map(([k, v]) => `${k}=${v}`),
      ],
    })),
  };
}

function skillsOf(one: Resolution, names: readonly Resolution[]): readonly Resolution[] {
  if (one.type === 'service') return [one];
  return names.filter((n) => n.type === 'service' && one.services.includes(n.name));
}
