import type { Config, Message } from '../proto/messages.ts';
import { invalid, unsupported } from './fault.ts';

/** What the kind of meter demands of its rates (section "MeterEntry & DirectMeterEntry"). @throws Fault INVALID_ARGUMENT */
export function checkMeterConfig(
  spec: Config<'MeterSpec'> | undefined,
  config: Message<'MeterConfig'>,
): void {
  const { cir, cburst, pir, pburst, eburst } = config;
  if ([cir, cburst, pir, pburst, eburst].some((n) => n < 0n))
    throw invalid('rates and bursts are not negative');
  const type = spec?.type ?? 'TWO_RATE_THREE_COLOR';
  if (type !== 'SINGLE_RATE_THREE_COLOR' && eburst !== 0n)
    throw invalid('eburst is for single-rate, three-colour meters');
  if (type === 'TWO_RATE_THREE_COLOR') return;
  if (pir !== cir || pburst !== cburst)
    throw invalid('a single-rate meter has pir = cir and pburst = cburst');
}

/** Counts by colour may only be cleared. @throws Fault INVALID_ARGUMENT, or UNIMPLEMENTED where the device has none */
export function checkMeterCounts(counts: Message<'MeterCounterData'> | undefined, has: boolean): void {
  if (counts === undefined) return;
  const { green, yellow, red } = counts;
  if ([green, yellow, red].some((c) => c !== undefined && (c.byteCount !== 0n || c.packetCount !== 0n)))
    throw invalid('counts of a meter may only be cleared');
  if (!has) throw unsupported('counts of meters');
}
