import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { readIdentity } from "./machine-identity.ts";

it("a damaged identity is said with what to do; none is none", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-identity-"));
  try {
    expect(await readIdentity(folder)).toBeNull();
    for (const text of ["", "{bad", "null", '{"url":"x"}']) {
      await writeFile(path.join(folder, "server-identity.json"), text);
      await expect(readIdentity(folder)).rejects.toThrow(
        /server-identity\.json is damaged, or was written by a newer xeno: upgrade, or put back your copy/,
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
