/** A customer's raw image as a domain's disk. What qemu-img makes of a qcow2 is played where it is installed (test/xen). */
import { mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageDisk } from "./image-disk.ts";

const MIB = 1024 * 1024;

describe("a raw image", () => {
  let folder: string;
  let image: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-image-disk-"));
    [image, file] = [path.join(folder, "image"), path.join(folder, "disk.raw")];
    await writeFile(image, "boot");
    await truncate(image, MIB);
  });
  afterEach(() => rm(folder, { recursive: true }));
  const made = (diskMib: number, from = image): Promise<void> =>
    imageDisk({ image: from, format: "raw", diskMib, folder, file, lease: "ab" });

  it("is copied, as large as the disk that was ordered, and takes no room for what is empty", async () => {
    await made(64);
    const { size, blocks, mode } = await stat(file);
    expect([size, mode & 0o777]).toEqual([64 * MIB, 0o600]);
    expect(blocks * 512).toBeLessThan(MIB);
    expect((await readFile(file)).subarray(0, 5).toString()).toBe("boot\0");
    expect((await stat(image)).size).toBe(MIB);
  });

  it("is refused where it is larger than the disk", async () => {
    await truncate(image, 3 * MIB);
    await expect(made(2)).rejects.toMatchObject({ name: "Refusal" });
    await expect(stat(file)).rejects.toMatchObject({ code: "ENOENT" });
  });

  it("is not followed where a link lies in its place", async () => {
    await symlink("/etc/passwd", path.join(folder, "link"));
    await expect(made(64, path.join(folder, "link"))).rejects.toMatchObject({ code: "ELOOP" });
  });
});
