/** Files come out as they were, holes and all, and no piece lies where no file does. */
import { mkdtemp, open, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PIECE_BYTES_MAX } from "../../move/move-messages.ts";
import { addPiece, piecesOf, wholeOf } from "./sparse-pieces.ts";

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-sparse-"))));
afterEach(() => rm(folder, { recursive: true, force: true }));

async function carried(from: string, to: string): Promise<number> {
  let bytes = 0;
  for await (const piece of piecesOf(from)) {
    expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES_MAX);
    bytes += piece.length;
    await addPiece(to, piece);
  }
  return bytes;
}

it("is the same file, whatever is written where", async () => {
  const written = fc.record({ at: fc.nat(2_000_000), bytes: fc.uint8Array({ maxLength: 300_000, size: "max" }) });
  await fc.assert(
    fc.asyncProperty(fc.nat(2_000_000), fc.array(written, { maxLength: 4 }), async (size, all) => {
      const [from, to] = ["from", "to"].map((name) => path.join(folder, name)) as [string, string];
      for (const file of [from, to]) await rm(file, { force: true });
      const handle = await open(from, "w");
      await handle.truncate(size);
      for (const { at, bytes } of all) await handle.write(bytes, 0, bytes.length, at);
      await handle.close();
      await carried(from, to);
      expect((await readFile(to)).equals(await readFile(from))).toBe(true);
    }),
    { numRuns: 30 },
  );
});

it("takes no more of the way, and of the disk, than is in it", async () => {
  const [from, to] = [path.join(folder, "from"), path.join(folder, "to")];
  const handle = await open(from, "w");
  await handle.truncate(64 * 1024 * 1024);
  await handle.write(Buffer.from("at the end"), 0, 10, 63 * 1024 * 1024);
  await handle.close();
  expect(await carried(from, to)).toBeLessThan(512 * 1024);
  expect((await stat(to)).blocks * 512).toBeLessThan(1024 * 1024);
});

it("has short files in one piece, and refuses what is none", async () => {
  const file = path.join(folder, "text");
  await addPiece(file, wholeOf("pvh"));
  expect(await readFile(file, "utf8")).toBe("pvh");
  await expect(addPiece(file, new Uint8Array(7))).rejects.toThrow("does not say where it lies");
  await expect(addPiece(file, new Uint8Array(8).fill(255))).rejects.toThrow("behind the end of every file");
});
