import { once } from "node:events";
import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { PassThrough, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { Feed } from "./feed.ts";

const feed = (source: Readable, stdin: Writable, begun: Promise<void> = Promise.resolve()): Promise<never> =>
  new Feed(source).to({ stdin, begun });

it("gives all that there is, and its end", async () => {
  const program = new PassThrough();
  void feed(Readable.from(["one ", "two"]), program);
  expect(await text(program)).toBe("one two");
});

it("says that a folder is no input, rather than end the program's (docker exec -i … < FOLDER)", async () => {
  const program = new PassThrough();
  await expect(feed(createReadStream(tmpdir()), program)).rejects.toThrow(/standard input cannot be read: EISDIR/);
});

it("is no failure where the program ends before its input", async () => {
  const program = new Writable({ write: (_, __, done) => done() });
  const failed = feed(Readable.from(["some"]), program);
  const closed = new Promise<string>((resolve) => program.once("close", () => resolve("closed")));
  program.destroy();
  expect(await Promise.race([failed, closed])).toBe("closed");
});

it("leaves it to the signal that a terminal which has gone sends, rather than end the program before it hears of it", async () => {
  const gone = Object.assign(new Readable({ read() {} }), { isTTY: true });
  const closed = new Promise<string>((resolve) => gone.once("close", () => resolve("closed")));
  const failed = feed(gone, new PassThrough());
  gone.destroy(Object.assign(new Error("read EIO"), { code: "EIO", syscall: "read" }));
  expect(await Promise.race([failed, closed])).toBe("closed");
});

describe("one that was refused", () => {
  const never = new Promise<void>(() => {});

  it("has taken nothing from the one that begins after it, whatever had been read, and its end too", async () => {
    const input = new Feed(Readable.from([Buffer.from("all "), Buffer.from("of it")]));
    const refused = new PassThrough();
    void input.to({ stdin: refused, begun: never });
    expect(await text(refused)).toBe("all of it");
    const begins = new PassThrough();
    void input.to({ stdin: begins, begun: Promise.resolve() });
    expect(await text(begins)).toBe("all of it");
  });

  it("does not get what comes later, and nothing is lost or said twice", async () => {
    const source = new PassThrough();
    const input = new Feed(source);
    const [refused, begins] = [new PassThrough(), new PassThrough()];
    const parts = begins[Symbol.asyncIterator]();
    void input.to({ stdin: refused, begun: never });
    source.write("first");
    expect(String((await once(refused, "data"))[0])).toBe("first");
    refused.destroy();
    const { promise, resolve } = Promise.withResolvers<void>();
    void input.to({ stdin: begins, begun: promise });
    expect(String((await parts.next()).value)).toBe("first");
    resolve();
    source.end(" second");
    expect([String((await parts.next()).value), (await parts.next()).done]).toEqual([" second", true]);
  });
});
