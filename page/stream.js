/** The controller's changes, as they come. */

const WATCH = '/api/v1alpha1/watch';
const RETRY_MS = 1000;

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The token of the address (`#token=...`) is kept for this tab alone, and taken out of the address. */
export function tokenOfAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null) {
    keepToken(given);
    history.replaceState(null, '', location.pathname);
  }
}

export const keepToken = (token) => sessionStorage.setItem('token', token);

export function ask(path, headers = {}) {
  const token = sessionStorage.getItem('token');
  return fetch(path, {
    headers: token === null ? headers : { ...headers, authorization: `Bearer ${token}` },
  });
}

/**
 * Follows the changes for ever, and comes back to a controller that went away.
 * @param onEvent of `put`, `delete`, `sync`, `log` and `reset`, with its data
 * @param onState `connected`, `away` or `token`, where one is asked for
 * @param untilToken resolves when there is another token
 */
export async function follow(onEvent, onState, untilToken) {
  let last;
  for (;;) {
    try {
      const response = await ask(WATCH, last === undefined ? {} : { 'last-event-id': last });
      if (response.status === 401) {
        onState('token');
        await untilToken();
        continue;
      }
      if (!response.ok) throw new Error(`status ${response.status}`);
      onState('connected');
      if (last === undefined) onEvent('reset', {});
      for await (const { event, id, data } of eventsOf(response.body)) {
        onEvent(event, data);
        // Until everything was told, there is no point from which to go on.
        if (last !== undefined || event === 'sync') last = id;
      }
    } catch {
      // It is told below, and tried again.
    }
    onState('away');
    await wait(RETRY_MS);
  }
}

async function* eventsOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(
        part.split('\n').map((line) => {
          const colon = line.indexOf(': ');
          return [line.slice(0, colon), line.slice(colon + 2)];
        }),
      );
      if (fields.data !== undefined)
        yield { event: fields.event, id: fields.id, data: JSON.parse(fields.data) };
    }
  }
}
