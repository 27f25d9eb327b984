/** Lines of two texts side by side: ` ` in both, `-` only before, `+` only after; those far from any change are left out. */
export function lineDifference(before: string, after: string, context = 3): readonly string[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  const all = aligned(a, b);
  const near = all.map((_, i) =>
    all.slice(Math.max(0, i - context), i + context + 1).some((line) => !line.startsWith(' ')),
  );
  const shown: string[] = [];
  for (const [i, line] of all.entries()) {
    if (near[i]) shown.push(line);
    else if (near[i - 1] && near.slice(i).some(Boolean)) shown.push('...');
  }
  return shown;
}

const linesOf = (text: string): readonly string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'));

/** By the longest common subsequence: manifests have some hundred lines. */
function aligned(a: readonly string[], b: readonly string[]): readonly string[] {
  const lengths = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i]![j] =
        a[i] === b[j] ? lengths[i + 1]![j + 1]! + 1 : Math.max(lengths[i + 1]![j]!, lengths[i]![j + 1]!);
  const lines: string[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push(`  ${a[i++]}`);
      j++;
    } else if (i < a.length && (j === b.length || lengths[i + 1]![j]! >= lengths[i]![j + 1]!))
      lines.push(`- ${a[i++]}`);
    else lines.push(`+ ${b[j++]}`);
  }
  return lines;
}
