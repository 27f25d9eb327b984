/** Elements with text that is only ever text. */

const SVG = 'http://www.w3.org/2000/svg';

const fill = (element, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

export const html = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);
export const svg = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

/** Rows that a table shows; more would only slow the page. */
const MOST_ROWS = 200;

/**
 * A table of items, one a row.
 * @param cellsOf the cells of an item, of which the first is the row's heading; called for what is shown alone
 */
export function table(caption, titles, items, cellsOf) {
  if (items.length === 0) return html('p', { class: 'empty' }, 'none');
  const body = items.slice(0, MOST_ROWS).map((item) => {
    const [first, ...cells] = cellsOf(item);
    return html('tr', {}, html('th', { scope: 'row' }, first), ...cells.map((cell) => html('td', {}, cell)));
  });
  const made = html(
    'table',
    { 'aria-label': caption },
    html('thead', {}, html('tr', {}, ...titles.map((title) => html('th', { scope: 'col' }, title)))),
    html('tbody', {}, ...body),
  );
  const box = html(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': `${caption}, table` },
    made,
  );
  if (items.length <= MOST_ROWS) return box;
  return html('div', {}, box, html('p', { class: 'more' }, `and ${items.length - MOST_ROWS} more`));
}

export const objectLink = (key, text = key) => html('a', { href: `#${key}` }, text);
