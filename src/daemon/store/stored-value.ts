import { isDeeperThan } from '../../import/json/bounds.ts';

/** Of one record: etcd takes no more in a request unless it is told to. */
const MOST_VALUE_BYTES = 1.5 * 2 ** 20;
const MOST_DEPTH = 64;

/** Stands in a record whose value cannot be read: others are not held up by it. */
export class UnreadableValue {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** The value of a record; an `UnreadableValue` for what is no JSON that this program has written. */
export function storedValue(stored: string | Buffer): unknown {
  if (stored.length > MOST_VALUE_BYTES)
    return new UnreadableValue(`has ${stored.length} bytes, more than the ${MOST_VALUE_BYTES} of any object`);
  const text = stored.toString();
  if (isDeeperThan(text, MOST_DEPTH))
    return new UnreadableValue(`is nested deeper than ${MOST_DEPTH} levels`);
  try {
    return JSON.parse(text);
  } catch {
    return new UnreadableValue('is no JSON');
  }
}
