/** Bytes of strangers, damaged at random by a fixed seed: what reads them refuses in words or takes them, and never fails in another way. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Random } from "@xenoservers/testkit";
import { checkImage } from "../../packages/guests/src/qemu/images/image.ts";
import { imageDisks } from "../../packages/guests/src/qemu/oci/image-disks.ts";
import { TooMuch, readTree } from "../../packages/guests/src/qemu/oci/returned-tree.ts";
import { Refusal } from "../../packages/guests/src/qemu/refusal.ts";
import { machines, run } from "./support.ts";

/** A whole number below `n`. */
const below = (random: Random, n: number): number => random.between(0, Math.max(0, n - 1));

/** Some bytes changed, cut off, or doubled. */
function damaged(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const kind = below(random, 4);
  if (kind === 0) return copy.subarray(0, below(random, copy.length));
  if (kind === 1) {
    const at = below(random, copy.length);
    return Buffer.concat([copy.subarray(0, at), copy.subarray(below(random, copy.length))]);
  }
  for (let i = 0; i <= below(random, 6); i++)
    copy[below(random, Math.min(copy.length, kind === 2 ? 4_096 : copy.length))] = below(random, 256);
  return copy;
}

machines("damaged bytes", () => {
  let folder: string;
  let archive: Buffer;
  const late: unknown[] = [];
  const note = (error: unknown): void => void late.push(error);
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-damage-"));
    const root = path.join(folder, "root");
    await mkdir(path.join(root, "a/b"), { recursive: true });
    for (const name of ["a/one", "a/b/two", ".wh.gone", "a/.wh..wh..opq"]) await writeFile(path.join(root, name), name.repeat(200));
    await run("ln", ["-s", "../../etc/passwd", path.join(root, "a/link")]);
    await run("ln", [path.join(root, "a/one"), path.join(root, "hard")]);
    await run("tar", ["-C", root, "--xattrs", "--format=pax", "-cf", path.join(folder, "root.tar"), "."]);
    archive = await readFile(path.join(folder, "root.tar"));
    process.on("uncaughtException", note);
  });
  afterAll(async () => {
    process.off("uncaughtException", note);
    await rm(folder, { recursive: true, force: true });
  });

  it("of layers", async () => {
    const random = new Random(1);
    const file = path.join(folder, "layer");
    let taken = 0;
    for (let i = 0; i < 400; i++) {
      const compression = i % 3 === 0 ? "gzip" : "none";
      await writeFile(file, damaged(compression === "gzip" ? gzipSync(archive) : archive, random));
      const cache = { folder: path.join(folder, `cache-${i}`), bytesMax: 1e9 };
      const image = {
        layers: [{ digest: "0".repeat(64), file }],
        bytesMax: 1024 * 1024,
        entriesMax: 100,
        textBytesMax: 64 * 1024 * 1024,
        work: path.join(folder, "work"),
      };
      const problem = await imageDisks({ ...image, take: async () => {} }, cache).then(
        () => null,
        (error: unknown) => error,
      );
      if (problem === null) taken++;
      else expect(problem, `case ${i}: ${String((problem as Error).stack)}`).toBeInstanceOf(Refusal);
      expect((await readdir(cache.folder).catch(() => [])).filter((name) => !/\.(sqfs|entries|image)$/.test(name))).toEqual([]);
      expect((await readdir(folder)).includes("work")).toBe(false);
    }
    expect(taken).toBeGreaterThan(5);
    expect(taken).toBeLessThan(390);
    expect(late).toEqual([]);
  });

  it("of what a guest hands back", async () => {
    const random = new Random(2);
    let taken = 0;
    for (let i = 0; i < 4_000; i++) {
      const into = path.join(folder, "out");
      await mkdir(into);
      await writeFile(path.join(into, "archive"), damaged(archive, random));
      const tree = await readTree(path.join(into, "archive"), into).catch((error: unknown) => error);
      if (!Array.isArray(tree)) expect(tree instanceof Refusal || tree instanceof TooMuch, `case ${i}: ${String(tree)}`).toBe(true);
      if (Array.isArray(tree)) {
        taken++;
        for (const entry of tree)
          expect(
            String(entry.path)
              .split("/")
              .some((part: string) => ["", ".", ".."].includes(part)),
          ).toBe(false);
        const digests = new Set(tree.flatMap((entry) => (entry.kind === "file" ? [entry.digest] : [])));
        for (const name of await readdir(into)) expect(name).toMatch(/^[0-9a-f]{64}$/);
        for (const digest of digests) expect(await readdir(into)).toContain(digest);
      }
      await rm(into, { recursive: true });
    }
    expect(taken).toBeGreaterThan(50);
    expect(late).toEqual([]);
  });

  it("of disk images", async () => {
    const good = path.join(folder, "good.qcow2");
    await run("qemu-img", ["create", "-q", "-f", "qcow2", good, "8M"]);
    const image = await readFile(good);
    const random = new Random(3);
    const file = path.join(folder, "image");
    let taken = 0;
    for (let i = 0; i < 4_000; i++) {
      const bytes = Buffer.from(image);
      for (let n = 0; n <= below(random, 4); n++) bytes[below(random, 112)] = below(random, 256);
      await writeFile(file, below(random, 8) === 0 ? bytes.subarray(0, below(random, 200)) : bytes);
      const checked = await checkImage(file, "qcow2", 16);
      if (!checked.ok) expect(checked.why.length).toBeGreaterThan(10);
      else {
        taken++;
        expect(checked.virtualBytes).toBeLessThanOrEqual(16n * 1024n * 1024n);
        if (taken % 10 !== 0) continue;
        // what is taken names no other file, as QEMU's own tool reads it
        const info = await run("qemu-img", ["info", "-U", "--output", "json", file]).catch(() => null);
        if (info) expect(info.stdout).not.toMatch(/backing-filename|"data-file":/);
      }
    }
    expect(taken).toBeGreaterThan(50);
    expect(late).toEqual([]);
  });
});
