import type { Config, Message } from '../proto/messages.ts';
import { invalid } from './fault.ts';

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
