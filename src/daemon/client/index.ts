/** A controller from outside: its API, the files that it is told, and how its objects are shown. */
export { Announcer, type Measures } from './announcer.ts';
export {
  type ControllerAddress,
  ControllerClient,
  ControllerRefused,
  defaultController,
  type StreamEvent,
} from './client.ts';
export { conditionsOf, duration, rowsOf, type ShownObject } from './columns.ts';
export { lineDifference } from './difference.ts';
export { faultDiagnostics, readDocuments, type SourceDocument, withFiles } from './documents.ts';
