/** A terminal that is fed: in order, once each, and no faster than it takes. */
import { expect, it } from "vitest";
import { RawTail } from "../raw-tail.ts";
import { feed } from "./console-feed.ts";

const KIB = 1_024;

function scene() {
  const raw = new RawTail();
  const listeners = new Set<() => void>();
  const source = { raw, subscribe: (listener: () => void) => (listeners.add(listener), () => void listeners.delete(listener)) };
  const shown: string[] = [];
  const taking: (() => void)[] = [];
  const screen = {
    write: (bytes: Uint8Array) => {
      shown.push(bytes.length > 100 ? `${bytes.length} bytes` : Buffer.from(bytes).toString());
      return new Promise<void>((taken) => void taking.push(taken));
    },
    reset: () => void shown.push("reset"),
  };
  const come = (text: string | Uint8Array): void => {
    raw.add(typeof text === "string" ? Buffer.from(text) : text);
    for (const listener of listeners) listener();
  };
  /** All that can be drawn is. */
  const drawn = async (): Promise<void> => {
    for (let next = taking.shift(); next; next = taking.shift()) {
      next();
      await new Promise((later) => setImmediate(later));
    }
  };
  return { raw, source, shown, screen, come, drawn, listeners };
}

it("shows what was there before, and then what has come, at once", async () => {
  const { source, screen, shown, come, drawn } = scene();
  come("before ");
  feed(source, screen);
  come("one ");
  come("two ");
  expect(shown).toEqual(["before "]);
  await drawn();
  expect(shown).toEqual(["before ", "one two "]);
});

it("leaves out what is older where more comes than it takes, and begins anew behind that", async () => {
  const { source, screen, shown, come, drawn } = scene();
  feed(source, screen);
  come("first");
  for (let i = 0; i < 10; i++) come(new Uint8Array(100 * KIB));
  await drawn();
  expect(shown.slice(0, 2)).toEqual(["first", "reset"]);
  expect(shown.slice(2)).toEqual([`${256 * KIB} bytes`]);
});

it("begins anew where its machine does", async () => {
  const { raw, source, screen, shown, come, drawn } = scene();
  feed(source, screen);
  come("of the first");
  await drawn();
  raw.clear();
  come("of the second");
  await drawn();
  expect(shown).toEqual(["of the first", "reset", "of the second"]);
});

it("shows nothing more once it is let go of", async () => {
  const { source, screen, shown, come, drawn, listeners } = scene();
  const end = feed(source, screen);
  come("one");
  come("two");
  end();
  await drawn();
  expect([shown, listeners.size]).toEqual([["one"], 0]);
});
