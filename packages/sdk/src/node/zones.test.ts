import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { zonesOf } from "./zones.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-zones-"));
  await mkdir(path.join(folder, "Europe"));
  for (const name of ["UTC", "Europe/London", "Europe/Oslo"]) await writeFile(path.join(folder, name), "TZif2");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const names = async (source: string): Promise<string[]> => (await zonesOf(folder, source)).map((entry) => entry.path).sort();

test("the zones that a script names come along, and UTC", async () => {
  expect(await names(`ZoneInfo("Europe/Oslo")`)).toEqual(["Europe", "Europe/Oslo", "UTC"]);
});

test("a script that names none of them, or a text that only looks like one, has all", async () => {
  const all = ["Europe", "Europe/London", "Europe/Oslo", "UTC"];
  expect(await names(`ZoneInfo(sys.argv[1])`)).toEqual(all);
  expect(await names(`open("Data/in"); ZoneInfo(name)`)).toEqual(all);
});

test("a script that names one, and may want others besides, has all", async () => {
  const all = ["Europe", "Europe/London", "Europe/Oslo", "UTC"];
  for (const more of [
    `ZoneInfo(row["zone"])`,
    `ZoneInfo(f"Europe/{city}")`,
    `zoneinfo.available_timezones()`,
    `ZoneInfo.no_cache(args.zone)`,
  ])
    expect(await names(`home = ZoneInfo("Europe/Oslo"); ${more}`), more).toEqual(all);
  expect(await names(`ZoneInfo( "Europe/Oslo" ); ZoneInfo.no_cache('Europe/Oslo'); ZoneInfo(zone)`)).toEqual([
    "Europe",
    "Europe/Oslo",
    "UTC",
  ]);
});

test("links to zones are zones; links to folders and links that lead nowhere are none", async () => {
  await symlink("London", path.join(folder, "Europe/Jersey"));
  await symlink("Europe", path.join(folder, "Europa"));
  await symlink("Gone", path.join(folder, "Europe/Atlantis"));
  expect(await names(`ZoneInfo(sys.argv[1])`)).toEqual(["Europe", "Europe/Jersey", "Europe/London", "Europe/Oslo", "UTC"]);
});

test("a machine without zones has none to bring", async () => {
  expect(await zonesOf(path.join(folder, "absent"), `ZoneInfo("Europe/Oslo")`)).toEqual([]);
});
