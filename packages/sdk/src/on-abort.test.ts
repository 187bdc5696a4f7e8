import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { onAbort } from "./on-abort.ts";

it("is one listener for many calls, and none when the last of them is over", () => {
  const { signal } = new AbortController();
  const undo = Array.from({ length: 50 }, () => onAbort(signal, () => {}));
  expect(getEventListeners(signal, "abort").length).toBe(1);
  undo.forEach((each) => each());
  undo.forEach((each) => each());
  expect(getEventListeners(signal, "abort").length).toBe(0);
  onAbort(signal, () => {})();
  expect(getEventListeners(signal, "abort").length).toBe(0);
});

it("calls each once, those that were undone not", () => {
  const off = new AbortController();
  const called: string[] = [];
  onAbort(off.signal, () => void called.push("a"));
  const undo = onAbort(off.signal, () => void called.push("b"));
  const again = (): void => void called.push("c");
  onAbort(off.signal, again);
  onAbort(off.signal, again);
  undo();
  off.abort();
  off.abort();
  expect(called).toEqual(["a", "c", "c"]);
});
