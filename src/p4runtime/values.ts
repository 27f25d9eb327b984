/**
 * P4Runtime's bytestrings are big-endian and canonical: no leading zero byte, and one zero byte for zero
 * (section 8.4 of the specification).
 */
export function canonicalBytes(value: bigint | number): Uint8Array {
  const hex = BigInt(value).toString(16);
  return Uint8Array.from(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'));
}

/** Strips leading zeros of raw big-endian bytes, such as an address. */
export function canonical(bytes: Uint8Array): Uint8Array {
  let at = 0;
  while (at < bytes.length - 1 && bytes[at] === 0) at++;
  return bytes.subarray(at);
}
