/**
 * Domains with a BIOS and a screen, beside a toolstack that only keeps state and starts a program of this machine's in QEMU's place. Needs
 * root, as dom0 has it.
 */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { startDeviceModel } from "./device-model.fixture.ts";
import type { Domain } from "./domain.ts";
import { Domains, deviceModelMibOf, domainProblem, type Bootable } from "./domains.ts";
import { openTerminal, type Terminal } from "./terminal.fixture.ts";
import { RATES, Toolstack } from "./toolstack.fixture.ts";
import { trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";

const LEASE = "ab".repeat(32);
const [KERNEL, MEDIUM] = ["11".repeat(32), "22".repeat(32)];
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: KERNEL, engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};
const SHOWN: VmSpec = { ...SPEC, screen: true };
const disk = (over: Partial<Extract<VmSpec["vm"], { kind: "disk" }>>): VmSpec["vm"] => ({
  kind: "disk",
  image: null,
  iso: null,
  seed: [],
  ...over,
});
const IMAGE = { digest: KERNEL, format: "raw", url: null } as const;
const ISO = { digest: MEDIUM, url: null };
const JOB = { customer: "cd".repeat(32), inputs: { entries: [], mounts: [] }, spareMib: 128 };
const NOTHING: Bootable = { loader: null, stock: null, card: null, emulates: false };

describe("hardware is emulated", () => {
  const mib = (spec: Partial<VmSpec>, host: Partial<Bootable>): number =>
    deviceModelMibOf({ ...SPEC, ...spec }, { ...NOTHING, emulates: true, ...host });

  it.each<[string, boolean, Partial<VmSpec>, Partial<Bootable>]>([
    ["a kernel", false, {}, {}],
    ["a kernel with a screen", true, { screen: true }, {}],
    ["a disk, where GRUB boots it", false, { vm: disk({ image: IMAGE }) }, { loader: "/grub" }],
    ["a disk, where nothing else boots it", true, { vm: disk({ image: IMAGE }) }, {}],
    ["a disk with a medium", true, { vm: disk({ image: IMAGE, iso: ISO }) }, { loader: "/grub" }],
    ["a medium alone", true, { vm: disk({ iso: ISO }) }, { loader: "/grub" }],
  ])("for no more than needs it: %s", (_what, isEmulated, spec, host) => {
    expect(mib(spec, host) > 0).toBe(isEmulated);
  });

  it("and takes of the lease's memory what QEMU may have in dom0, with what waits for viewers", () => {
    expect(mib({ screen: true }, {}) - mib({ vm: disk({ iso: ISO }) }, {})).toBe(64);
  });

  it.each<[string, Partial<VmSpec>]>([
    ["order it without --screen", { screen: true }],
    ["order --vm FILE", { vm: disk({ iso: ISO }) }],
    ["order it without --iso", { vm: disk({ image: IMAGE, iso: ISO }) }],
  ])("nowhere where the host cannot, which is said: %s", (words, over) => {
    expect(domainProblem({ ...SPEC, ...over }, { ...NOTHING, loader: "/grub" })).toMatch(new RegExp(`HVM.*${words}`));
    expect(domainProblem({ ...SPEC, ...over }, { ...NOTHING, loader: "/grub", emulates: true })).toBeNull();
  });

  it("of images that are sent alone", () => {
    const fetched = { ...SPEC, vm: disk({ iso: { ...ISO, url: "https://example.org/an.iso" } }) };
    expect(domainProblem(fetched, { ...NOTHING, emulates: true })).toContain("give --vm and --iso files");
  });
});

describe.skipIf(process.getuid?.() !== 0)("a domain with emulated hardware", () => {
  let folder: string;
  let toolstack: Toolstack;
  let terminal: Terminal;
  let words: string[];
  const opened: Domains[] = [];
  const models: ChildProcess[] = [];

  async function open(inUse: readonly string[] = [], loader: string | null = null): Promise<Domains> {
    const all = new Domains({
      ...{
        xl: new Xl(toolstack.run, toolstack.apart),
        kind: "pv",
        ...NOTHING,
        loader,
        emulates: true,
        folder: path.join(folder, "domains"),
      },
      rates: RATES,
      cache: { folder: path.join(folder, "cache"), bytesMax: 0 },
      consoleDaemon: { name: "perl", settledSeconds: 0 },
      log: () => {},
    });
    opened.push(all);
    await all.open(inUse);
    return all;
  }
  const prepare = async (over: Partial<VmSpec> = {}): Promise<Domain> =>
    (await open()).prepare({ ...JOB, name: LEASE, spec: { ...SHOWN, ...over }, blobFile: (digest) => path.join(folder, digest) });
  const greeting = async (domain: Domain): Promise<string> => {
    const socket = await domain.deviceModel!.screen();
    const [bytes] = (await once(socket, "data")) as [Buffer];
    await once(socket.destroy(), "close");
    return bytes.toString();
  };

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-emulated-"));
    await writeFile(path.join(folder, KERNEL), trialKernel());
    await writeFile(path.join(folder, MEDIUM), "a medium");
    toolstack = new Toolstack();
    terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    words = [];
    toolstack.whenMade = async ({ config }) => {
      const model = await startDeviceModel(config, ...words);
      models.push(model);
      toolstack.deviceModel = model.pid!;
    };
  });
  afterEach(async () => {
    for (const all of opened.splice(0)) all.close();
    for (const each of models.splice(0)) each.kill("SIGKILL");
    terminal.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("shows its screen to four at once, also to a daemon that comes later, and nothing of it is left", async () => {
    const domain = await prepare();
    await domain.begin();
    expect(toolstack.domains[0]!.config).toContain('type="hvm"\n');
    expect(await greeting(domain)).toBe("RFB 003.008\n");
    const viewers = await Promise.all([1, 2, 3, 4].map(() => domain.deviceModel!.screen()));
    await expect(domain.deviceModel!.screen()).rejects.toThrow("at most 4 viewers");
    for (const each of viewers) each.destroy();
    domain.release();
    const found = await (await open([domain.token.folder])).adopt(domain.token, SHOWN);
    expect(await greeting(found)).toBe("RFB 003.008\n");
    const gone = once(models[0]!, "exit");
    await found.stop(0);
    expect(await found.ended).toEqual({ kind: "stopped" });
    await gone;
    await found.dispose();
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });

  it("is not begun where what emulates it is not confined, and nothing of it is left", async () => {
    words = ["as-root"];
    await expect(prepare()).rejects.toThrow("the domain's device model is not confined: it runs as root");
    expect(toolstack.domains).toEqual([]);
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });

  it("has a medium in its drive, an empty disk, and is kept by no snapshot", async () => {
    const domain = await prepare({ vm: disk({ iso: ISO }) });
    expect(toolstack.domains[0]!.config).toContain("file=medium.iso,if=ide,index=2,media=cdrom");
    expect(toolstack.domains[0]!.config).not.toContain("kernel=");
    await expect(domain.snapshot(path.join(folder, "kept"))).rejects.toThrow("a domain with emulated hardware cannot be kept here");
    await domain.dispose();
  });

  it("is what a disk boots in that GRUB does not know, where the lease has the memory for it", async () => {
    const plain = { vm: disk({ image: IMAGE }), diskMib: 1 };
    const all = await open([], "/grub");
    const of = (spareMib: number) =>
      all.prepare({ ...JOB, spareMib, name: LEASE, spec: { ...SPEC, ...plain }, blobFile: (digest) => path.join(folder, digest) });
    await writeFile(path.join(folder, KERNEL), Buffer.alloc(1024 * 1024));
    await expect(of(39)).rejects.toMatchObject({ name: "Refusal", message: expect.stringContaining("order 40 MiB more memory") as string });
  });

  it("ends where what emulates it is gone, whichever daemon sees it, and nobody pays for hardware that answers nothing", async () => {
    const domain = await prepare();
    await domain.begin();
    models[0]!.kill("SIGKILL");
    expect(await domain.ended).toEqual({ kind: "crashed", detail: "its QEMU was ended" });
    await domain.dispose();
    const second = await prepare();
    await second.begin();
    second.release();
    const gone = once(models[1]!, "exit");
    models[1]!.kill("SIGKILL");
    await gone;
    const found = await (await open([second.token.folder])).adopt(second.token, SHOWN);
    expect(await found.ended).toMatchObject({ kind: "crashed" });
    expect(toolstack.domains).toEqual([]);
    await found.dispose();
  });

  it("that powers off has ended so, though what emulated it is gone as well", async () => {
    const domain = await prepare();
    await domain.begin();
    toolstack.end(domain.token.name, "poweroff");
    models[0]!.kill("SIGKILL");
    expect(await domain.ended).toEqual({ kind: "shutdown", isReset: false });
    await domain.dispose();
  });

  it("of no lease goes with what emulates it", async () => {
    await prepare();
    const gone = once(models[0]!, "exit");
    await open();
    await gone;
    expect(await readdir(path.join(folder, "domains"))).toEqual(["mark"]);
  });
});
