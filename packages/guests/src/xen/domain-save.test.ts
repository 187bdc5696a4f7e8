/** A domain that is saved, beside a toolstack that only keeps state: it goes on whatever happens, and what ends is not its guest's doing. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { until } from "../../../../test/until.ts";
import type { Domain } from "./domain.ts";
import { Domains } from "./domains.ts";
import type { DomainPlan } from "./domain-config.ts";
import { layOutSaved } from "./domain-fork.ts";
import { DomainSaving, savedKind } from "./domain-save.ts";
import { openTerminal, type Terminal } from "./terminal.fixture.ts";
import { RATES, Toolstack } from "./toolstack.fixture.ts";
import { trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";
import { thoroughly } from "../../../../test/thorough.ts";

const [LEASE, OTHER, FORK, KERNEL] = ["ab".repeat(32), "ef".repeat(32), "cd".repeat(32), "11".repeat(32)];
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: KERNEL, engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};

const JOB = { customer: "cd".repeat(32), inputs: { entries: [], mounts: [] }, spareMib: 128 };

describe("a domain that is saved", () => {
  let folder: string;
  let toolstack: Toolstack;
  let terminal: Terminal;
  let domains: Domains;
  let domain: Domain;
  const snapshot = (): string => path.join(folder, "kept", "snapshot");

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-save-"));
    await writeFile(path.join(folder, KERNEL), trialKernel());
    toolstack = new Toolstack();
    terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    domains = new Domains({
      ...{ xl: new Xl(toolstack.run, toolstack.apart), kind: "pv", loader: null, stock: null, card: null, emulates: false, log: () => {} },
      ...{ folder: path.join(folder, "domains"), rates: RATES, cache: { folder: path.join(folder, "cache"), bytesMax: 0 } },
      consoleDaemon: { name: "perl", settledSeconds: 0 },
    });
    await domains.open([]);
    domain = await domains.prepare({ ...JOB, name: LEASE, spec: SPEC, blobFile: (digest) => path.join(folder, digest) });
    await domain.begin();
  });
  afterEach(async () => {
    await domain.kill();
    domains.close();
    terminal.close();
    await rm(folder, { recursive: true, force: true });
  });
  const isOver = (of: Domain): Promise<boolean> => Promise.race([of.ended.then(() => true), Promise.resolve(false)]);

  thoroughly(
    "goes on, whoever looks at it while its kernel is suspended, and another goes on from there under a name of its own",
    async () => {
      let held = Promise.resolve();
      toolstack.whileSaving = async () => {
        held = domain.pause().then(() => domain.resume()); // asked for meanwhile, and done afterwards
        const before = toolstack.calls.length;
        // one that begins has all of them looked at
        const other = await domains.prepare({ ...JOB, name: OTHER, spec: SPEC, blobFile: (digest) => path.join(folder, digest) });
        const lists = () => toolstack.calls.filter((call) => call === "xl list -v").length;
        const base = lists();
        await other.begin();
        await until(() => lists() >= base + 2); // its own number, then the look
        for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
        await other.kill();
        expect(toolstack.calls.slice(before)).not.toContain("xl pause 1");
      };
      await domain.snapshot(snapshot());
      await held;
      expect(toolstack.calls).toContain("xl pause 1");
      expect(toolstack.domains).toMatchObject([{ shutdown: null }]);
      expect(await isOver(domain)).toBe(false);
      expect(await savedKind(snapshot())).toBe("pv");
      expect(await readdir(path.join(folder, "kept"))).toEqual(["snapshot"]);

      const files = domain.bootFiles();
      const from = { spec: SPEC, state: path.join(snapshot(), "state"), disk: null };
      const ordered: VmSpec = { ...SPEC, vm: { kind: "snapshot", snapshot: FORK } };
      const fork = await domains.prepare({ ...JOB, name: FORK, spec: ordered, blobFile: (digest) => files.get(digest)!, from });
      expect(toolstack.restored).toEqual([`state of ${domain.token.name}`]);
      const [one, two] = toolstack.domains;
      expect(two!.name).not.toBe(one!.name);
      expect(two!.uuid).not.toBe(one!.uuid);
      expect(toolstack.calls.filter((call) => /^xenstore-write \/local\/domain\/3\/vm-data\/seed [0-9a-f]{64}$/.test(call))).toHaveLength(
        1,
      );
      await rm(path.join(folder, "kept"), { recursive: true });

      // the next daemon finds it, and what it boots should it restart, with the snapshot gone
      await fork.begin();
      toolstack.end(fork.token.name, "reboot");
      fork.release();
      const found = await domains.adopt(fork.token, ordered);
      await found.stop(0);
      expect(await found.ended).toEqual({ kind: "stopped" });
      expect(found.spec.vm).toEqual(SPEC.vm);
      expect(await readFile(path.join(fork.token.folder, "kernel"))).toEqual(trialKernel());
    },
  );

  it("goes on where it could not be saved, and leaves nothing", async () => {
    toolstack.unsaved = "libxl: error: guest didn't acknowledge suspend";
    toolstack.whileSaving = async () => void (toolstack.domains[0]!.shutdown = null);
    await expect(domain.snapshot(snapshot())).rejects.toThrow("didn't acknowledge suspend");
    expect(toolstack.domains).toMatchObject([{ shutdown: null, paused: false }]);
    expect(await readdir(path.join(folder, "kept"))).toEqual([]);
    expect(await isOver(domain)).toBe(false);
  });

  it("goes on once the toolstack answers again: nobody else knows that it stands still", async () => {
    const failing = ["list", "unpause", "unpause"];
    const { run } = toolstack;
    const xl = new Xl(async (program, args) => {
      const words = [args[0] ?? "", failing[0]];
      if (toolstack.domains[0]?.paused === true && words[0] === words[1]) {
        failing.shift();
        throw new Error("it does not answer");
      }
      return run(program, args);
    }, toolstack.apart);
    const found = async () => (await xl.list()).find(({ uuid }) => uuid === domain.token.uuid) ?? null;
    const plan = { kind: "pv", memoryMib: 64, disk: null } as const;
    await new DomainSaving({ xl, folder: domain.token.folder, plan, found, lost: async () => {} }).take(snapshot());
    expect(failing).toEqual([]);
    expect(toolstack.domains).toMatchObject([{ shutdown: null, paused: false }]);
    expect(await readdir(domain.token.folder)).not.toContain("saving");
  });

  it("has ended at its host's fault where it stays suspended: its guest had been asked to", async () => {
    toolstack.unsaved = "killed";
    await expect(domain.snapshot(snapshot())).rejects.toThrow("killed");
    expect(await domain.ended).toMatchObject({ kind: "host" });
  });

  /** Of the same domain, with disks. */
  const savingOf = (plan: Pick<DomainPlan, "disk" | "over" | "beside">): DomainSaving =>
    new DomainSaving({
      ...{ xl: new Xl(toolstack.run, toolstack.apart, toolstack.streams), folder: domain.token.folder },
      plan: { kind: "pv", memoryMib: 64, ...plan },
      found: async () => ({ ...(await new Xl(toolstack.run).list()).find(({ uuid }) => uuid === domain.token.uuid)! }),
      lost: async () => expect.unreachable(),
    });

  it("has what it wrote copied, and what it only reads linked; a fork has both, whatever becomes of the snapshot", async () => {
    const own = await mkdtemp(path.join(folder, "own-"));
    const [disk, base] = [path.join(own, "disk.raw"), path.join(own, "base.raw")];
    await writeFile(disk, "what it wrote");
    await writeFile(base, "the image");
    await savingOf({ disk, over: { base, name: "n", uuid: "u", diskMib: 1 } }).take(snapshot());
    await writeFile(disk, "what it wrote later");
    const fork = await mkdtemp(path.join(folder, "fork-"));
    const saved = { spec: SPEC, state: path.join(snapshot(), "state"), disk: path.join(snapshot(), "disk.raw") };
    await layOutSaved(saved, { folder: fork, file: path.join(fork, "disk.raw"), signal: undefined });
    await rm(snapshot(), { recursive: true });
    expect(await readFile(path.join(fork, "disk.raw"), "utf8")).toBe("what it wrote");
    expect((await stat(path.join(fork, "base.raw"))).ino).toBe((await stat(base)).ino);
  });

  it("goes on where its disk could not be copied, which it waits for paused", async () => {
    await expect(savingOf({ disk: path.join(folder, "no disk") }).take(snapshot())).rejects.toThrow("no disk");
    expect(toolstack.domains).toMatchObject([{ shutdown: null, paused: false }]);
    expect(await readdir(path.join(folder, "kept"))).toEqual([]);
  });

  it("is not saved while it is paused, nor twice at once", async () => {
    await domain.pause();
    await expect(domain.snapshot(snapshot())).rejects.toThrow("resume it first");
    await domain.resume();
    toolstack.whileSaving = () => expect(domain.snapshot(snapshot())).rejects.toThrow("is being taken");
    await domain.snapshot(snapshot());
  });

  it("is not asked to restart while it is sent elsewhere: that would be said to be done, and not done there", async () => {
    const state = domain.carrying.still();
    const next = state.next().catch(() => {}); // of what is run for it there is nothing here
    await expect(domain.reboot()).rejects.toThrow("ask again in a moment");
    await next;
    await state.return(undefined);
    expect(toolstack.calls.filter((call) => call.includes("reboot"))).toEqual([]);
  });

  it("is not made to stand still by the next daemon where its sending was never begun", async () => {
    const none = (): Promise<never> => Promise.reject(new Error("no space left on device"));
    const xl = new Xl(toolstack.run, toolstack.apart, { ...toolstack.streams, still: none, live: none });
    const { folder: own, uuid } = domain.token;
    const found = async () => ({ ...(await xl.list()).find((each) => each.uuid === uuid)! });
    const saving = new DomainSaving({ xl, folder: own, plan: { kind: "pv", memoryMib: 64, disk: null }, found, lost: async () => {} });
    for (const state of [saving.still(() => {}), saving.live(() => {})]) await expect(state.next()).rejects.toThrow("no space left");
    expect(await readdir(own)).not.toContain("saving");
    domain.release();
    domain = await domains.adopt(domain.token, SPEC);
    expect(toolstack.domains).toMatchObject([{ shutdown: null, paused: false }]);
  });

  it("is sent elsewhere once a snapshot of it is there, and none is taken after that", async () => {
    const saving = savingOf({ disk: null });
    const came: string[] = [];
    let [sent, free]: Promise<unknown>[] = [];
    toolstack.whileSaving = async () => {
      toolstack.whileSaving = async () => {};
      free = saving.free();
      free.catch(() => {}); // waited for below
      sent = saving
        .still(() => came.push("had"))
        .next()
        .then(() => came.push("sent"));
      sent.catch(() => {}); // waited for below
      await expect(saving.take(`${snapshot()}-2`)).rejects.toThrow("ask again in a moment");
      await expect(saving.still(() => {}).next()).rejects.toThrow("is being moved");
      await expect(saving.free()).rejects.toThrow("ask again in a moment");
      came.push("saved");
    };
    await saving.take(snapshot());
    expect(saving.isUnderWay).toBe(true);
    await expect(free).rejects.toThrow("ask again in a moment");
    await sent;
    expect(came[0]).toBe("saved");
    expect(await readdir(path.join(folder, "kept"))).toEqual(["snapshot"]);
  });

  it("whose daemon is killed goes on once what saves it has ended, and the snapshot is left out", async () => {
    const part = `${snapshot()}.part`;
    const state = path.join(part, "state");
    await mkdir(part, { recursive: true });
    await writeFile(path.join(domain.token.folder, "saving"), state);
    domain.release();
    const saver = spawn("sh", ["-c", "read line", "xl", state], { stdio: ["pipe", "ignore", "ignore"] });
    await new Promise((resolve) => saver.once("spawn", resolve));
    const [listed] = toolstack.domains;
    listed!.shutdown = "suspend";
    let found: Domain | null = null;
    const adopting = domains.adopt(domain.token, SPEC).then((each) => (found = each));
    await new Promise((resolve) => setImmediate(resolve));
    expect(found).toBeNull();
    Object.assign(listed!, { shutdown: null, paused: true });
    saver.stdin.end("\n");
    domain = await adopting;
    await until(async () => !listed!.paused);
    expect(await isOver(domain)).toBe(false);
    expect(await readdir(path.join(folder, "kept"))).toEqual([]);
    expect(await readdir(domain.token.folder)).not.toContain("saving");
  });
});
