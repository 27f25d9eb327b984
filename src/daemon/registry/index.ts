/** Nodes that announce themselves. */
export { Registry, type RegistryOptions } from './registry.ts';
export { registryRoutes } from './routes.ts';
export {
  type Capability,
  type Registered,
  type RegistrationInput,
  registrationSchema,
} from './schema.ts';
