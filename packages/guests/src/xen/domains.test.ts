/** A server's domains beside a toolstack that only keeps state: whose they are, how they end, and what a daemon that comes later finds. */
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, open as openFile, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { until } from "../../../../test/until.ts";
import { hashedFiles } from "../hashed-files.ts";
import type { Domain } from "./domain.ts";
import type { DomainToken } from "./domain-token.ts";
import { Domains, domainProblem } from "./domains.ts";
import { domainName, domainUuid } from "./domain-names.ts";
import { openTerminal } from "./terminal.fixture.ts";
import { RATES, Toolstack } from "./toolstack.fixture.ts";
import { trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";

const LEASE = "ab".repeat(32);
const NAME = domainName(LEASE);
const [KERNEL, RAMDISK] = ["11".repeat(32), "22".repeat(32)];
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: RAMDISK, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: KERNEL, engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};

const IMAGE = {
  ...{ kind: "oci", image: KERNEL, layers: [{ digest: KERNEL, compression: "none" }], args: ["sh"], env: [], workdir: "/", user: "" },
  hostname: "",
} satisfies VmSpec["vm"];
const NOTHING_ELSE = { loader: null, stock: null, card: null, emulates: false };
const JOB = { customer: "cd".repeat(32), inputs: { entries: [], mounts: [] }, spareMib: 128 };

describe("a server's domains", () => {
  let folder: string;
  let toolstack: Toolstack;
  let domains: Domains;
  const opened: Domains[] = [];
  const log: string[] = [];

  /** As the next daemon would. */
  async function open(inUse: readonly string[] = [], run = toolstack.run): Promise<Domains> {
    const all = new Domains({
      ...{ xl: new Xl(run, toolstack.apart), kind: "pvh", ...NOTHING_ELSE, folder: path.join(folder, "domains") },
      rates: RATES,
      cache: { folder: path.join(folder, "cache"), bytesMax: 0 },
      consoleDaemon: { name: "perl", settledSeconds: 0 },
      log: (what) => void log.push(what),
    });
    opened.push(all);
    await all.open(inUse);
    return all;
  }
  const prepare = (over: Partial<VmSpec> = {}, lease = LEASE): Promise<Domain> =>
    domains.prepare({ ...JOB, name: lease, spec: { ...SPEC, ...over }, blobFile: (digest) => path.join(folder, digest) });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-domains-"));
    await writeFile(path.join(folder, KERNEL), trialKernel());
    await writeFile(path.join(folder, RAMDISK), "ramdisk");
    toolstack = new Toolstack();
    domains = await open();
  });
  afterEach(async () => {
    for (const all of opened.splice(0)) all.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("are made paused, and nothing of one is left when it is not begun", async () => {
    const domain = await prepare();
    expect(toolstack.domains).toMatchObject([{ name: NAME, paused: true }]);
    expect(toolstack.domains[0]!.config).toContain('type="pvh"');
    await domain.dispose();
    expect(toolstack.domains).toEqual([]);
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });

  it("begin by two calls of xl, beside what says which they are", async () => {
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const domain = await prepare();
    await domain.begin();
    // who waits for it is told before it is looked at
    expect(toolstack.calls.at(-1)).toBe("xl unpause 1");
    const from = toolstack.calls.findIndex((call) => call.startsWith("xl create"));
    const until = toolstack.calls.findIndex((call) => call.startsWith("xl unpause"));
    // on a host whose xenstore has a socket neither of those between is a process
    expect(toolstack.calls.slice(from + 1, until)).toEqual(["xl list -v", "xenstore-read /local/domain/1/console/tty"]);
    await domain.kill();
    terminal.close();
  });

  it("have their console kept while the rest of them is made, and by nobody once they are let go", async () => {
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const domain = await prepare();
    const kept = path.join(domain.token.folder, "console.json");
    await until(async () => (await readFile(kept, "utf8").catch(() => "")) !== "");
    const { id } = JSON.parse(await readFile(kept, "utf8")) as { id: { pid: number } };
    expect(toolstack.domains).toMatchObject([{ paused: true }]);
    await domain.dispose();
    expect(() => process.kill(id.pid, 0)).toThrow("ESRCH");
    terminal.close();
  });

  it("that have no console yet are let go at once", async () => {
    const domain = await prepare();
    await domain.dispose();
    expect(toolstack.domains).toEqual([]);
  });

  it("of which a kernel is given boot the file that was hashed, which is still known once they are gone", async () => {
    const kernel = path.join(folder, KERNEL);
    await writeFile(kernel, Buffer.concat([trialKernel(), Buffer.alloc(1024 * 1024)]));
    const digest = await hashedFiles.digestOf(kernel);
    const domain = await prepare();
    expect((await stat(path.join(domain.token.folder, "kernel"))).ino).toBe((await stat(kernel)).ino);
    await domain.dispose();
    const handle = await openFile(kernel, "r");
    const reads = vi.spyOn(Object.getPrototypeOf(handle) as typeof handle, "read");
    await handle.close();
    expect(await hashedFiles.digestOf(kernel)).toBe(digest);
    expect(reads).not.toHaveBeenCalled();
    reads.mockRestore();
  });

  it("that boot a kernel of their own have no console beside their first, which a kernel that is saved does not live with", async () => {
    const domain = await prepare();
    expect(domain.sessions).toBeNull();
    expect(toolstack.calls.join("\n")).not.toContain("/console/1");
  });

  it("are the only ones that are destroyed when a daemon opens, but for those of leases", async () => {
    const mark = await readFile(path.join(folder, "domains", "mark"), "utf8");
    const stray = domainName("cd".repeat(32));
    toolstack.add(stray, domainUuid(mark, stray));
    toolstack.add(domainName("ef".repeat(32)), randomUUID());
    toolstack.add("web", domainUuid("another server", "web"));
    toolstack.add("(null)", domainUuid(mark, domainName("12".repeat(32)))); // half made
    const domain = await prepare();
    await open([domain.token.folder]);
    expect(toolstack.domains.map(({ name }) => name)).toEqual([domainName("ef".repeat(32)), "web", NAME]);
    expect(log).toContain("a domain of no lease is destroyed");
  });

  it.each([
    ["poweroff", { kind: "shutdown", isReset: false }],
    ["crash", { kind: "panic", detail: "" }],
    ["suspend", { kind: "panic" }],
  ] as const)("that ended while no daemon ran have ended by %s", async (reason, end) => {
    const domain = await prepare();
    await writeFile(path.join(domain.token.folder, "progress"), "begun");
    toolstack.end(NAME, reason);
    const found = await domains.adopt(domain.token, SPEC);
    expect(await found.ended).toMatchObject(end);
    expect(toolstack.domains).toEqual([]);
    // and the daemon after that one says the same
    expect(await (await domains.adopt(domain.token, SPEC)).ended).toMatchObject(end);
  });

  describe("of images", () => {
    /** As one that has begun, with its answer on its disk. */
    async function answered(): Promise<DomainToken> {
      const { token } = await prepare();
      const jobToken = "ab".repeat(16);
      const body = Buffer.concat([Buffer.from(`\n${jobToken} 9\n`), Buffer.from([0, 0, 0, 0, 1])]);
      const head = Buffer.alloc(512);
      head.write(`xeno-answer whole ${body.length}\n`);
      for (const [name, bytes] of [
        ["answer.raw", Buffer.concat([head, body])],
        ["console.log", "boots\n\x101out\x102err"],
        ...["disk.raw", "job.raw", "layer0.sqfs"].map((each) => [each, ""] as const),
        ["progress", "begun"],
      ] as const)
        await writeFile(path.join(token.folder, name), bytes);
      Object.assign(toolstack.domains[0]!, { paused: false, pauses: 0 });
      return { ...token, jobToken, diskMib: 1 };
    }
    const adopt = (token: DomainToken): Promise<Domain> => domains.adopt(token, { ...SPEC, vm: IMAGE });

    it("have the answer that lies on their disk, now and later, and what was sold for their time goes", async () => {
      const token = await answered();
      toolstack.end(NAME, "poweroff");
      for (let daemon = 0; daemon < 2; daemon++) {
        const found = await adopt(token);
        expect(await found.ended).toMatchObject({ kind: "job", exitCode: 9, stopped: false });
        expect(Buffer.from(await found.read("stdout", 0)).toString()).toBe("out");
        expect(Buffer.from(await found.read("stderr", 1)).toString()).toBe("rr");
      }
      expect((await readdir(token.folder)).filter((name) => /\.(?:raw|sqfs)$/.test(name))).toEqual([]);
    });

    it("are kept by no snapshot: what they have beside their own disk would be another's too", async () => {
      const token = await answered();
      toolstack.end(NAME, "poweroff");
      const found = await adopt(token);
      await expect(found.snapshot(path.join(folder, "kept"))).rejects.toThrow("a domain of an image cannot be kept here");
      expect(toolstack.calls.some((call) => call.startsWith("xl save"))).toBe(false);
    });

    it("are asked to end, going on where they stood still, and what they left is kept", async () => {
      const token = await answered();
      const terminal = await openTerminal();
      toolstack.tty = terminal.tty;
      toolstack.domains.find(({ name }) => name === NAME)!.paused = false;
      const found = await adopt(token);
      await found.pause();
      await found.pause(); // once is enough: Xen counts them
      await found.stop(60_000);
      expect(await found.ended).toMatchObject({ kind: "job", exitCode: 9, stopped: true });
      const asked = toolstack.calls.filter((call) => /^xl (?:pause|unpause|shutdown)/.test(call)).map((call) => call.split(" ")[1]);
      expect(asked).toEqual(["pause", "unpause", "shutdown"]);
      terminal.close();
    });
  });

  it("that are gone without a word are nobody's doing, and their host's where it was restarted", async () => {
    const { token } = await prepare();
    toolstack.domains.length = 0;
    await writeFile(path.join(token.folder, "progress"), "begun");
    expect(await (await domains.adopt({ ...token, boot: "another" }, SPEC)).ended).toMatchObject({ kind: "host" });
    await rm(path.join(token.folder, "end.json"));
    expect(await (await domains.adopt(token, SPEC)).ended).toMatchObject({ kind: "crashed" });
  });

  it("that cannot be taken up have ended, at their host's fault, and are gone", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "end.json"), "");
    expect(await (await domains.adopt(token, SPEC)).ended).toMatchObject({
      kind: "host",
      detail: "the domain could not be taken up again",
    });
    expect(toolstack.domains).toEqual([]);
  });

  it("whose end was written down have ended so, also where the toolstack does not destroy what is left of them", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "end.json"), JSON.stringify({ kind: "hang" }));
    const stuck = await open([token.folder], async (program, args) => {
      if (args[0] === "destroy") throw Object.assign(new Error("failed"), { stderr: "libxl: error: unable to destroy the domain\n" });
      return toolstack.run(program, args);
    });
    expect(await (await stuck.adopt(token, SPEC)).ended).toEqual({ kind: "hang" });
    expect(log).toContain("a domain could not be destroyed");
  });

  it("of no lease keep no server from opening with records that are none, as a host that lost power leaves them", async () => {
    const { folder: left } = (await prepare()).token;
    for (const name of ["console.json", "network.json", "device-model.json"]) await writeFile(path.join(left, name), "");
    await open();
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });

  it("leave no half of an image's disk to the host where their daemon is killed as it makes that", async () => {
    const own = path.join(folder, "cache", "customers", "one");
    await mkdir(own, { recursive: true });
    await writeFile(path.join(own, "disk-qcow2-ab.raw.7.123.part"), "half");
    await open();
    expect(await readdir(own)).toEqual([]);
  });

  it("go on as soon as the toolstack answers where it did not when they were resumed, and end where they are stopped meanwhile", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "progress"), "begun");
    let answers = 3;
    const deaf = await open([token.folder], async (program, args) => {
      if (args[0] === "unpause" && --answers >= 0) throw Object.assign(new Error("failed"), { stderr: "libxl: error: lock timeout\n" });
      return toolstack.run(program, args);
    });
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const found = await deaf.adopt(token, SPEC);
    await found.pause();
    await found.resume();
    expect(toolstack.domains).toMatchObject([{ paused: false }]);
    answers = Number.POSITIVE_INFINITY;
    await found.pause();
    const resuming = found.resume().catch((error: unknown) => String(error));
    await found.stop(0);
    expect(await found.ended).toEqual({ kind: "stopped" });
    expect(await resuming).toMatch(/lock timeout|has ended/);
    terminal.close();
  });

  it("are nobody's where the mark that they are known by was lost: no server opens with an empty one", async () => {
    await writeFile(path.join(folder, "domains", "mark"), "");
    await expect(open()).rejects.toThrow("cannot be known by it");
  });

  it("that were restarting when their daemon was killed are made again", async () => {
    const { token } = await prepare();
    toolstack.domains.length = 0;
    await writeFile(path.join(token.folder, "progress"), "restarting");
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const found = await domains.adopt(token, SPEC);
    terminal.print("hello again");
    await until(async () => Buffer.from(await found.read("stdout", 0)).toString() === "hello again");
    expect(toolstack.domains).toMatchObject([{ name: NAME, uuid: token["uuid"], paused: false }]);
    await found.stop(0);
    expect(await found.ended).toEqual({ kind: "stopped" });
    terminal.close();
    expect(toolstack.domains).toEqual([]);
  });

  it("that were made again, and not begun, when their daemon was killed are begun", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "progress"), "restarting");
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const found = await domains.adopt(token, SPEC);
    await until(async () => toolstack.domains[0]?.paused === false);
    expect(await readFile(path.join(token.folder, "progress"), "utf8")).toBe("begun");
    await found.kill();
    terminal.close();
  });

  it("that were made again, and had begun just before their daemon was killed, are not made a third time where they are gone", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "progress"), "restarting");
    toolstack.domains[0]!.paused = false;
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    (await domains.adopt(token, SPEC)).release();
    toolstack.domains.length = 0;
    expect(await (await domains.adopt(token, SPEC)).ended).toMatchObject({ kind: "crashed" });
    terminal.close();
  });

  it("that were half made again when their daemon was killed, before dom0's kernel was told of their disks, are made anew", async () => {
    const { token } = await prepare();
    await writeFile(path.join(token.folder, "progress"), "restarting");
    const half = toolstack.domains.splice(0)[0]!;
    toolstack.add(NAME, half.uuid);
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    const found = await domains.adopt(token, SPEC);
    await until(async () => toolstack.domains[0]?.paused === false);
    expect(toolstack.domains).toMatchObject([{ name: NAME, id: half.id + 2 }]);
    await found.kill();
    terminal.close();
  });

  it("have begun only once they run: a daemon that was killed before finds them to be begun", async () => {
    const domain = await prepare();
    const beginning = domain.begin(); // nobody opens its console yet
    await until(async () => toolstack.calls.some((call) => call.startsWith("xenstore-read")));
    expect(await readFile(path.join(domain.token.folder, "progress"), "utf8").catch(() => "prepared")).toBe("prepared");
    const terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    await beginning;
    expect(await readFile(path.join(domain.token.folder, "progress"), "utf8")).toBe("begun");
    await domain.kill();
    terminal.close();
  });

  describe("that restart", () => {
    const OTHER = "cd".repeat(32);
    const made: string[] = [];
    let letGo: () => void;
    let called: (command: string) => void;
    let slow: Domains;
    const rebooted = async (lease: string, over: Partial<VmSpec> = {}): Promise<Domain> => {
      const { token } = await prepare({}, lease);
      await writeFile(path.join(token.folder, "progress"), "begun");
      if (over.diskMib !== undefined) await writeFile(path.join(token.folder, "disk.raw"), "what its guest wrote");
      toolstack.end(token.name, "reboot");
      return slow.adopt(token, { ...SPEC, ...over });
    };

    beforeEach(async () => {
      made.length = 0;
      called = () => {};
      const gate = new Promise<void>((resolve) => (letGo = resolve));
      slow = await open([], async (program, args) => {
        const [command = ""] = args;
        called(command);
        if (command === "create") {
          made.push(path.basename(path.dirname(args.at(-1)!)));
          await gate;
        }
        return toolstack.run(program, args);
      });
    });

    it("are made once, however often they are looked at", async () => {
      const first = await rebooted(LEASE);
      const second = await rebooted(OTHER); // at which both are looked at
      await until(async () => made.includes(domainName(OTHER)));
      expect(made.filter((name) => name === NAME)).toHaveLength(1);
      await Promise.all([first.kill(), second.kill()]);
      letGo();
    });

    it("and are stopped as they are made do not run", async () => {
      const domain = await rebooted(LEASE);
      const terminal = await openTerminal();
      toolstack.tty = terminal.tty;
      await until(async () => made.length === 1);
      await domain.stop(0);
      expect(await domain.ended).toEqual({ kind: "stopped" });
      const before = toolstack.calls.length;
      letGo();
      await until(async () => toolstack.calls.slice(before).some((call) => call.startsWith("xl create")));
      await until(async () => toolstack.domains.length === 0);
      terminal.close();
    });

    it("keep their disk where the daemon leaves them as it is destroyed", async () => {
      let lists = 0;
      const domain = await rebooted(LEASE, { diskMib: 1 });
      called = (command) => {
        if (command === "destroy") domain.release();
        if (toolstack.domains.length === 0 && command === "list") lists++;
      };
      await until(async () => lists > 0);
      await open([domain.token.folder]);
      expect(await readFile(path.join(domain.token.folder, "disk.raw"), "utf8")).toBe("what its guest wrote");
    });
  });

  it("that end while they are followed are destroyed, by their UUID alone", async () => {
    const domain = await prepare();
    await writeFile(path.join(domain.token.folder, "progress"), "begun");
    toolstack.add(NAME, randomUUID()); // of the same name, and somebody else's
    toolstack.end(NAME, "crash");
    const found = await domains.adopt(domain.token, SPEC);
    await found.ended;
    expect(toolstack.domains).toHaveLength(1);
    expect(toolstack.domains[0]!.uuid).not.toBe(domain.token["uuid"]);
  });

  it("that Xen does not make are the customer's doing only where a kernel of ours is made in their place", async () => {
    toolstack.refuses = (config) => (config.includes("/kernel") ? "xc: error: panic: xc_dom_core.c: not an ELF binary" : null);
    await expect(prepare()).rejects.toMatchObject({ name: "Refusal", fault: "bytes", message: expect.stringContaining("not an ELF") });
    toolstack.refuses = () => "libxl: error: not enough memory";
    await expect(prepare()).rejects.toMatchObject({ name: "XlError", message: expect.stringContaining("not enough memory") });
    expect(toolstack.domains).toEqual([]);
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });

  it("are not made of what is no kernel, or does not fit", async () => {
    await writeFile(path.join(folder, KERNEL), "#!/bin/sh\n".repeat(1_000));
    await expect(prepare()).rejects.toMatchObject({ name: "Refusal", fault: "bytes" });
    await writeFile(path.join(folder, RAMDISK), Buffer.alloc(64 * 1024 * 1024));
    await expect(prepare()).rejects.toMatchObject({ name: "Refusal", fault: "job" });
    expect(toolstack.calls.filter((call) => call.startsWith("xl create"))).toEqual([]);
  });

  it.each<[string, Partial<VmSpec>]>([
    ["no OCI images", { vm: IMAGE }],
    ["boots no disk images", { vm: { kind: "disk", image: { digest: KERNEL, format: "raw", url: null }, iso: null, seed: [] } }],
    ["--uefi", { firmware: "uefi" }],
    ["--windows", { devices: "emulated" }],
    ["--tpm", { tpm: true }],
    ["--screen", { screen: true }],
    ["--network", { network: true }],
    ["deterministic-vm", { engine: "qemu" }],
  ])("are refused in words that say what to change: %s", async (words, over) => {
    expect(domainProblem(SPEC, NOTHING_ELSE)).toBeNull();
    expect(domainProblem({ ...SPEC, ...over }, NOTHING_ELSE)).toContain(words);
    await expect(prepare(over)).rejects.toMatchObject({ name: "Refusal", fault: "job" });
  });
});
