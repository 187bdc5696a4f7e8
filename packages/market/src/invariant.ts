/** Our own bugs stop the operation; they are never a way to answer a caller's mistake. */
class InvariantError extends Error {
  override name = "InvariantError";
}

export function invariant(condition: unknown, what: string): asserts condition {
  if (!condition) throw new InvariantError(what);
}
