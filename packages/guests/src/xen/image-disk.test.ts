/** A customer's raw image under domains' disks. What qemu-img makes of a qcow2 is played where it is installed (test/xen). */
import { mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageBase } from "./image-disk.ts";

const MIB = 1024 * 1024;
const DIGEST = "ab".repeat(32);

describe("a raw image", () => {
  let folder: string;
  let image: string;
  let cache: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-image-disk-"));
    [image, cache] = [path.join(folder, "image"), path.join(folder, "cache")];
    await mkdir(cache);
    await writeFile(image, "boot");
    await truncate(image, MIB);
  });
  afterEach(() => rm(folder, { recursive: true }));
  const made = (diskMib: number, from = image): Promise<string> =>
    imageBase({ image: from, format: "raw", digest: DIGEST, diskMib, folder, lease: "ab" }, { folder: cache, bytesMax: 100 * MIB });

  it("is copied once, whoever asks for it, read-only, and takes no room for what is empty", async () => {
    const file = await made(64);
    const { size, blocks, mode, ino } = await stat(file);
    expect([size, mode & 0o777]).toEqual([MIB, 0o444]);
    expect(blocks * 512).toBeLessThan(MIB);
    expect((await readFile(file)).subarray(0, 5).toString()).toBe("boot\0");
    expect((await stat(await made(128))).ino).toBe(ino);
    expect(await readdir(cache)).toEqual([`disk-raw-${DIGEST}.raw`]);
  });

  it("is refused where it is larger than the disk, also where it is kept already", async () => {
    await truncate(image, 3 * MIB);
    await expect(made(2)).rejects.toMatchObject({ name: "Refusal" });
    expect(await readdir(cache)).toEqual([]);
    await made(3);
    await expect(made(2)).rejects.toMatchObject({ name: "Refusal" });
  });

  it("is not followed where a link lies in its place", async () => {
    await symlink("/etc/passwd", path.join(folder, "link"));
    await expect(made(64, path.join(folder, "link"))).rejects.toMatchObject({ code: "ELOOP" });
  });
});
