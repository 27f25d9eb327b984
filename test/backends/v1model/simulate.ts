import { evaluate } from '../../../src/backends/common/expression.ts';
import { INPUT } from '../../../src/backends/v1model/code.ts';
import type { Lowered } from '../../../src/backends/v1model/lower.ts';

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);

/** What the switch would answer, by the definition of the expressions: a test of the lowering without any tool. */
export function simulate(lowered: Lowered, row: Uint8Array): Uint8Array {
  const values = new Map<string, bigint>();
  let at = 0;
  for (const { name, width } of lowered.input) {
    values.set(`${INPUT}.${name}`, toNumber(row.subarray(at, at + width / 8)));
    at += width / 8;
  }
  for (const stage of lowered.code.stages) {
    for (const { key, keys, targets, values: rows } of stage.lookups) {
      const row = rows[keys.findIndex((k) => BigInt(k) === evaluate(key, values))];
      for (const [w, target] of targets.entries())
        if (row !== undefined && target.kind === 'reference')
          values.set(target.name, BigInt.asUintN(target.width, values.get(target.name)! + row[w]!));
    }
    for (const p of stage.parameters) values.set(p.name, p.value);
    for (const { target, value } of stage.body) {
      if (value.width !== target.width)
        throw new Error(`${target.name}: ${value.width} into ${target.width} bits`);
      values.set(target.name, evaluate(value, values));
    }
  }
  const bytes = lowered.output.flatMap(({ width, value }) => [
    ...Buffer.from(
      evaluate(value, values)
        .toString(16)
        .padStart(width / 4, '0'),
      'hex',
    ),
  ]);
  return Uint8Array.from(bytes);
}
