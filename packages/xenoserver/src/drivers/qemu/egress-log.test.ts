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

describe("the log of what guests connect to", () => {
  it("is read as it was written, and counts this month's bytes", async () => {
    expect(await readEgressLog(folder)).toEqual([]);
    const log = new EgressLog(folder, () => {});
    await log.open();
    log.record(connection);
    log.record({ ...connection, name: "example.org", bytes: 5 });
    await log.written();
    expect(await readEgressLog(folder)).toEqual([connection, { ...connection, name: "example.org", bytes: 5 }]);
    const later = new EgressLog(folder, () => {});
    await later.open();
    expect(later.bytesThisMonth).toBe(12);
  });

  it.each(["{", "7", '{"lease":"l"}'])("is refused by the file's name where a line is no connection: %s", async (line) => {
    await writeFile(path.join(folder, "egress.jsonl"), `${JSON.stringify(connection)}\n${line}\n`);
    await expect(readEgressLog(folder)).rejects.toThrow(/egress\.jsonl holds a line that is no connection/);
  });
});
