import { mkdtemp, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { dropMap, dropOldMaps, namelessMap, openMapPlace } from "./map-place.ts";

/** No process has it: kernels of Linux count to 2^22. */
const NOBODY = 4_194_305;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-map-"));
  vi.stubEnv("XENO_HOME", folder);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});
const at = (...names: string[]): string => path.join(folder, "data/maps/n", ...names);

it("is one program's at a time, for its user alone, and is left as it was", async () => {
  const place = await openMapPlace("n");
  await expect(openMapPlace("n")).rejects.toMatchObject({
    code: "in_use",
    message: expect.stringContaining(`${process.pid}`) as string,
  });
  await place.write("a\n");
  await place.append("b\n");
  await place.write("c\n");
  await place.append("d\n");
  await place.append("e\n");
  await place.writeResult("k", "r");
  expect((await stat(at("journal.jsonl"))).mode & 0o777).toBe(0o600);
  expect((await stat(at())).mode & 0o777).toBe(0o700);
  await place.close();
  const again = await openMapPlace("n");
  expect([await again.read(), await again.readResult("k"), await again.readResult("other")]).toEqual(["c\nd\ne\n", "r", null]);
  await again.close();
  await dropMap("n");
  expect(await readdir(path.join(folder, "data/maps"))).toEqual([]);
});

it("goes a month after a map without a name was killed; what is named, new or open stays", async () => {
  const [old, held, recent] = [namelessMap(), namelessMap(), namelessMap()];
  const month = 31 * 24 * 60 * 60 * 1_000;
  for (const name of [old, held, recent, "n"]) {
    const place = await openMapPlace(name);
    await place.write("a\n");
    if (name !== held) await place.close();
  }
  await dropOldMaps();
  expect((await readdir(path.join(folder, "data/maps"))).sort()).toEqual([old, held, recent, "n"].sort());
  await writeFile(path.join(folder, "data/maps", old, "lock"), String(NOBODY));
  await utimes(path.join(folder, "data/maps", recent, "journal.jsonl"), new Date(), new Date(Date.now() + month));
  await dropOldMaps(Date.now() + month);
  expect((await readdir(path.join(folder, "data/maps"))).sort()).toEqual([held, recent, "n"].sort());
});

it("is taken over from a program that is no more, by one of those that find it, whenever they look", async () => {
  for (let round = 0; round < 20; round++) {
    const place = await openMapPlace("n");
    await writeFile(at("lock"), String(NOBODY));
    // another was killed as it took one over
    if (round % 2 === 0) await writeFile(at("lock.clearing"), String(NOBODY));
    const opened = await Promise.allSettled(Array.from({ length: 8 }, () => openMapPlace("n")));
    expect(opened.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await place.close();
    expect(await readdir(at())).toEqual([]);
  }
});

it("is not begun anew where an earlier version has ordered something under its name", async () => {
  const place = await openMapPlace("n");
  await writeFile(at("journal.json"), "{}");
  await expect(place.read()).rejects.toMatchObject({ code: "kept_differs" });
  await place.write("a\n");
  expect(await place.read()).toBe("a\n");
  await place.close();
});
