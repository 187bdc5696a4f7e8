/** What a text holds as JSON; undefined where it holds none. For files that may be damaged and lines that may be anything. */
export function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
