import { html, objectLink, table } from './elements.js';
import { conditionsOf, healthOf, keyOf, layersByNode, loadOf } from './objects.js';

const ofKind = (objects, ...kinds) => objects.filter((o) => kinds.includes(o.kind));
/** Classes of a policy that are named in its row. */
const MOST_CLASSES = 4;

const shown = (value, unit = '') => (value === undefined || value === null ? '-' : `${value}${unit}`);

function healthCell(object) {
  const { name, sign, words } = healthOf(object);
  return html('span', { class: name }, `${sign} ${words}`);
}

export function services(objects) {
  return table(
    'Services',
    ['Name', 'Model', 'Version', 'Objective', 'Measured', 'Answers a second', 'State'],
    ofKind(objects, 'Service'),
    (o) => {
      const { objective } = o.spec;
      const p99 = o.status?.latency?.p99Us;
      const isMissed = objective !== undefined && p99 !== undefined && p99 > objective.latencyUs;
      return [
        objectLink(keyOf(o), o.metadata.name),
        shown(o.status?.model ?? o.spec.model ?? o.spec.models?.join(', ')),
        shown(o.status?.version ?? o.spec.version),
        objective === undefined ? 'none' : `${objective.latencyUs} µs at ${objective.percentile} %`,
        html(
          'span',
          isMissed ? { class: 'bad' } : {},
          p99 === undefined ? '-' : `${p99} µs by ${o.status.latency.by}s${isMissed ? ', missed' : ''}`,
        ),
        shown(o.status?.rates?.answeredPerSecond || o.status?.rates?.networkPerSecond),
        healthCell(o),
      ];
    },
  );
}

/** Packets of the classes that there were any of, the most first. */
const classesOf = ({ status }) =>
  (status?.classes ?? [])
    .filter((c) => c.packets > 0)
    .sort((a, b) => b.packets - a.packets)
    .slice(0, MOST_CLASSES)
    .map((c) => `${c.name ?? `class ${c.class}`} ${c.packets}`)
    .join(', ');

export function flowPolicies(objects) {
  return table(
    'Flow policies',
    ['Name', 'Model', 'Version', 'Features', 'Devices that classify', 'Packets by class', 'State'],
    ofKind(objects, 'FlowPolicy'),
    (o) => {
      const devices = o.status?.devices ?? [];
      return [
        objectLink(keyOf(o), o.metadata.name),
        o.spec.model,
        shown(o.status?.version ?? o.spec.version),
        o.spec.features,
        `${devices.filter((d) => d.ready).length} of ${devices.length}`,
        classesOf(o) || '-',
        healthCell(o),
      ];
    },
  );
}

export function rollouts(objects) {
  return table(
    'Rollouts',
    ['Name', 'Service', 'To version', 'Phase', 'Share', 'State'],
    ofKind(objects, 'Rollout'),
    (o) => [
      objectLink(keyOf(o), o.metadata.name),
      o.spec.service,
      shown(o.spec.version),
      shown(o.status?.phase),
      shown(o.status?.percent, ' %'),
      healthCell(o),
    ],
  );
}

const TROUBLES = new Set(['Ready', 'ObjectiveMet', 'Replicated', 'Balanced']);

export function trouble(objects) {
  const unmet = objects.flatMap((o) =>
    conditionsOf(o)
      .filter((c) => c.status !== 'True' && TROUBLES.has(c.type))
      .map((c) => [o, c]),
  );
  return table(
    'Conditions that are not met',
    ['Object', 'Condition', 'Reason', 'Message', 'Since'],
    unmet,
    ([o, c]) => [
      objectLink(keyOf(o)),
      html('span', { class: c.status === 'False' ? 'bad' : 'unknown' }, `${c.type} is ${c.status}`),
      c.reason,
      c.message,
      c.lastTransitionTime,
    ],
  );
}

/** What becomes of packets; of what there is none of, nothing is said. */
function ratesOf({ status }) {
  const load = status?.load ?? {};
  const words = ['computed', 'passed', 'shed', 'refused'].flatMap((outcome) => {
    const rate = load[`${outcome}PerSecond`] ?? 0;
    return rate > 0 ? [`${rate} ${outcome}`] : [];
  });
  if (load.isOverloaded) words.push('! overloaded');
  return words.join(', ') || '-';
}

export function nodes(objects, filter) {
  const layers = layersByNode(objects);
  return table(
    'Devices and workers',
    ['Name', 'Kind', 'State', 'Load', 'A second', 'Models', 'Layers', 'Address'],
    ofKind(objects, 'Device', 'Worker').filter((o) => o.metadata.name.includes(filter)),
    (o) => [
      objectLink(keyOf(o), o.metadata.name),
      o.kind === 'Device' ? `device, ${o.spec.target}` : 'worker',
      healthCell(o),
      `${Math.round(loadOf(o) * 100)} %`,
      ratesOf(o),
      (o.status?.models ?? []).map((m) => `${m.modelId} version ${shown(m.current)}`).join(', ') || '-',
      layers.get(o.metadata.name)?.join(', ') ?? '-',
      o.spec.address ?? o.spec.control,
    ],
  );
}

export function log(events, caption = 'Log, the newest first') {
  return table(caption, ['Time', 'Object', 'What', 'By', 'Message'], events, (e) => [
    e.time,
    `${e.object.kind}/${e.object.name}`,
    html(
      'span',
      e.type === 'Warning' ? { class: 'bad' } : {},
      e.type === 'Warning' ? `! ${e.reason}` : e.reason,
    ),
    e.actor,
    e.message,
  ]);
}

export function details(object, events) {
  const { conditions = [], ...status } = object.status ?? {};
  const code = (title, value) => [
    html('h3', {}, title),
    html('pre', { tabindex: '0', role: 'region', 'aria-label': title }, JSON.stringify(value, null, 2)),
  ];
  return [
    html('h3', {}, 'Conditions'),
    table(
      `Conditions of ${object.metadata.name}`,
      ['Type', 'Status', 'Reason', 'Message', 'Since'],
      conditions,
      (c) => [c.type, c.status, c.reason, c.message, c.lastTransitionTime],
    ),
    ...code('Asked for', object.spec),
    ...code('Found', status),
    html('h3', {}, 'Log'),
    log(events, `Log of ${object.metadata.name}`),
  ];
}
