import { randomBytes } from 'node:crypto';
import { firstSlotOf } from '../../../dataplane/abi.ts';
import type { P4Info } from '../../../p4runtime/types.ts';
import type { Entry } from '../../common/entries.ts';
import { flowSecret, flowSetTables, flowTables } from '../../common/flow/tables.ts';
import { p4infoOf } from '../../common/p4info.ts';
import { drop } from '../../common/table-model.ts';
import { layerTables, weightEntries } from '../tables.ts';
import type { V1modelFlowPlan } from './plan.ts';
import { modelsOf, mostFeatures, type V1modelSetPlan } from './set-plan.ts';

/** All that a controller sees of the switch, with the weights of every slot. */
export const flowP4Info = ({ compute, definition, buckets, keyBits, asks }: V1modelFlowPlan): P4Info =>
  p4infoOf(
    flowTables({
      portDefault: drop,
      layers: layerTables(compute.lowered, compute.options.slots),
      features: definition.features.length,
      secretBits: secretBits({ buckets, keyBits }),
      asks: asks ? 'clone' : undefined,
    }),
  );

/** The weights, in the slot that a fresh switch classifies by. */
export const flowEntries = ({ compute }: V1modelFlowPlan): Entry[] => weightEntries(compute.lowered, 0);

/**
 * Bits of the factor and the start that a key is hashed with: those of the key and of the bucket's number. The top of
 * `factor * key + start` is then the same for two keys by no more than chance, whoever has chosen them (Dietzfelbinger 1996).
 */
export const secretBits = ({ buckets, keyBits }: Pick<V1modelFlowPlan, 'buckets' | 'keyBits'>): number =>
  keyBits + Math.log2(buckets);

/** Of several models. */
export const flowSetP4Info = (set: V1modelSetPlan): P4Info =>
  p4infoOf(
    flowSetTables({
      portDefault: drop,
      models: modelsOf(set).map(({ plan }, m) => ({
        layers: layerTables(plan.compute.lowered, plan.compute.options.slots, firstSlotOf(m)),
        ...(m < set.members.length ? { hasFlows: true, secretBits: secretBits(plan) } : { hasFlows: false }),
      })),
      features: mostFeatures(set),
    }),
  );

/** The weights of all models, each in the slot that a fresh switch classifies by; and secrets, as `secretEntry`. */
export const flowSetEntries = (set: V1modelSetPlan): Entry[] => [
  ...modelsOf(set).flatMap(({ plan }, m) => weightEntries(plan.compute.lowered, firstSlotOf(m))),
  ...set.members.map(({ plan }, m) => secretEntry(plan, m)),
];

/** Drawn for each push, so that whoever chooses addresses cannot make flows collide. @param model which of several */
export function secretEntry(plan: V1modelFlowPlan, model = 0): Entry {
  const bits = secretBits(plan);
  const table = flowSecret(bits, model);
  const drawn = () => BigInt.asUintN(bits, BigInt(`0x${randomBytes(Math.ceil(bits / 8)).toString('hex')}`));
  return { table, keys: [], action: table.defaultAction, parameters: [drawn(), drawn()] };
}

/** Of a switch that nobody gave a secret: digits of pi. */
export const usualSecret = (plan: V1modelFlowPlan): readonly [bigint, bigint] => {
  const bits = secretBits(plan);
  return [BigInt.asUintN(bits, PI | 1n), BigInt.asUintN(bits, PI >> BigInt(bits))];
};

const PI = BigInt(
  '0x243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c89452821e638d01377be5466cf34e90c6c' +
    'c0ac29b7c97c50dd3f84d5b5b54709179216d5d98979fb1bd1310ba698dfb5ac2ffd72dbd01adfb7b8e1afed6a267e96',
);
