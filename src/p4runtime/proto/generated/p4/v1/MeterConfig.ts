// Original file: src/p4runtime/proto/p4/v1/p4runtime.proto

import type { Long } from '@grpc/proto-loader';

/**
 * Rates in units (bytes or packets) a second, bursts in units.
 */
export interface MeterConfig {
  'cir'?: (number | string | Long);
  'cburst'?: (number | string | Long);
  'pir'?: (number | string | Long);
  'pburst'?: (number | string | Long);
  'eburst'?: (number | string | Long);
}

/**
 * Rates in units (bytes or packets) a second, bursts in units.
 */
export interface MeterConfig__Output {
  'cir': (Long);
  'cburst': (Long);
  'pir': (Long);
  'pburst': (Long);
  'eburst': (Long);
}
