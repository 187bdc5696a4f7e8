/** Values of which nothing is known yet. */

export const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** A file's text as what it must be. Throws, by the file's name, where it is something else. */
export function parseOwn<T>(name: string, text: string, is: (value: unknown) => value is T): T {
  const wrong = `${name} does not hold what this program writes into it`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(wrong, { cause });
  }
  if (!is(value)) throw new Error(wrong);
  return value;
}
