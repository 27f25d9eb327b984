/**
 * The BPF runtime: loads, runs and attaches XDP programs over libbpf.so.1. It knows nothing of models and
 * imports nothing of the project.
 */
export {
  type ApartObject,
  type ApartOptions,
  type Loader,
  openObjectApart,
  openObjectsApart,
  startLoader,
} from './apart.ts';
export { interfaceDriver } from './driver.ts';
export {
  BpfError,
  type BpfErrorCode,
  type BpfErrorDetails,
  CompileError,
  KernelCallError,
  VerifierError,
} from './errors.ts';
export { FrameSender } from './frame-sender.ts';
export type { GlobalValue } from './globals.ts';
export { programsEnded, waitForPrograms } from './grace.ts';
export { BpfMap, type MapBytes, type MapElement, type MapInfo, openPinnedMap, PinnedMap } from './map.ts';
export type { MappedWords } from './mapped-words.ts';
export { withNetns } from './netns.ts';
export { BpfObject, type OpenOptions, openObject } from './object.ts';
export { checkObject, type MapPolicy, mapFault, type ObjectPolicy } from './object-policy.ts';
export { ensureBpffs, unpin } from './pin.ts';
export * from './probes.ts';
export {
  BpfProgram,
  openPinnedProgram,
  PinnedProgram,
  type ProgramInfo,
  type TestRunOptions,
  type TestRunResult,
  XdpAction,
} from './program.ts';
export { RingBuffer } from './ring-buffer.ts';
export { createTestRunner, LEAST_PACKET, type TestRunner } from './test-run.ts';
export {
  parseVerifierRefusal,
  parseVerifierStats,
  type VerifierRefusal,
  type VerifierStats,
} from './verifier-log.ts';
export {
  type AttachOptions,
  attachXdp,
  interfaceIndex,
  interfaceXdpMode,
  openPinnedLink,
  XdpLink,
  type XdpMode,
} from './xdp-link.ts';
