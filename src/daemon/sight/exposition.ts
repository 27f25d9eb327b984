import { latencyBoundsUs } from '../../doors/measures.ts';
import type { Measured } from './distribution.ts';

type Labels = Readonly<Record<string, string | number>>;

/** Metrics of one name, as Prometheus reads them. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly samples: readonly (Sample | Histogram)[];
}

interface Sample {
  readonly labels: Labels;
  readonly value: number;
}

interface Histogram {
  readonly labels: Labels;
  readonly measured: Measured;
}

/** Series of a family at most; what is beyond is counted. */
const MOST_SERIES = 5_000;

/** Every so many of our buckets make one of Prometheus': powers of two. */
const COARSE = 4;

/** Families in the text format of Prometheus. */
export function exposition(families: readonly Family[]): string {
  const left = families.reduce((sum, { samples }) => sum + Math.max(0, samples.length - MOST_SERIES), 0);
  const own: Family = {
    name: 'intransit_series_left_out',
    help: 'Series of traffic that are beyond what is told',
    type: 'gauge',
    samples: [{ labels: {}, value: left }],
  };
  return [...families, own].map(familyText).join('');
}

function familyText({ name, help, type, samples }: Family): string {
  const lines = samples
    .slice(0, MOST_SERIES)
    .flatMap((s) => ('measured' in s ? histogramLines(name, s) : [line(name, s.labels, s.value)]));
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines, ''].join('\n');
}

function histogramLines(name: string, { labels, measured }: Histogram): string[] {
  const lines: string[] = [];
  let sum = 0;
  for (const [i, bound] of latencyBoundsUs.entries()) {
    sum += measured.latency[i] ?? 0;
    if (i % COARSE === 0) lines.push(line(`${name}_bucket`, { ...labels, le: bound / 1e6 }, sum));
  }
  const all = measured.latency.reduce((a, b) => a + b, 0);
  return [
    ...lines,
    line(`${name}_bucket`, { ...labels, le: '+Inf' }, all),
    line(`${name}_sum`, labels, measured.latencyUs / 1e6),
    line(`${name}_count`, labels, all),
  ];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, of]) => `${label}="${escaped(`${of}`)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

const escaped = (text: string): string =>
  text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');
