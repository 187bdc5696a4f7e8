import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EgressLog, fairShare, readEgressLog } from "./egress-log.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-egress-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const now = Date.now();
const connection = { at: now, lease: "l", address: "192.0.2.1", port: 443, name: null, from: 40_000, bytes: 7, endedAt: now };

async function all(): Promise<{ found: unknown[]; unreadable: string[] }> {
  const unreadable: string[] = [];
  const found: unknown[] = [];
  for await (const each of readEgressLog(folder, (line) => unreadable.push(line))) found.push(each);
  return { found, unreadable };
}

describe("the log of what guests connect to", () => {
  it("is read as it was written, and counts this month's bytes", async () => {
    expect((await all()).found).toEqual([]);
    const log = new EgressLog(folder, () => {});
    await log.open();
    log.record(connection);
    log.record({ ...connection, name: "example.org", bytes: 5 });
    await log.written();
    expect((await all()).found).toEqual([connection, { ...connection, name: "example.org", bytes: 5 }]);
    const later = new EgressLog(folder, () => {});
    await later.open();
    expect(later.bytesThisMonth).toBe(12);
  });

  it.each(["{", "7", '{"lease":"l"}'])("is read on where a line is no connection, which its owner is told: %s", async (line) => {
    const file = path.join(folder, "egress.jsonl");
    await writeFile(file, `${JSON.stringify(connection)}\n${line}`);
    const told: unknown[] = [];
    const log = new EgressLog(folder, (what, facts) => told.push([what, facts]));
    await log.open();
    log.record({ ...connection, bytes: 9 });
    await log.written();
    expect(told).toEqual([[expect.stringContaining("cannot be read"), { file, lines: 1 }]]);
    expect(log.bytesThisMonth).toBe(16);
    expect(await all()).toEqual({ found: [connection, { ...connection, bytes: 9 }], unreadable: [line] });
  });

  it("is bounded: who floods it loses its own oldest lines, and the month's bytes still count", async () => {
    await rm(path.join(folder, "egress.jsonl"));
    const told: string[] = [];
    const open = async (): Promise<EgressLog> => {
      const log = new EgressLog(folder, (what) => told.push(what), { bytesMax: 20_000, ageMsMax: 86_400_000 });
      await log.open();
      return log;
    };
    const log = await open();
    log.record({ ...connection, lease: "quiet", port: 1 });
    for (let i = 0; i < 1_000; i++) log.record({ ...connection, lease: "flood", from: i });
    log.record({ ...connection, lease: "quiet", port: 2 });
    await log.written();
    expect((await stat(path.join(folder, "egress.jsonl"))).size).toBeLessThan(20_500);
    const found = (await all()).found as (typeof connection)[];
    expect(found.filter(({ lease }) => lease === "quiet").map(({ port }) => port)).toEqual([1, 2]);
    const flood = found.filter(({ lease }) => lease === "flood").map(({ from }) => from);
    expect(flood.length).toBeGreaterThan(50);
    expect(flood).toEqual(Array.from({ length: flood.length }, (_, i) => 1_000 - flood.length + i));
    expect(log.bytesThisMonth).toBe(7 * 1_002);
    expect((await open()).bytesThisMonth).toBe(7 * 1_002);
    expect(told.every((what) => what.includes("some of it went"))).toBe(true);
    expect((await stat(path.join(folder, "egress.jsonl"))).mode & 0o777).toBe(0o600);
  });

  it("forgets what is too old when it is opened", async () => {
    const lines = [now - 90_000_000, now].map((endedAt) => JSON.stringify({ ...connection, endedAt }));
    await writeFile(path.join(folder, "egress.jsonl"), `${lines.join("\n")}\n`);
    await new EgressLog(folder, () => {}, { bytesMax: 20_000, ageMsMax: 86_400_000 }).open();
    expect((await readFile(path.join(folder, "egress.jsonl"), "utf8")).split("\n")).toHaveLength(2);
    expect((await all()).found).toEqual([connection]);
    expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });

  it("says where it cannot be shortened, and loses nothing", async () => {
    await rm(path.join(folder, "egress.jsonl"));
    await rm(path.join(folder, "egress-month.json"), { force: true });
    const told: string[] = [];
    const log = new EgressLog(folder, (what) => told.push(what), { bytesMax: 2_000, ageMsMax: 86_400_000 });
    await log.open();
    await mkdir(path.join(folder, "egress-month.json", "in the way"), { recursive: true });
    for (let i = 0; i < 20; i++) log.record({ ...connection, from: i });
    await log.written();
    // not at each line again
    expect(told.length).toBeLessThan(5);
    for (const what of told) expect(what).toContain("cannot be shortened");
    expect((await all()).found).toHaveLength(20);
    expect((await readdir(folder)).filter((name) => name.endsWith(".part"))).toEqual([]);
  });
});

it.each([
  [[], 9, Infinity],
  [[1, 2], 3, Infinity],
  [[1, 100, 100], 21, 10],
  [[5, 5], 4, 2],
])("of %j, to have %i together, each may have %d", (sizes, target, share) => expect(fairShare(sizes, target)).toBe(share));
