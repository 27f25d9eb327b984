import type { Model } from '../model/model.ts';
import type { TensorType } from '../model/tensor.ts';

const byte: TensorType = { element: 'uint8', shape: [1], scale: 1, zeroPoint: 0 };

/**
 * What the program of a device that only forwards is made for: one byte, left where it is. The program has the tables of
 * any other but none of weights, and is the same whatever model the deployment is of.
 */
export const forwarder: Model = {
  name: 'forwarder',
  file: 'forwarding',
  input: byte,
  layers: [{ kind: 'transpose', name: 'nothing', inputs: [0], output: byte, from: [1], axes: [0] }],
};
