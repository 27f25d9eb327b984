/** A Linux host as a device of P4Runtime; see docs/agent.md. */
export {
  type Agent,
  type AgentOptions,
  defaultStateFolder,
  RESET_SIGNAL,
  removeAgent,
  resetElections,
  startAgent,
} from './agent.ts';
export type { PortInterface, PortState } from './interfaces.ts';
export { type AgentListen, defaultAddress, listenFault } from './listening.ts';
export { XdpP4Device, type XdpP4DeviceOptions } from './xdp-p4-device.ts';
