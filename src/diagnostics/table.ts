import { deploymentsMessages } from './messages/deployments.ts';
import { featuresMessages } from './messages/features.ts';
import { filesMessages } from './messages/files.ts';
import { machineMessages } from './messages/machine.ts';
import { manifestsMessages } from './messages/manifests.ts';
import { modelMessages } from './messages/model.ts';
import { onnxMessages } from './messages/onnx.ts';
import { packetsMessages } from './messages/packets.ts';
import { plansMessages } from './messages/plans.ts';
import { quantiseMessages } from './messages/quantise.ts';
import { tfliteMessages } from './messages/tflite.ts';

export type { Severity } from './messages/entry.ts';

/**
 * The one table of messages. A code names a fact about the user's input or machine; the message says what is
 * wrong with the numbers at hand, the remedy what would help. Codes are stable: scripts may match on them.
 */
export const diagnosticTable = {
  ...filesMessages,
  ...onnxMessages,
  ...quantiseMessages,
  ...tfliteMessages,
  ...featuresMessages,
  ...modelMessages,
  ...machineMessages,
  ...plansMessages,
  ...packetsMessages,
  ...deploymentsMessages,
  ...manifestsMessages,
} as const;

/** Kebab-case and stable: scripts may compare it, while messages change. */
export type DiagnosticCode = keyof typeof diagnosticTable;
/** What the message of a code is filled in with; its remedy takes the same. */
export type DiagnosticArgs<C extends DiagnosticCode> = Parameters<(typeof diagnosticTable)[C]['message']>[0];
