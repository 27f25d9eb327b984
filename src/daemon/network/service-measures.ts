import { type Measured, requestsOf, together } from '../sight/distribution.ts';
import type { Sight, Vantage } from '../sight/sight.ts';
import { type PlacementSpec, rangeOf } from './topology.ts';

/** What was measured of a model over the window, all its versions together. */
export interface ServiceMeasures {
  readonly by: Vantage;
  readonly measured: Measured;
  /** Answers that devices gave: what the last of the path computed, and was sure of. */
  readonly networkPerSecond: number;
}

/** What users see of a service, if an edge tells of it; else what its workers see. */
export function serviceMeasures(sight: Sight, modelId: number, placement: PlacementSpec): ServiceMeasures {
  const versions = sight.versions(modelId);
  const at = (by: Vantage) => together(versions.map((v) => sight.measuredAt(by, modelId, v, 'window')));
  const edge = at('edge');
  const isHeardOf = requestsOf(edge) > 0;
  const to = Math.max(0, ...placement.segments.map((s) => rangeOf(s.layers).to));
  const last = placement.segments.filter((s) => s.kind === 'Device' && rangeOf(s.layers).to === to);
  const networkPerSecond = last
    .flatMap((s) => sight.deviceVersions(s.node))
    .filter((v) => v.modelId === modelId)
    .reduce((sum, v) => sum + (v.rates.get('computed') ?? 0), 0);
  return { by: isHeardOf ? 'edge' : 'worker', measured: isHeardOf ? edge : at('worker'), networkPerSecond };
}
