import type { MethodDefinition, ServiceDefinition } from '@grpc/grpc-js';
import { decodeMessage, encodeMessage } from './codec.ts';
import type { MessageFields, Methods } from './dsl.ts';
import { type MessagePlan, planMessages } from './field-plan.ts';

const STREAM = 'stream ';
const bare = (type: string): string => type.replace(STREAM, '');

/** What grpc-js needs of a service; `plan` gives the compiled form of a message by the name that `methods` uses. */
export function serviceOf(
  serviceName: string,
  methods: Methods,
  plan: (name: string) => MessagePlan,
): ServiceDefinition {
  const definition: Record<string, MethodDefinition<object, object>> = {};
  for (const [name, [request, response]] of Object.entries(methods)) {
    const requestPlan = plan(bare(request));
    const responsePlan = plan(bare(response));
    definition[name] = {
      path: `/${serviceName}/${name}`,
      originalName: name,
      requestStream: request.startsWith(STREAM),
      responseStream: response.startsWith(STREAM),
      requestSerialize: (message) => encodeMessage(requestPlan, message),
      requestDeserialize: (bytes) => decodeMessage(requestPlan, bytes),
      responseSerialize: (message) => encodeMessage(responsePlan, message),
      responseDeserialize: (bytes) => decodeMessage(responsePlan, bytes),
    };
  }
  return definition;
}

/** A service of another package, with its messages in the form of this schema. */
export function defineService(
  packageName: string,
  messages: { readonly [name: string]: MessageFields },
  serviceName: string,
  methods: Methods,
): ServiceDefinition {
  const plans = planMessages({ [packageName]: messages }, {});
  return serviceOf(`${packageName}.${serviceName}`, methods, (name) => {
    const plan = plans.get(`${packageName}.${name}`);
    if (plan === undefined) throw new Error(`${packageName} has no message ${name}`);
    return plan;
  });
}
