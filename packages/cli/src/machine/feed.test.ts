import { createReadStream } from "node:fs";
import { tmpdir } from "node:os";
import { PassThrough, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { expect, it } from "vitest";
import { feed } from "./feed.ts";

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
  const source = new Readable({ read() {} });
  const closed = new Promise<string>((resolve) => source.once("close", () => resolve("closed")));
  const failed = feed(source, program);
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
