/** A backup carries everything that a market keeps, large rows too, and a damaged one restores nothing. */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { backup, check, restore } from "./backup.ts";
import { openStore, startBroker } from "./main.ts";

const BYTES = Buffer.alloc(3_000_000, "sealed ");
const ROW = { bytes: BYTES, at: 1, until: 2 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-backup-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("restores what was kept, in a new epoch", async () => {
  const [from, to, file] = [path.join(folder, "from"), path.join(folder, "to"), path.join(folder, "market.backup")];
  const broker = await startBroker({ dataFolder: from });
  for (const lease of ["l1", "l2"])
    for (const part of [0, 1])
      expect(await broker.store.putSealed({ ...ROW, lease, part, owner: lease, digest: lease }, BYTES.length * 8)).toBe(lease);
  await broker.close();
  await backup({ dataFolder: from }, file);
  const whole = await readFile(file);
  await writeFile(`${file}.cut`, whole.subarray(0, whole.length - 20));
  await expect(restore({ dataFolder: to }, `${file}.cut`)).rejects.toThrow("is no whole backup");
  expect(await restore({ dataFolder: to }, file)).toMatchObject({ epoch: 2 });
  expect((await check({ dataFolder: to })).problems).toEqual([]);
  const { store, close } = await openStore({ dataFolder: to });
  for (const lease of ["l1", "l2"]) expect(BYTES.equals((await store.getSealed(lease, 1))?.bytes ?? new Uint8Array())).toBe(true);
  await close();
});
