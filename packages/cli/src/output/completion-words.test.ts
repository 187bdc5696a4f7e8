import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { noteContexts, noteLease, noteLeases, notedLeases } from "./completion-words.ts";

let data: string;
beforeEach(async () => void (data = await mkdtemp(path.join(tmpdir(), "xeno-words-"))));
afterEach(() => rm(data, { recursive: true, force: true }));

const contexts = (): Promise<string> => readFile(path.join(data, "completion/contexts"), "utf8");
const leases = async (): Promise<string[]> => (await notedLeases(data)).sort();

it("keeps words that no shell gives a meaning, and lets go of what ends", async () => {
  await noteContexts(data, async () => ["market.example", "$(touch x)", "a b", "`id`", "x\ny", "market.example", ""]);
  expect(await contexts()).toBe("market.example\n");
  await noteLeases(data, ["aaaaaaaaaaaaaaaa"], []);
  await noteLease(data, "bbbbbbbbbbbbbbbb", true);
  expect(await leases()).toEqual(["aaaaaaaaaaaa", "bbbbbbbbbbbb"]);
  await noteLease(data, "aaaaaaaaaaaaaaaa", false);
  expect(await leases()).toEqual(["bbbbbbbbbbbb"]);
});

it("makes and removes no file but a lease's own, whatever a broker calls one", async () => {
  await mkdir(path.join(data, "completion/leases"), { recursive: true });
  await writeFile(path.join(data, "completion/contexts"), "mine\n");
  for (const id of ["../contexts", "..", ".", "", "a/b", "$(id)aaaaaaaa", "AAAAAAAAAAAA"]) {
    await noteLease(data, id, true);
    await noteLeases(data, [id], []);
    await noteLease(data, id, false);
  }
  expect([await contexts(), await leases(), await readdir(path.join(data, "completion"))]).toEqual(["mine\n", [], ["contexts", "leases"]]);
});

it("loses no lease of commands that note at once, nor one that begins while others are listed", async () => {
  const apart = Array.from({ length: 50 }, (_, i) => `${(i + 16).toString(16)}${"c".repeat(14)}`);
  await Promise.all(apart.map((id) => noteLease(data, id, true)));
  expect(await leases()).toHaveLength(50);
  const before = await notedLeases(data);
  await noteLease(data, "dddddddddddddddd", true);
  await noteLeases(data, [apart[0]!, "eeeeeeeeeeeeeeee"], before);
  expect(await leases()).toEqual([apart[0]!.slice(0, 12), "dddddddddddd", "eeeeeeeeeeee"].sort());
});

it("loses no context of two that are added at once", async () => {
  let kept = ["one"];
  await noteContexts(data, async () => {
    const read = kept;
    // another login, between what was read and what is written
    if (kept.length === 1) {
      kept = ["one", "two"];
      await noteContexts(data, async () => kept);
    }
    return read;
  });
  expect(await contexts()).toBe("one\ntwo\n");
});

it("keeps no more than are of use, the newest", async () => {
  const folder = path.join(data, "completion/leases");
  await mkdir(folder, { recursive: true });
  for (let i = 0; i < 210; i++) {
    const file = path.join(folder, i.toString(16).padStart(12, "0"));
    await writeFile(file, "");
    await utimes(file, i, i);
  }
  await noteLease(data, "ffffffffffffffff", true);
  const left = await leases();
  expect([left.length, left[0], left.at(-1)]).toEqual([200, (11).toString(16).padStart(12, "0"), "ffffffffffff"]);
});

it("fails nobody where a file lies in its folder's place", async () => {
  await writeFile(path.join(data, "completion"), "");
  await noteLease(data, "aaaaaaaaaaaaaaaa", true);
  await noteLeases(data, ["aaaaaaaaaaaaaaaa"], ["bbbbbbbbbbbb"]);
  await noteContexts(data, async () => ["one"]);
  expect(await leases()).toEqual([]);
});
