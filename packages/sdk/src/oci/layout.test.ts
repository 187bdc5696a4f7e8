import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { Layout } from "./layout.ts";
import { OciError } from "./source.ts";

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
