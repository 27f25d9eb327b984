/** Edits (insert, delete, replace, swap of neighbours) between two words. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let best = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (same ? 0 : 1));
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      if (swapped) best = Math.min(best, rows[i - 2]![j - 2]! + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

const MOST = 3;
/** Nobody mistypes longer names, and comparing them costs time and memory. */
const LONGEST = 64;

/** The names that may have been meant, the closest first. */
export function suggestions(wrong: string, names: Iterable<string>): readonly string[] {
  if (wrong.length > LONGEST) return [];
  const asked = wrong.toLowerCase();
  const last = (name: string) => name.slice(name.lastIndexOf('.') + 1);
  const near = [...new Set(names)].flatMap((name) => {
    if (name.length > 2 * LONGEST) return [];
    const candidate = name.toLowerCase();
    const distance = Math.min(editDistance(asked, candidate), editDistance(last(asked), last(candidate)));
    const part = asked.length > 2 && candidate.includes(asked);
    // Two short names that differ in most of their letters are two names.
    const isTypo = distance <= Math.max(2, asked.length / 4) && distance <= candidate.length / 2;
    return part || isTypo ? [{ name, distance }] : [];
  });
  near.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return near.slice(0, MOST).map(({ name }) => name);
}
