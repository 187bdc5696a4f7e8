import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { pack } from "tar-stream";
import { Layout, openArchive } from "./layout.ts";
import { OciError } from "./source.ts";

it("says of an archive whose entry has a size that is no number that it is none", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-archive-"));
  try {
    const packing = pack();
    packing.entry({ name: "index.json" }, "{}");
    packing.finalize();
    const parts: Uint8Array[] = [];
    for await (const part of packing) parts.push(part as Uint8Array);
    const bytes = Buffer.concat(parts);
    // the size field, and the sum over the header in which it stands (POSIX ustar)
    bytes.write("8\0\0\0\0\0\0\0\0\0\0\0", 124, "latin1");
    bytes.fill(" ", 148, 156);
    const sum = bytes.subarray(0, 512).reduce((all, byte) => all + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    const file = path.join(folder, "a.tar");
    await writeFile(file, bytes);
    await expect(openArchive(file)).rejects.toThrow(/is no archive of an OCI image \(the size of index\.json is no number\)/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

it("says of an index that is none that it is damaged, whatever stands in it", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-layout-"));
  try {
    for (const text of [
      "{",
      "null",
      "[]",
      '{"manifests":5}',
      '{"manifests":null}',
      '{"manifests":[null]}',
      '{"manifests":[{"annotations":5}]}',
    ]) {
      await writeFile(path.join(folder, "index.json"), text);
      const asked = new Layout(folder, "latest").manifest(null);
      await expect(asked, text).rejects.toBeInstanceOf(OciError);
      await expect(asked, text).rejects.toThrow(/index\.json is damaged/);
    }
    await writeFile(path.join(folder, "index.json"), '{"manifests":[{"digest":5,"annotations":null}]}');
    await expect(new Layout(folder, null).manifest(null)).rejects.toThrow(/holds no image/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
