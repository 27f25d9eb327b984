/** Adds one to the count of a key, which begins at 0. */
export const countIn = (counts: Record<string, number>, key: string | number): void => {
  counts[key] = (counts[key] ?? 0) + 1;
};
