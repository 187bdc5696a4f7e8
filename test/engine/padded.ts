/** A module made longer by a section that nobody reads. */
export function padded(module: Uint8Array, bytes: number): Uint8Array {
  const size = [0x80 | (bytes & 0x7f), 0x80 | ((bytes >> 7) & 0x7f), 0x80 | ((bytes >> 14) & 0x7f), bytes >> 21];
  return Uint8Array.from([...module, 0, ...size, ...new Uint8Array(bytes)]);
}
