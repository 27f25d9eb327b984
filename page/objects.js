/** What is read out of objects; the daemon may be of another release, so nothing is taken for granted. */

export const keyOf = ({ kind, metadata }) => `${kind}/${metadata.name}`;

export const conditionsOf = ({ status }) => status?.conditions ?? [];

export const readyOf = (object) => conditionsOf(object).find((c) => c.type === 'Ready');

/** Class of colour, sign and words: none of them says it alone. */
export function healthOf(object) {
  const ready = readyOf(object);
  const state = object.status?.state;
  const words = [state, ready && `${ready.reason}: ${ready.message}`].filter(Boolean).join(', ');
  if (ready?.status === 'True' || (ready === undefined && state === 'in sync'))
    return { name: 'good', sign: '✓', words: words || 'ready' };
  if (ready?.status === 'False' || state === 'unreachable')
    return { name: 'bad', sign: '!', words: words || 'not ready' };
  return { name: 'unknown', sign: '?', words: words || 'nothing is known yet' };
}

/** Share of a node that is taken, 0..1. */
export const loadOf = ({ status, spec }) => status?.load?.utilisation ?? spec?.capacity?.load ?? 0;

/** What is computed where: by node, `PLACEMENT LAYERS` each. */
export function layersByNode(objects) {
  const layers = new Map();
  for (const { kind, metadata, spec } of objects)
    if (kind === 'Placement')
      for (const { node, layers: own } of spec.segments ?? [])
        layers.set(node, [...(layers.get(node) ?? []), `${metadata.name} ${own}`]);
  return layers;
}
