/** What xl speaks with in place of the other host is a line of sh(1); and a domain that is sent, beside a toolstack that keeps state. */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DomainSaving } from "./domain-save.ts";
import { otherEnd } from "./live-save.ts";
import { savedState } from "./save-stream.fixture.ts";
import { Toolstack } from "./toolstack.fixture.ts";
import { Xl } from "./xl.ts";

describe("the other end of a domain that is sent", () => {
  const started = () => {
    const child = spawn("sh", ["-c", otherEnd("xeno-0123")], { stdio: ["pipe", "pipe", "inherit", "pipe", "pipe"] });
    return { child, out: child.stdio[3] as Readable, until: child.stdio[4] as Writable };
  };

  it("says what xl waits for, passes on what it sends, and ends when it is told, with all that it started", async () => {
    const { child, out, until } = started();
    const [banner] = (await once(child.stdout!, "data")) as [Buffer];
    expect(String(banner)).toBe("xl migration receiver ready, send binary domain data.\n");
    child.stdin!.write("a domain");
    expect(String((await once(out, "data"))[0])).toBe("a domain");
    until.end();
    // nobody has a pipe of its open any more
    const [code] = await Promise.all([once(child, "close").then(([said]) => said as number), once(out, "close")]);
    expect(code).toBe(0);
  });

  it("ends where this program does", async () => {
    const { child, out, until } = started();
    await once(child.stdout!, "data");
    out.destroy();
    until.destroy();
    await once(child, "exit");
  });
});

describe("a domain that is sent while it runs", () => {
  const STATE = savedState([Buffer.from("pages"), Buffer.alloc(100_000, 7)], [Buffer.from("xenstore")]);
  let folder: string;
  let toolstack: Toolstack;
  let lost: string | null;
  let saving: DomainSaving;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-live-"));
    toolstack = new Toolstack();
    lost = null;
    const { uuid } = toolstack.add("xeno-0123", randomUUID());
    toolstack.domains[0]!.paused = false;
    toolstack.sent = STATE;
    const xl = new Xl(toolstack.run, toolstack.apart, toolstack.streams);
    saving = new DomainSaving({
      ...{ xl, folder, plan: { kind: "pvh", memoryMib: 64, disk: null } },
      found: async () => (await xl.list()).find((each) => each.uuid === uuid) ?? null,
      lost: async (why) => void (lost = why),
    });
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Whether it had been let go of at the moment when all of its state was had. */
  let wasStill: boolean | null;
  async function had(): Promise<Buffer> {
    wasStill = null;
    const all: Uint8Array[] = [];
    for await (const bytes of saving.live(() => (wasStill = toolstack.domains[0]!.paused))) all.push(bytes);
    return Buffer.concat(all);
  }

  it("stands still once all of it was had, and is not disturbed before", async () => {
    const sending = had();
    expect(saving.isUnderWay).toBe(true);
    expect((await sending).equals(STATE)).toBe(true);
    expect(toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
    expect([saving.isUnderWay, lost, wasStill]).toEqual([false, null, false]);
    expect(await readdir(folder)).not.toContain("saving");
  });

  it("goes on where that is cut short, in xl's words, and where nobody wants the rest", async () => {
    toolstack.sent = STATE.subarray(0, 20_000);
    toolstack.unsaved = "libxl: error: Failed to enable logdirty";
    await expect(had()).rejects.toThrow("xl migrate: libxl: error: Failed to enable logdirty");
    expect(toolstack.domains).toMatchObject([{ paused: false, shutdown: null }]);
    expect(wasStill).toBeNull();
    for await (const bytes of saving.live(() => {})) {
      expect(bytes.length).toBeGreaterThan(0);
      break;
    }
    expect(toolstack.domains).toMatchObject([{ paused: false, shutdown: null }]);
    expect([saving.isUnderWay, lost]).toEqual([false, null]);
  });

  it("goes on with the next daemon where its own was killed as it was sent, once xl has let go of it", async () => {
    const line = otherEnd(path.basename(folder));
    await writeFile(path.join(folder, "saving"), `${line}\nlive`);
    toolstack.domains[0]!.paused = true;
    const sender = spawn("sh", ["-c", "read line", "xl", line], { stdio: ["pipe", "ignore", "ignore"] });
    await once(sender, "spawn");
    const taken = saving.takeUp();
    await new Promise((resolve) => setImmediate(resolve));
    expect(toolstack.domains).toMatchObject([{ paused: true }]);
    sender.stdin.end("\n");
    await taken;
    expect(toolstack.domains).toMatchObject([{ paused: false }]);
    expect(await readdir(folder)).toEqual([]);
  });
});
