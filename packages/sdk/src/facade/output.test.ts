import { describe, expect, it } from "vitest";
import { Output } from "./output.ts";

const MIB = 1024 * 1024;
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

async function all(output: Output): Promise<string> {
  let text = "";
  for await (const chunk of output) text += chunk.text;
  return text;
}

describe("output", () => {
  it("comes in order to whoever reads, and ends", async () => {
    const output = new Output();
    const read = all(output);
    void output.take("stdout", bytesOf("one "));
    void output.take("stderr", bytesOf("two"));
    output.end();
    expect(await read).toBe("one two");
    expect([output.textOf("stdout"), output.textOf("stderr"), output.isCut("stdout")]).toEqual(["one ", "two", false]);
  });

  it("never cuts a letter in two", async () => {
    const output = new Output();
    const bytes = bytesOf("aé€𝄞z");
    for (const byte of bytes) void output.take("stdout", Uint8Array.of(byte));
    output.end();
    expect(await all(output)).toBe("aé€𝄞z");
    expect(output.textOf("stdout")).toBe("aé€𝄞z");
  });

  it("begins anew where another server does: nothing of the one before is shown, nor half a letter of it", async () => {
    const output = new Output();
    const reader = output[Symbol.asyncIterator]();
    const first = reader.next();
    void output.take("stdout", bytesOf("old"));
    expect(await first).toMatchObject({ value: { text: "old", offset: 0 } });
    const waiting = [output.take("stdout", new Uint8Array(2 * MIB)), output.take("stdout", bytesOf("é").subarray(0, 1))];
    output.restart();
    await Promise.all(waiting);
    void output.take("stdout", bytesOf("new"));
    output.end();
    expect(await reader.next()).toMatchObject({ value: { text: "new", offset: 0 } });
    expect(await reader.next()).toMatchObject({ done: true });
    expect([output.textOf("stdout"), output.isCut("stdout")]).toEqual(["new", false]);
  });

  it("waits for a slow reader, and no longer for one that has left", async () => {
    const output = new Output();
    const reader = output[Symbol.asyncIterator]();
    const first = reader.next();
    await output.take("stdout", new Uint8Array(10));
    await first;
    let gone = false;
    const taken = Promise.all([output.take("stdout", new Uint8Array(MIB)), output.take("stdout", new Uint8Array(1))]).then(
      () => (gone = true),
    );
    await Promise.resolve();
    expect(gone).toBe(false);
    await reader.next();
    await taken;
    const stuck = [output.take("stdout", new Uint8Array(2 * MIB)), output.take("stderr", new Uint8Array(1))];
    await reader.return();
    await Promise.all(stuck);
  });

  it("is bounded where nobody reads: the newest is held, the beginning is kept, and the gap shows", async () => {
    const output = new Output();
    for (let i = 0; i < 5 * 1024; i++) await output.take("stdout", bytesOf(String(i % 10).repeat(1_024)));
    output.end();
    const chunks = [];
    for await (const chunk of output) chunks.push(chunk);
    expect(chunks.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThanOrEqual(MIB);
    expect(chunks[0]?.offset).toBe(4 * MIB);
    expect(output.textOf("stdout").length).toBe(MIB);
    expect(output.isCut("stdout")).toBe(true);
  });

  it("goes to one of several readers each", async () => {
    const output = new Output();
    const both = Promise.all([all(output), all(output)]);
    for (const text of ["a", "b", "c"]) void output.take("stdout", bytesOf(text));
    output.end();
    expect((await both).join("").split("").toSorted().join("")).toBe("abc");
  });
});
