import { keyOf } from './objects.js';
import { ask, follow, keepToken, tokenOfAddress } from './stream.js';
import { drawTopology } from './topology.js';
import * as views from './views.js';

/** Events of the log that the page keeps. */
const MOST_EVENTS = 500;
/** ms for which changes are gathered. */
const GATHERED_MS = 100;
/** Share of the time that drawing may take where changes come all the time: a page of many nodes has to stay usable. */
const DRAWING_SHARE = 0.25;
/** ms between two drawings at most, however long one takes. */
const MOST_BETWEEN_MS = 600;

const objects = new Map();
let events = [];
let isWaiting = false;
/** Before that nothing is drawn. */
let restUntil = 0;
/** By box, what stands in it. */
const drawn = new Map();
const at = (id) => document.getElementById(id);

/** Where the link leads that has the focus, if it is in a box. */
const focusedIn = (id) =>
  at(id).contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;

/** The focus stays where it was, though all is drawn anew. */
function put(id, made, focused = focusedIn(id)) {
  const box = at(id);
  const scrolled = box.querySelector('.scroll')?.scrollLeft ?? 0;
  box.replaceChildren(...made);
  const scroll = box.querySelector('.scroll');
  if (scroll !== null) scroll.scrollLeft = scrolled;
  if (focused !== null)
    [...box.querySelectorAll('a')].find((a) => a.getAttribute('href') === focused)?.focus();
}

/** Puts elements into a box unless it has the same already. */
function replace(id, ...made) {
  const text = made.map((m) => m.outerHTML).join('');
  if (drawn.get(id) === text) return;
  drawn.set(id, text);
  put(id, made);
}

const sorted = () => [...objects].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);

const drawNodes = (all) => replace('nodes', views.nodes(all, at('filter').value));

function draw() {
  const begun = performance.now();
  isWaiting = false;
  const all = sorted();
  // Before it is drawn: nodes that have not changed move into the new drawing.
  const focused = focusedIn('topology');
  const topology = drawTopology(all);
  if (topology.parentNode !== at('topology')) put('topology', [topology], focused);
  replace('services', views.services(all));
  replace('flow-policies', views.flowPolicies(all));
  replace('rollouts', views.rollouts(all));
  replace('trouble', views.trouble(all));
  drawNodes(all);
  replace('log', views.log(events.slice(0, 100)));
  const count = (...kinds) => all.filter((o) => kinds.includes(o.kind)).length;
  at('summary').textContent =
    `${count('Device')} devices, ${count('Worker')} workers, ${count('Service')} services, ${count('Rollout')} rollouts`;
  drawSelected();
  const now = performance.now();
  restUntil = now + Math.min((now - begun) * (1 / DRAWING_SHARE - 1), MOST_BETWEEN_MS);
}

/** However many changes come at once, the page is drawn once. */
function changed() {
  if (isWaiting) return;
  isWaiting = true;
  setTimeout(draw, Math.max(GATHERED_MS, restUntil - performance.now()));
}

const selectedKey = () => decodeURIComponent(location.hash.slice(1));

function drawSelected() {
  const object = objects.get(selectedKey());
  at('selected').hidden = object === undefined;
  if (object === undefined) return;
  at('selected-title').textContent = keyOf(object);
  const own = events.filter((e) => `${e.object.kind}/${e.object.name}` === keyOf(object));
  replace('selected-body', ...views.details(object, own.slice(0, 20)));
}

function take(event, data) {
  if (event === 'reset') objects.clear();
  else if (event === 'put') objects.set(keyOf(data), data);
  else if (event === 'delete') objects.delete(`${data.kind}/${data.name}`);
  else if (event === 'log') events = [data, ...events].slice(0, MOST_EVENTS);
  if (event === 'sync') loadLog();
  changed();
}

async function loadLog() {
  const response = await ask(`/api/v1alpha1/events?limit=${MOST_EVENTS}`);
  if (!response.ok) return;
  const { items } = await response.json();
  const known = new Set(items.map((e) => e.id));
  events = [...events.filter((e) => !known.has(e.id)), ...items.reverse()].slice(0, MOST_EVENTS);
  changed();
}

const states = {
  connected: 'connected, live',
  away: 'the controller does not answer; what is shown is what was',
  token: 'the controller asks for its token',
};

function tell(state) {
  at('connection').textContent = states[state];
  at('connection').className = state === 'connected' ? 'good' : 'bad';
  at('token-form').hidden = state !== 'token';
}

const untilToken = () =>
  new Promise((resolve) => {
    at('token-form').onsubmit = (event) => {
      event.preventDefault();
      keepToken(at('token').value.trim());
      resolve();
    };
  });

tokenOfAddress();
addEventListener('hashchange', () => {
  drawSelected();
  if (objects.has(selectedKey())) at('selected-title').focus();
});
at('filter').addEventListener('input', () => drawNodes(sorted()));
draw();
follow(take, tell, untilToken);
