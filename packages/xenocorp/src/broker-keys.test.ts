import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { loadBrokerKeys } from "./broker-keys.ts";

it("damaged keys are said with what to do, and are left as they are", async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-keys-"));
  const file = path.join(folder, "broker-keys.json");
  try {
    for (const text of ["", "{bad", "null", '{"origin":"m"}']) {
      await writeFile(file, text);
      await expect(loadBrokerKeys(file, "m")).rejects.toThrow(/broker-keys\.json does not hold the broker's keys.*put back your copy/);
      expect(await readFile(file, "utf8")).toBe(text);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
