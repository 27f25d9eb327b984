/** A Linux host as a device of P4Runtime; see docs/agent.md. */
export { type Agent, type AgentOptions, defaultStateFolder, removeAgent, startAgent } from './agent.ts';
export type { PortInterface, PortState } from './interfaces.ts';
export { XdpP4Device, type XdpP4DeviceOptions } from './xdp-p4-device.ts';
