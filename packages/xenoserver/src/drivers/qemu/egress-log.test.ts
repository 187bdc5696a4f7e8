import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EgressLog, readEgressLog } from "./egress-log.ts";

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
});
