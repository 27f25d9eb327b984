/** Names of services, jobs, workflows, agents and nodes, and what they stand for. */
export { type Resolution, resolveAll } from './resolve.ts';
export { nameRoutes } from './routes.ts';
