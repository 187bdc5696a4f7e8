/** A value of JSON that other words may follow, as Go's decoders read one. Who controls the input: whoever wrote the text. */
import { jsonIn } from "@xenoservers/protocol";

/** Where the object at the beginning ends, by its brackets outside of strings; -1 where it does not. */
function endOf(text: string): number {
  let depth = 0;
  for (const { 0: found, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}]/gs)) {
    if (found === "{") depth++;
    else if (found === "}" && --depth === 0) return index + 1;
  }
  return -1;
}

/** Undefined where no object of JSON is there first. */
export function firstJsonIn(text: string): unknown {
  const rest = text.trimStart();
  return rest.startsWith("{") ? jsonIn(rest.slice(0, endOf(rest))) : undefined;
}
