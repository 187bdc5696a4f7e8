import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bytesBlob, type SourceEntry } from "../blob.ts";
import { zonesOf } from "./zones.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-zones-"));
  await mkdir(path.join(folder, "Europe"));
  for (const name of ["UTC", "Europe/London", "Europe/Oslo"]) await writeFile(path.join(folder, name), "TZif2");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const module = (path: string, text: string): SourceEntry => ({ path, kind: "file", blob: bytesBlob(new TextEncoder().encode(text)) });
const names = async (source: string, ...brought: SourceEntry[]): Promise<string[]> =>
  (await zonesOf(folder, `import zoneinfo\n${source}`, brought)).map((entry) => entry.path).sort();
const namesBeside = async (source: string, ...brought: SourceEntry[]): Promise<string[]> =>
  (await zonesOf(folder, source, brought)).map((entry) => entry.path).sort();
const ALL = ["Europe", "Europe/London", "Europe/Oslo", "UTC"];

test("the zones that a script names come along, and UTC", async () => {
  expect(await names(`ZoneInfo("Europe/Oslo")`)).toEqual(["Europe", "Europe/Oslo", "UTC"]);
});

test("a script that names none of them, or a text that only looks like one, has all", async () => {
  expect(await names(`ZoneInfo(sys.argv[1])`)).toEqual(ALL);
  expect(await names(`open("Data/in"); ZoneInfo(name)`)).toEqual(ALL);
});

test("a script that names one, and may want others besides, has all", async () => {
  for (const more of [
    `ZoneInfo(row["zone"])`,
    `ZoneInfo(f"Europe/{city}")`,
    `zoneinfo.available_timezones()`,
    `ZoneInfo.no_cache(args.zone)`,
  ])
    expect(await names(`home = ZoneInfo("Europe/Oslo"); ${more}`), more).toEqual(ALL);
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
  expect(await zonesOf(path.join(folder, "absent"), `from zoneinfo import ZoneInfo; ZoneInfo("Europe/Oslo")`, [])).toEqual([]);
});

test("a script that speaks of no zones, beside modules that speak of none, has none", async () => {
  expect(await namesBeside(`print("Europe/Oslo")`, module("own.py", "x = 1"), module("data/zones.txt", "zoneinfo"))).toEqual([]);
});

test("zones come for a module that speaks of them, as a library's does that looks into their folder by itself", async () => {
  const library = module("dateutil/tz/tz.py", `TZPATHS = ["/usr/share/zoneinfo"]`);
  expect(await namesBeside(`tz.gettz("Europe/Oslo")`, library)).toEqual(["Europe", "Europe/Oslo", "UTC"]);
  expect(await namesBeside(`tz.gettz(sys.argv[1])`, library)).toEqual(ALL);
  expect(await namesBeside(`a = tz.gettz("Europe/Oslo"); b = tz.gettz(row["zone"])`, library)).toEqual(ALL);
});

test("a module's own zones come beside the script's, and all where a module may want any", async () => {
  const own = module("own.py", `from zoneinfo import ZoneInfo\nHOME = ZoneInfo("Europe/London")`);
  expect(await namesBeside(`import own; print(own.at("Europe/Oslo"))`, own)).toEqual(ALL);
  expect(await namesBeside(`import own; print(own.HOME)`, own)).toEqual(ALL);
  const any = module("any.py", `from zoneinfo import ZoneInfo\nat = lambda row: ZoneInfo(row["zone"])`);
  expect(await namesBeside(`any.at({"zone": "Europe/Oslo"})`, any)).toEqual(ALL);
});

test("beside more modules than are read, all zones come", async () => {
  const large = module("large.py", `x = "${"y".repeat(8 * 2 ** 20)}"`);
  expect(await namesBeside(`print(1)`, large)).toEqual(ALL);
});
