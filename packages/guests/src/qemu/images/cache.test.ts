import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { bytesBelow, cached, prune } from "./cache.ts";

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

it("keeps what was made for a customer within a share, found for everybody, whoever else has how much", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-shares-"));
  const bytesMax = 8 * 8_192;
  try {
    const longAgo = (file: string, hours: number): Promise<void> =>
      utimes(file, Date.now() / 1_000 - hours * 3_600, Date.now() / 1_000 - hours * 3_600);
    const make = async (customer: string, name: string, hours: number): Promise<void> =>
      longAgo(await cached({ folder, bytesMax, customer }, name, (part) => writeFile(part, Buffer.alloc(8_192, 1))), hours);
    await make("p_a", "first", 100);
    for (const [i, name] of ["b1", "b2", "b3", "b4", "b5", "b6"].entries()) await make("p_b", name, 50 - i);
    const files = (await readdir(folder)).filter((name) => name !== "makers").sort();
    // the last was made a moment ago, and half of eight is four
    expect(files).toEqual(["b3", "b4", "b5", "b6", "first"]);
    const made = await cached({ folder, bytesMax, customer: "p_c" }, "b3", () => Promise.reject(new Error("it is there")));
    expect(path.basename(made)).toBe("b3");
    await prune(folder, 0);
    expect((await readdir(folder)).filter((name) => name !== "makers")).toEqual([]);
    await make("p_b", "b7", 1);
    const own = await readdir(path.join(folder, "makers"), { recursive: true, withFileTypes: true });
    expect(
      own
        .filter((each) => each.isFile())
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["b7", "first"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
