import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { fromJSON } from '@grpc/proto-loader';
import type { Descriptor, ServiceDescriptor } from './descriptor.ts';
import { planMessages } from './field-plan.ts';
import { descriptor } from './generated/descriptor.ts';
import { type Codec, edgeCodec, messagePlan, messageTypes, typesOf } from './registry.ts';

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

/**
 * The service as proto-loader defines it, but for its serialisers: they take numbers that are too wide, and turn each message
 * into one of their own before they write it.
 *
 * @param codec both directions of a message by the name that the service uses
 */
function load(
  json: Descriptor,
  packageName: string,
  serviceName: string,
  codec: (name: string) => Codec<object, object>,
): ServiceDefinition {
  const { methods } = serviceIn(json, packageName, serviceName);
  const loaded = fromJSON(json as Parameters<typeof fromJSON>[0])[`${packageName}.${serviceName}`];
  const definition: Record<string, MethodDefinition<object, object>> = {};
  for (const [name, method] of Object.entries(loaded as ServiceDefinition)) {
    const { requestType, responseType } = methods[name]!;
    const [request, response] = [codec(requestType), codec(responseType)];
    definition[name] = {
      ...method,
      originalName: name,
      requestSerialize: (message) => request.encode(message) as Buffer,
      requestDeserialize: (bytes) => request.decode(bytes),
      responseSerialize: (message) => response.encode(message) as Buffer,
      responseDeserialize: (bytes) => response.decode(bytes),
    };
  }
  return definition;
}

let p4runtime: ServiceDefinition | undefined;

/** `p4.v1.P4Runtime`, loaded when it is first needed: that takes some 50 ms. */
export function p4runtimeService(): ServiceDefinition {
  p4runtime ??= load(descriptor, 'p4.v1', 'P4Runtime', (name) =>
    edgeCodec(messagePlan(`p4.v1.${name}`), messageTypes),
  );
  return p4runtime;
}

/**
 * A service of another package, with its messages in the form of this one: 64-bit numbers are bigints.
 * @param json what protobufjs makes of a `.proto` file (`root.toJSON()`), types named in full
 */
export function defineService(json: Descriptor, packageName: string, serviceName: string): ServiceDefinition {
  const plans = planMessages(json);
  const types = typesOf(json);
  return load(json, packageName, serviceName, (name) => {
    const plan = plans.get(`${packageName}.${name}`);
    if (plan === undefined) throw new Error(`${packageName} has no message ${name}`);
    return edgeCodec(plan, types);
  });
}
