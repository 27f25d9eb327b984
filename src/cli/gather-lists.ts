/**
 * `--interface a=1 --interface b=2` as one list: of an option that is given again, the command line's parser keeps the last.
 */
export function gatherLists(argv: readonly string[], options: readonly string[]): string[] {
  let rest = [...argv];
  const lists: string[] = [];
  for (const option of options) {
    const values: string[] = [];
    const others: string[] = [];
    for (let i = 0; i < rest.length; i++) {
      const word = rest[i]!;
      if (word.startsWith(`--${option}=`)) values.push(word.slice(option.length + 3));
      else if (word === `--${option}` && rest[i + 1] !== undefined) values.push(rest[++i]!);
      else others.push(word);
    }
    rest = others;
    if (values.length > 0) lists.push(`--${option}`, ...values);
  }
  return [...rest, ...lists];
}
