/** What is typed: in order, each byte once, and bounded where nobody reads it. */
import { expect, it } from "vitest";
import { WAITING_BYTES_MAX, typedOn, typing } from "./typed.ts";

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function machine() {
  const read: string[] = [];
  const reading: { done(): void; fail(why: Error): void }[] = [];
  const told: unknown[] = [];
  const type = typing(
    (bytes) => {
      read.push(new TextDecoder().decode(bytes));
      return new Promise<void>((done, fail) => void reading.push({ done, fail }));
    },
    (error) => void told.push(error),
  );
  const step = async (how: (each: (typeof reading)[number]) => void): Promise<void> => {
    how(reading.shift()!);
    await new Promise((later) => setImmediate(later));
  };
  return { read, told, type, reads: () => step(({ done }) => done()), fails: (why: Error) => step(({ fail }) => fail(why)) };
}

it("goes in order, and what waits goes together", async () => {
  const { read, type, reads } = machine();
  for (const letter of ["a", "b", "é", "d"]) type(bytesOf(letter));
  expect(read).toEqual(["a"]);
  await reads();
  type(bytesOf("e"));
  await reads();
  expect(read).toEqual(["a", "béd", "e"]);
});

it("says what did not get there, and goes on with what is typed behind it", async () => {
  const { read, told, type, reads, fails } = machine();
  type(bytesOf("a"));
  type(bytesOf("b"));
  await fails(new Error("the server is not reached"));
  await reads();
  expect(read).toEqual(["a", "b"]);
  expect(told).toEqual([new Error("the server is not reached"), null]);
});

it("holds so much for a guest that asks without end and reads nothing", async () => {
  const { read, told, type, reads } = machine();
  type(bytesOf("first"));
  const answers = bytesOf("\u001b[0n".repeat(4));
  for (let i = 0; i < WAITING_BYTES_MAX / 8; i++) type(answers);
  expect(told.map(String)).toEqual([expect.stringContaining("does not read what is typed")]);
  await reads();
  expect(read[1]!.length).toBeLessThanOrEqual(WAITING_BYTES_MAX);
});

it("takes a paste whole, however long, where nothing waits before it", async () => {
  const { read, told, type, reads } = machine();
  type(bytesOf("a"));
  type(new Uint8Array(3 * WAITING_BYTES_MAX).fill(120));
  await reads();
  expect([read[1]!.length, told]).toEqual([3 * WAITING_BYTES_MAX, [null]]);
});

/** A terminal, as far as it is typed in: what it says in either way, and what of that counts. */
function terminal(focused: boolean) {
  const hear: Record<"data" | "binary", (text: string) => void> = { data: () => {}, binary: () => {} };
  const textarea: EventTarget & { ownerDocument?: { activeElement: unknown } } = new EventTarget();
  textarea.ownerDocument = { activeElement: focused ? textarea : null };
  const typed: string[] = [];
  const ways = {
    textarea,
    onData: (listener: (text: string) => void) => void (hear.data = listener),
    onBinary: (listener: (text: string) => void) => void (hear.binary = listener),
  };
  typedOn(ways, (bytes) => void typed.push(new TextDecoder("latin1").decode(bytes)));
  return { hear, textarea, typed };
}

it("answers nothing of what a guest asked before anybody has typed here: after a reload all that it printed is drawn once more", () => {
  const { hear, textarea, typed } = terminal(false);
  hear.data("\u001b[24;1R");
  hear.binary("x");
  expect(typed).toEqual([]);
  textarea.dispatchEvent(new Event("focus"));
  hear.data("ls\r");
  hear.binary("\u00ff");
  hear.data("\u001b[24;1R");
  expect(typed).toEqual(["ls\r", "\u00ff", "\u001b[24;1R"]);
});

it("takes what is typed where somebody was there before: a shell takes a while to start", () => {
  const { hear, typed } = terminal(true);
  hear.data("ls\r");
  expect(typed).toEqual(["ls\r"]);
});
