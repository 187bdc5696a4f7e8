/** What a program hands in is what it was, whatever becomes of its memory. */
import { expect, it } from "vitest";
import { bytesOf, programOf } from "./given-program.ts";
import { entriesIn } from "./input-entries.ts";

const nowhere = (): never => {
  throw new Error("it has no files");
};

it.each([
  ["bytes", () => new Uint8Array([1, 2, 3])],
  ["a Buffer", () => Buffer.from([1, 2, 3])],
])("%s that are changed while they are sent are sent as they were", async (_, make) => {
  const own = make();
  const copy = bytesOf(own);
  const program = programOf({ module: own });
  const entries = await entriesIn({ "a.bin": own }, nowhere);
  own.fill(9);
  const blobs = [program!.blob, ...entries.flatMap((entry) => (entry.kind === "file" ? [entry.blob] : []))];
  const sent = [copy, ...(await Promise.all(blobs.map((blob) => blob.read(0, 3))))];
  expect(sent.map((each) => [...each].join(" "))).toEqual(["1 2 3", "1 2 3", "1 2 3"]);
});
