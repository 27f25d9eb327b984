import type { Case } from './case.ts';

const BEGIN = '<!-- conformance: made by test/p4runtime/conformance/table.test.ts -->';
const END = '<!-- end of conformance -->';

const cell = (text: string): string => text.replaceAll('|', '\\|');

function bmv2({ server, bmv2: difference, notOnBmv2 }: Case): string {
  if (server === undefined) return '';
  if (notOnBmv2 !== undefined) return `not run: ${notOnBmv2}`;
  return difference === undefined ? 'same' : `differs: ${difference}`;
}

function ours({ server, client, reason }: Case): string {
  const tested = [server && 'server', client && 'client'].filter((s) => s !== undefined);
  return [...(tested.length > 0 ? [tested.join(', ')] : []), ...(reason === undefined ? [] : [reason])].join(
    '; ',
  );
}

/** The table of docs/p4runtime.md, between its marks. */
export function conformanceTable(cases: readonly Case[]): string {
  const rows = cases.map((c) => `| ${c.id} | ${cell(c.title)} | ${cell(ours(c))} | ${cell(bmv2(c))} |`);
  const count = (find: (c: Case) => boolean) => cases.filter(find).length;
  const run = (c: Case) => c.server !== undefined && c.notOnBmv2 === undefined;
  const summary = [
    `${cases.length} cases: ${count((c) => c.server !== undefined)} are tests of our server, `,
    `${count((c) => c.client !== undefined)} of our client, `,
    `${count((c) => c.server === undefined && c.client === undefined)} a stated reason only. `,
    `BMv2 runs ${count(run)} of them: ${count((c) => run(c) && c.bmv2 === undefined)} as the standard has it, `,
    `${count((c) => run(c) && c.bmv2 !== undefined)} with a known difference, which the test expects there.`,
  ].join('');
  return [BEGIN, summary, '', '| | situation | tested on | BMv2 |', '|---|---|---|---|', ...rows, END].join(
    '\n',
  );
}

/** The document with the table in its place. @throws Error if the marks are not there */
export function withTable(document: string, table: string): string {
  const [from, to] = [document.indexOf(BEGIN), document.indexOf(END)];
  if (from < 0 || to < from) throw new Error('docs/p4runtime.md has lost the marks of its table');
  return `${document.slice(0, from)}${table}${document.slice(to + END.length)}`;
}
