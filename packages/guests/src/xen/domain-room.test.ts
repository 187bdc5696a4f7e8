/** Domains on a host whose disk is full, beside a toolstack that only keeps state; on a small file system of their own, which needs root. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { until } from "../../../../test/until.ts";
import { NO_ROOM } from "../qemu/machine/full-disk.ts";
import type { Domain } from "./domain.ts";
import type { RoomRules } from "./domain-room.ts";
import { Domains } from "./domains.ts";
import { openTerminal, type Terminal } from "./terminal.fixture.ts";
import { RATES, Toolstack } from "./toolstack.fixture.ts";
import { trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;
const KERNEL = "11".repeat(32);
const RULES: RoomRules = { lowBytes: 2 * MIB, roomBytes: 3 * MIB };
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 1, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: KERNEL, engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};

describe.skipIf(process.getuid?.() !== 0)("a domain whose host's disk is full", () => {
  let folder: string;
  let terminal: Terminal;
  let toolstack: Toolstack;
  const opened: Domains[] = [];

  async function open(inUse: readonly string[], roomRules: RoomRules): Promise<Domains> {
    const domains = new Domains({
      ...{ xl: new Xl(toolstack.run, toolstack.apart), kind: "pvh", loader: null, stock: null, card: null, emulates: false },
      ...{ folder: path.join(folder, "domains"), rates: RATES, cache: { folder: path.join(folder, "cache"), bytesMax: 0 } },
      ...{ consoleDaemon: { name: "perl", settledSeconds: 0 }, roomRules, log: () => {} },
    });
    opened.push(domains);
    await domains.open(inUse);
    return domains;
  }
  /** Its disk stays a file here: the toolstack that only keeps state has nothing that opens it. */
  async function begun(over: Partial<VmSpec> = {}, rules = RULES): Promise<Domain> {
    const domains = await open([], rules);
    const spec = { ...SPEC, ...over };
    const prepared = await domains.prepare({
      ...{ name: "ab".repeat(32), customer: "cd".repeat(32), inputs: { entries: [], mounts: [] }, spareMib: 128 },
      ...{ spec: { ...spec, diskMib: 0 }, blobFile: (digest: string) => path.join(folder, digest) },
    });
    await writeFile(path.join(prepared.token.folder, "disk.raw"), "");
    await writeFile(path.join(prepared.token.folder, "progress"), "begun");
    await toolstack.run("xl", ["unpause", "1"]);
    return (await open([prepared.token.folder], rules)).adopt(prepared.token, spec);
  }
  const fill = (): Promise<void> => writeFile(path.join(folder, "full"), Buffer.alloc(7 * MIB));
  const isPaused = (): boolean => toolstack.domains[0]?.paused === true;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-room-"));
    await run("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]);
    await writeFile(path.join(folder, KERNEL), trialKernel());
    toolstack = new Toolstack();
    terminal = await openTerminal();
    toolstack.tty = terminal.tty;
  });
  afterEach(async () => {
    for (const domains of opened.splice(0)) domains.close();
    terminal.close();
    await run("umount", ["--lazy", folder]);
    await rm(folder, { recursive: true, force: true });
  });

  it("is paused before it sees an error, says so, and can be resumed where there is room, once however often it was paused", async () => {
    const domain = await begun();
    const told: (string | null)[] = [];
    domain.onStall((why) => told.push(why));
    await fill();
    await until(async () => told.length === 1);
    expect([told, isPaused()]).toEqual([[NO_ROOM], true]);
    await domain.pause(); // as its customer does
    await rm(path.join(folder, "full"));
    await until(async () => told.length === 2);
    expect(told[1]).toBeNull();
    await domain.resume();
    expect(isPaused()).toBe(false);
    await until(async () => !(await readdir(domain.token.folder)).includes("no-room"));
    await domain.kill();
  });

  it("stands still on, whatever resumes it meanwhile", async () => {
    const domain = await begun();
    await fill();
    await until(async () => isPaused());
    await toolstack.run("xl", ["unpause", "1"]);
    await until(async () => isPaused());
    await domain.kill();
  });

  it("stands still for the daemon that comes next, which says when it can be resumed", async () => {
    const first = await begun();
    await fill();
    await until(async () => (await readdir(first.token.folder)).includes("no-room") && isPaused());
    first.release();
    await rm(path.join(folder, "full"));
    const found = await (await open([first.token.folder], RULES)).adopt(first.token, SPEC);
    const told: (string | null)[] = [];
    found.onStall((why) => told.push(why));
    await until(async () => told.length === 2);
    expect(told).toEqual([NO_ROOM, null]);
    await found.kill();
  });

  it("ends at nobody's cost but its host's where nobody makes room", async () => {
    const domain = await begun({}, { ...RULES, waitMsMax: 0 });
    await fill();
    expect(await domain.ended).toEqual({ kind: "no-room" });
    expect(toolstack.domains).toEqual([]);
  });

  it("goes on where it has no disk", async () => {
    const domain = await begun({ diskMib: 0 }, { ...RULES, waitMsMax: 0 });
    await fill();
    terminal.print("hello");
    await until(async () => Buffer.from(await domain.read("stdout", 0)).toString() === "hello");
    expect(isPaused()).toBe(false);
    await domain.kill();
  });
});
