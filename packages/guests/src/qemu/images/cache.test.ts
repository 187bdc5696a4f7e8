import { mkdtemp, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { bytesBelow, cached } from "./cache.ts";

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
