import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';
import type { Descriptor, ServiceDescriptor } from './descriptor.ts';
import { planMessages } from './field-plan.ts';
import { descriptor } from './generated/descriptor.ts';
import { type Codec, edgeCodec, loadDescriptor, messageCodec } from './registry.ts';

/** The service of that name in a package such as `p4.v1`. @throws Error where there is none */
function serviceIn(json: Descriptor, packageName: string, name: string): ServiceDescriptor {
  const space = packageName
    .split('.')
    .reduce<Descriptor | undefined>((o, part) => o?.nested?.[part] as Descriptor | undefined, json);
  const service = space?.nested?.[name];
  if (service === undefined || !('methods' in service))
    throw new Error(`${packageName} has no service ${name}`);
  return service;
}

/** What grpc-js needs of a service; `codec` gives both directions of a message by the name that the service uses. */
function serviceOf(
  { methods }: ServiceDescriptor,
  path: string,
  codec: (name: string) => Codec<object, object>,
): ServiceDefinition {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  for (const [name, method] of Object.entries(methods)) {
    const [request, response] = [codec(method.requestType), codec(method.responseType)];
    definition[name] = {
      path: `/${path}/${name}`,
      originalName: name,
      requestStream: method.requestStream === true,
      responseStream: method.responseStream === true,
      requestSerialize: (message) => request.encode(message) as Buffer,
      requestDeserialize: (bytes) => request.decode(bytes),
      responseSerialize: (message) => response.encode(message) as Buffer,
      responseDeserialize: (bytes) => response.decode(bytes),
    };
  }
  return definition;
}

export const p4runtimeService = serviceOf(
  serviceIn(descriptor, 'p4.v1', 'P4Runtime'),
  'p4.v1.P4Runtime',
  // The names are the service's own, so they are messages of its package.
  (name) => messageCodec(`p4.v1.${name}` as 'p4.v1.WriteRequest') as Codec<object, object>,
);

/**
 * A service of another package, with its messages in the form of this one: 64-bit numbers are bigints.
 * @param json what protobufjs makes of a `.proto` file (`root.toJSON()`), types named in full
 */
export function defineService(json: Descriptor, packageName: string, serviceName: string): ServiceDefinition {
  const plans = planMessages(json);
  const loaded = loadDescriptor(json);
  return serviceOf(serviceIn(json, packageName, serviceName), `${packageName}.${serviceName}`, (name) => {
    const plan = plans.get(`${packageName}.${name}`);
    if (plan === undefined) throw new Error(`${packageName} has no message ${name}`);
    return edgeCodec(plan, () => loaded[plan.fullName] as MessageTypeDefinition<object, object>);
  });
}
