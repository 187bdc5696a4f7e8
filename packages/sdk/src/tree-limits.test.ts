/** Folders as they go and trees as they come, with what nobody here would name so. */
import { mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { InputEntry } from "@xenoservers/protocol/channel";
import { readTree, writeTree } from "./tree.ts";

const folder = mkdtemp(path.join(tmpdir(), "xeno-tree-"));
afterAll(async () => rm(await folder, { recursive: true, force: true }));
let made = 0;
const fresh = async () => path.join(await folder, String(++made));
const fetch = async () => new TextEncoder().encode("x");
const file = (at: string): InputEntry => ({ path: at, kind: "file", digest: "00".repeat(32), size: 1 });

describe("a tree that came back", () => {
  it("is written as far as this machine's paths go; the rest is named", async () => {
    const home = path.join(await fresh(), "h".repeat(200));
    const deep = Array.from({ length: 16 }, (_, i) => Array.from({ length: i + 1 }, () => "d".repeat(250)).join("/"));
    const entries: InputEntry[] = [
      ...deep.map((at): InputEntry => ({ path: at, kind: "directory" })),
      file(`${deep.at(-1)}/f`),
      file("last"),
    ];
    const skipped = await writeTree(home, entries, { fetch });
    expect(skipped.length).toBeGreaterThan(0);
    for (const line of skipped) expect(line).toContain("too long");
    expect(await readFile(path.join(home, "last"), "utf8")).toBe("x");
  });

  it("with a name of 255 bytes beyond what a name may have is skipped, in words that a terminal can show", async () => {
    const skipped = await writeTree(await fresh(), [file(`\u001b[2J${"n".repeat(300)}`)], { fetch });
    expect(skipped).toEqual([expect.stringMatching(/^\?\[2Jn+\.\.\.: its name is too long/)]);
  });

  it("writes through no link, and to nothing outside", async () => {
    const home = await fresh();
    const outside = await fresh();
    await mkdir(outside);
    const skipped = await writeTree(
      home,
      [
        { path: "l", kind: "link", target: "../../elsewhere" },
        { path: "ok", kind: "link", target: "a/b" },
      ],
      { fetch },
    );
    expect(skipped).toEqual(["l: a link that points outside"]);
    await symlink(outside, path.join(home, "out"));
    await expect(writeTree(home, [file("out/f")], { fetch })).rejects.toThrow("which is no folder");
    expect(await readdir(outside)).toEqual([]);
  });

  it("leaves what did not change, and removes what is gone", async () => {
    const home = await fresh();
    await mkdir(path.join(home, "d"), { recursive: true });
    for (const name of ["same", "gone", "d/gone"]) await writeFile(path.join(home, name), "old");
    const before = await readTree(home);
    const same = before.find((entry) => entry.path === "same");
    if (same?.kind !== "file") throw new Error("not read");
    expect(await writeTree(home, [{ path: "same", kind: "file", digest: same.blob.digest, size: 3 }], { fetch, before })).toEqual([]);
    expect(await readdir(home)).toEqual(["same"]);
    expect(await readFile(path.join(home, "same"), "utf8")).toBe("old");
  });
});

describe("a folder that goes", () => {
  it("says in words what cannot travel", async () => {
    const home = await fresh();
    await mkdir(home);
    await writeFile(Buffer.concat([Buffer.from(`${home}/`), Buffer.from([0x66, 0xff, 0x67])]), "x");
    await expect(readTree(home)).rejects.toThrow("no text in UTF-8");
  });
});
