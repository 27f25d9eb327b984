/** Index of the class, and how far the second lies behind it: output steps, at most 255. */
export interface Verdict {
  readonly class: number;
  readonly margin: number;
}
