import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { bytesBelow, cacheFor, cached, madeIn, prune, removeUnfinished } from "./cache.ts";

it("keeps what was just made, whatever the bound, and lets go of what was used long ago", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-cache-"));
  try {
    const make = (name: string) => cached({ folder, bytesMax: 0 }, name, (part) => writeFile(part, Buffer.alloc(8_192, 1)));
    const old = await make("old");
    expect(await readdir(folder)).toEqual(["old"]);
    const hourAgo = new Date(Date.now() - 3_600_000);
    await utimes(old, hourAgo, hourAgo);
    await make("new");
    await writeFile(path.join(folder, "of-tomorrow.part"), Buffer.alloc(8_192, 1));
    expect(await bytesBelow(folder)).toBe(8_192);
    await rm(path.join(folder, "of-tomorrow.part"));
    expect(await readdir(folder)).toEqual(["new"]);
    await expect(cached({ folder, bytesMax: 0 }, "bad", async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await readdir(folder)).toEqual(["new"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("keeps what was made for a customer within a share, found by nobody else, whoever has how much", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-shares-"));
  const bytesMax = 8 * 8_192;
  try {
    const longAgo = (file: string, hours: number): Promise<void> =>
      utimes(file, Date.now() / 1_000 - hours * 3_600, Date.now() / 1_000 - hours * 3_600);
    const make = async (customer: string, name: string, hours: number): Promise<void> =>
      longAgo(await cached({ folder, bytesMax, customer }, name, (part) => writeFile(part, Buffer.alloc(8_192, 1))), hours);
    const files = async (): Promise<string[]> => {
      const all = await readdir(folder, { recursive: true, withFileTypes: true });
      return all
        .filter((each) => each.isFile())
        .map(({ name }) => name)
        .sort();
    };
    await make("p_a", "first", 100);
    for (const [i, name] of ["b1", "b2", "b3", "b4", "b5", "b6"].entries()) await make("p_b", name, 50 - i);
    // the last was made a moment ago, and half of eight is four
    expect(await files()).toEqual(["b3", "b4", "b5", "b6", "first"]);
    const there = (customer: string): Promise<string> =>
      cached({ folder, bytesMax, customer }, "b3", () => Promise.reject(new Error("it is not there")));
    expect(path.basename(await there("p_b"))).toBe("b3");
    await expect(there("p_c")).rejects.toThrow("it is not there");
    await expect(cached({ folder, bytesMax }, "b3", () => Promise.reject(new Error("nor for everybody")))).rejects.toThrow("nor for");
    await prune(folder, 0);
    expect(await files()).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("is rid of what a daemon that was killed has left unfinished, for everybody and for each customer", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-unfinished-"));
  try {
    const own = madeIn({ folder, bytesMax: 0, customer: "p_a" });
    await mkdir(own, { recursive: true });
    for (const name of ["ext4-4k-16.raw.7.123.part", "ext4-4k-16.raw"]) await writeFile(path.join(folder, name), "");
    for (const name of ["disk-qcow2-ab.raw.7.123.part", "disk-qcow2-ab.raw"]) await writeFile(path.join(own, name), "");
    await removeUnfinished(folder);
    expect([await readdir(own), (await readdir(folder)).toSorted()]).toEqual([["disk-qcow2-ab.raw"], ["customers", "ext4-4k-16.raw"]]);
    await removeUnfinished(path.join(folder, "which is not there"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("makes what is to be forgotten in its machine's own folder", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-forgotten-"));
  try {
    const [all, own] = ["cache", "machine"].map((name) => path.join(folder, name)) as [string, string];
    const cache = { folder: all, bytesMax: 1e9 };
    const make = (forgets: boolean) =>
      cached(cacheFor(cache, { customer: "p_a", forgets, folder: own }), "disk", (part) => writeFile(part, "x"));
    expect(path.relative(own, await make(true))).not.toContain("..");
    expect(await readdir(folder)).toEqual(["machine"]);
    expect(path.relative(all, await make(false))).not.toContain("..");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
