/** A folder of a file system without second names, as Windows has it of exFAT. */
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it, vi } from "vitest";
import { writeTree } from "./write-tree.ts";

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof import("node:fs/promises")>();
  const link: typeof real.link = async () => {
    throw Object.assign(new Error("EISDIR: illegal operation on a directory, link"), { code: "EISDIR" });
  };
  return { ...real, link };
});

it("what came back is written there, too", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-one-name-"));
  try {
    const came = { path: "f", kind: "file", digest: "ab".repeat(32), size: 3 } as const;
    expect(await writeTree(folder, [came], { fetch: async () => Buffer.from("new") })).toEqual([]);
    expect([await readdir(folder), await readFile(path.join(folder, "f"), "utf8")]).toEqual([["f"], "new"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
