import { describe, expect, it } from "vitest";
import { TypedKeys, joinedHere } from "./joined.ts";

async function typed(...parts: string[]): Promise<{ text: string; left: boolean }> {
  let left = false;
  const keys = new TypedKeys(() => (left = true));
  for (const part of parts) keys.write(Buffer.from(part, "latin1"));
  keys.end();
  const all: Buffer[] = [];
  for await (const part of keys) all.push(part as Buffer);
  return { text: Buffer.concat(all).toString("latin1"), left };
}

describe("what is typed", () => {
  it.each([
    ["goes on as it is", ["ls\r", "\x03\x04"], "ls\r\x03\x04", false],
    ["leaves by its two keys, in one piece or two", ["ab\x10", "\x11"], "ab", true],
    ["is the program's where another follows the first", ["\x10", "x", "\x10\x10y"], "\x10x\x10\x10y", false],
    ["leaves after a first that was typed twice", ["\x10\x10\x11"], "\x10", true],
    ["is the program's where it ends with the first", ["a\x10"], "a\x10", false],
  ])("%s", async (_, parts, text, left) => {
    expect(await typed(...parts)).toEqual({ text, left });
  });
});

describe("a server that asks for input", () => {
  it("gets none of a program that was to read none", () => {
    const joined = joinedHere(true);
    expect(joined.input({ stdin: false, terminal: { rows: 24, columns: 80 } })).toBeNull();
    expect(joined.isJoined).toBe(false);
    joined.close();
  });
});
