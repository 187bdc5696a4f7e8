import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { OciError } from "../oci/source.ts";
import { afterEach, beforeEach, expect, it } from "vitest";
import { inWordsOf } from "./image-address.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-image-address-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("names what lies here under the name that a registry does not know", async () => {
  const [saved, layout] = [path.join(folder, "saved"), path.join(folder, "layout")];
  await writeFile(saved, "");
  await mkdir(layout);
  const unknown = new OciError("the registry has no such image");
  await expect(inWordsOf(saved)(unknown)).rejects.toThrow(
    `the registry has no such image; ${saved} is a file here, too: for an image in it write --image archive:${saved}`,
  );
  await expect(inWordsOf(layout)(unknown)).rejects.toThrow(`folder here, too: for an image in it write --image oci:${layout}`);
  for (const named of [`archive:${saved}`, path.join(folder, "gone")])
    await expect(inWordsOf(named)(unknown), named).rejects.toThrow(/^the registry has no such image$/);
  const ours = new TypeError("ours");
  await expect(inWordsOf(saved)(ours)).rejects.toBe(ours);
});
