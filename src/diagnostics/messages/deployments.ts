import { entry } from './entry.ts';

/** Deployments over devices. */
export const deploymentsMessages = {
  'state-damaged': entry(
    'error',
    () => 'is not as it was written',
    () => 'remove it: what devices hold is read from them, only --rollback forgets what was before',
  ),
  'deploy-locked': entry<{ pid: string }>(
    'error',
    (a) => `process ${a.pid} is at work on this deployment`,
    () => 'wait until it has ended',
  ),
  'device-unreachable': entry<{ device: string; address: string; reason: string }>(
    'error',
    (a) => `device ${a.device} does not answer at ${a.address}: ${a.reason}`,
    () => 'check the address, and that the switch or the agent runs and listens there',
  ),
  'device-tls': entry<{ device: string; address: string; reason: string }>(
    'error',
    (a) => `device ${a.device} at ${a.address} refuses the encrypted connection: ${a.reason}`,
    () => 'check ca, cert, key and serverName of the device, and whether it speaks TLS at all',
  ),
  'device-id': entry<{ device: string; address: string; id: number; reason: string }>(
    'error',
    (a) => `there is no device ${a.id} at ${a.address}, where ${a.device} should be: ${a.reason}`,
    () => 'set deviceId to the id that the device was started with',
  ),
  'device-not-primary': entry<{ device: string; own: string; reason: string }>(
    'error',
    (a) => `another controller has device ${a.device}; the election id here is ${a.own}: ${a.reason}`,
    () => 'end the other controller, or take over with a higher --election-id',
  ),
  'device-failed': entry<{ device: string; step: string; reason: string; remedy: string }>(
    'error',
    (a) => `device ${a.device} failed at "${a.step}": ${a.reason}`,
    (a) => a.remedy,
  ),
  'device-kept-other': entry<{ device: string; step: string; what: string }>(
    'error',
    (a) => `device ${a.device} confirmed "${a.step}" and holds something else: ${a.what}`,
    () => 'see whether another controller writes to it; then deploy again',
  ),
  'device-program': entry<{ device: string; cookie: string }>(
    'error',
    (a) => `device ${a.device} runs another program (cookie ${a.cookie}) than this deployment's`,
    () => 'deploy with --replace-program to push it; until that is done the device drops packets',
  ),
  'version-misfit': entry<{ device: string; version: number; what: string }>(
    'error',
    (a) => `version ${a.version} does not fit the program that device ${a.device} runs: ${a.what}`,
    () => 'deploy with --replace-program to push one that does; until that is done the device drops packets',
  ),
  'version-taken': entry<{ device: string; version: number }>(
    'error',
    (a) => `device ${a.device} holds version ${a.version} with other weights`,
    () => 'give these weights a version of their own: packets tell weights apart by it',
  ),
  'no-such-model': entry<{ model: string; known: string }>(
    'error',
    (a) => `there is no model ${a.model} in the deployment`,
    (a) => `name one of ${a.known}`,
  ),
  'shapes-apart': entry<{ target: string; shapes: number }>(
    'error',
    (a) => `the models are of ${a.shapes} shapes, and a device of target ${a.target} computes one`,
    () => 'put models of other shapes on devices of their own',
  ),
  'device-full': entry<{ device: string; modelId: number; version: number; slots: number }>(
    'error',
    (a) =>
      `device ${a.device} has no slot for version ${a.version} of model ${a.modelId}: each of the ${a.slots} that its program has for this shape holds a current version`,
    () => 'take a model of that shape off the device (deploy --remove), or put this one on another device',
  ),
  'slot-taken': entry<{
    device: string;
    modelId: number;
    version: number;
    slot: number;
    what: string;
    remedy: string;
  }>(
    'error',
    (a) =>
      `slot ${a.slot} of device ${a.device} is not to be had for version ${a.version} of model ${a.modelId}: ${a.what}`,
    (a) => a.remedy,
  ),
  'no-budget': entry<{ device: string; modelId: number }>(
    'error',
    (a) => `device ${a.device} cannot limit model ${a.modelId}: its program has no meter \`budgets\``,
    () => 'leave out the budget of the model, or compute it on another device',
  ),
  job: entry<{ job: string; reason: string; remedy: string }>(
    'error',
    (a) => `Job/${a.job} cannot be handed over: ${a.reason}`,
    (a) => a.remedy,
  ),
  registration: entry<{ node: string; reason: string; remedy: string }>(
    'error',
    (a) => `${a.node} cannot be registered: ${a.reason}`,
    (a) => a.remedy,
  ),
  'worker-unreachable': entry<{ worker: string; address: string; reason: string }>(
    'error',
    (a) => `worker ${a.worker} does not answer at ${a.address}: ${a.reason}`,
    () => 'check the address, and that the worker runs with --control there',
  ),
  'worker-failed': entry<{ worker: string; address: string; reason: string }>(
    'error',
    (a) => `worker ${a.worker} at ${a.address} refuses: ${a.reason}`,
    () =>
      'see what the worker says; its control door may want another certificate, or it is of another release',
  ),
  'no-previous': entry<{ reason: string }>(
    'error',
    (a) => `there is no version to go back to: ${a.reason}`,
    () => 'deploy the version that you want, with its model file',
  ),
  'layers-left': entry<{ layers: string }>(
    'warning',
    (a) => `no device computes ${a.layers}: they are left to a worker`,
  ),
  'layers-unreached': entry<{ device: string; from: number }>(
    'warning',
    (a) => `device ${a.device} begins at layer ${a.from}, to which no other device of this file computes`,
    () => 'it computes only what somebody else brought to that layer',
  ),
};
