import {
  type DeviceConfig,
  decodeDeviceConfig,
  type FlowConfig,
  mostFeaturesOf,
} from '../backends/xdp/device-config.ts';
import { xdpFlowP4InfoOf, xdpFlowSetP4InfoOf } from '../backends/xdp/flow/artifact.ts';
import { xdpP4InfoOf } from '../backends/xdp/p4info.ts';
import { messageOf } from '../durable/index.ts';
import { type DevicePipeline, P4InfoIndex } from '../p4runtime/index.ts';
import { invalid } from '../p4runtime/server/fault.ts';
import { isSameProgram } from './data-plane.ts';
import { p4infoDifference } from './p4info-difference.ts';

/** Whether some program of requests is in both. */
export const sharesPrograms = (old: DeviceConfig, own: DeviceConfig): boolean =>
  old.kind === 'requests' &&
  own.kind === 'requests' &&
  own.programs.some((p) => old.programs.some((o) => isSameProgram(o, p)));

const weightsText = ({ models }: FlowConfig): string => JSON.stringify(models.map((m) => m.weights));

/** @throws Fault INVALID_ARGUMENT where a program of flows would find its weights laid out otherwise, or takes the place of another kind */
export function checkKept(old: DeviceConfig, own: DeviceConfig): void {
  const isSame =
    own.kind === 'requests'
      ? old.kind === 'requests'
      : old.kind === 'flows' && weightsText(old) === weightsText(own);
  if (!isSame)
    throw invalid('the weights of the new program are laid out otherwise: push it with VERIFY_AND_COMMIT');
}

/** @throws Fault INVALID_ARGUMENT where the config is none, or the P4Info is another's */
export function configOf({ config, index }: DevicePipeline): DeviceConfig {
  let decoded: DeviceConfig;
  try {
    decoded = decodeDeviceConfig(config.p4DeviceConfig);
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const own = new P4InfoIndex(p4infoOfConfig(decoded)).p4info;
  const difference = p4infoDifference(own, index.p4info);
  if (difference !== undefined) throw invalid(`the P4Info is not that of the program: ${difference}`);
  return decoded;
}

function p4infoOfConfig(config: DeviceConfig) {
  if (config.kind === 'requests') return xdpP4InfoOf(config.programs);
  const { models, isSet, packets } = config;
  const features = mostFeaturesOf(config);
  return isSet
    ? xdpFlowSetP4InfoOf(
        models.map((m) => m.weights),
        features,
        packets,
      )
    : xdpFlowP4InfoOf(models[0].weights, features);
}
