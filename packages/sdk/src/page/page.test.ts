/** What a page asks for is read as a program on Node reads it, and what a page cannot do is said before anything is signed. */
import { readFile } from "node:fs/promises";
import { systemTimers } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { describe, expect, it } from "vitest";
import type { Filed, MarketClient } from "../client.ts";
import { beyond } from "../facade/all-beyond.ts";
import { plannedDigest } from "../facade/same-work.ts";
import type { RunInput } from "../facade/run-input.ts";
import { buildJob } from "../job.ts";
import { bytesBlob } from "../blob.ts";
import { plainCheck } from "../module-check.ts";
import { hereWith } from "../node/here.ts";
import { Market } from "./market.ts";
import { hereOf } from "./here.ts";
import { planWithMachines } from "./machine-plan.ts";
import { planInPage } from "./plan.ts";
import type { BuiltVm } from "../vm.ts";

const module = new Uint8Array(await readFile("examples/count.wasm"));
const python = { source: "print(1)" };
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** As far as its head says what it is (Linux/x86 boot protocol). */
const kernel = new Uint8Array(64 * 1024);
kernel.set(bytes("HdrS"), 0x202);

/** That may do everything, and is asked nothing. */
const clientOf = (): MarketClient =>
  ({
    ...{
      identity: { scopes: ["spend", "read", "dispute", "control"], party: "p" },
      crypto: nodeCrypto,
      pins: { origin: "o" },
      ...{ onFiled: () => {}, timers: systemTimers },
    },
    ...{ read: () => Promise.reject(new Error("it was asked")), market: () => Promise.reject(new Error("it was asked")) },
  }) as unknown as MarketClient;

describe("a run", () => {
  it.each<[string, RunInput]>([
    ["a module", { module }],
    [
      "a module with all that it takes",
      { module, args: ["a"], env: { A: "1" }, stdin: "in", files: { "a/b": "c", d: module }, mem: "64M" },
    ],
    ["a script", { python }],
    ["a script of a name", { python: { ...python, name: "own" }, args: ["--x"], env: { PYTHONPATH: "/in" }, files: { "m.txt": "" } }],
    ["bounds", { module, budget: "0.25", maxTime: "2m", maxFuel: 7, maxOutput: "2M", cpu: 2, disk: "32M", where: "region=eu", on: "mine" }],
    ["what it is paid by", { module, pay: "by-interval", maxPrice: 5n, maxFee: "2.5%", label: "l", batch: "ab".repeat(32) }],
  ])("of %s is what it is on Node", async (_, input) => {
    const [here, there] = [await planInPage(input, false), await hereWith(plainCheck).plan(input)];
    expect(here.wanted).toEqual(there.wanted);
    expect(plannedDigest(nodeCrypto, here)).toBe(plannedDigest(nodeCrypto, there));
    expect([here.files, there.files]).toEqual(["held", "held"]);
    expect((await planInPage({ ...input, leaveFiles: true }, false)).files).toBe("left");
  });

  it.each<[string, RunInput]>([
    ["a kernel", { kernel: new Blob([kernel]), initrd: new Uint8Array([1]), append: "quiet", mem: "192M", accel: "any" }],
    ["a disk", { vm: new Blob([new Uint8Array(1024 * 1024)]), format: "raw", cpu: 2, network: true, hostname: "h", user: "u" }],
    ["an address", { vm: "http://127.0.0.1:9/disk", digest: `sha256:${"a".repeat(64)}`, disk: "1G", iso: new Blob(["iso"]) }],
    [
      "a disk with a key and a file for cloud-init",
      { vm: new Blob([new Uint8Array(4096)]), format: "raw", sshKey: bytes("ssh-ed25519 A"), userData: bytes("#x") },
    ],
    [
      "several disks' sizes",
      { vm: new Blob([new Uint8Array(4096)]), format: "raw", disk: "64M", screen: true, uefi: true, egress: "a.example" },
    ],
  ])("of %s is what it is on Node", async (_, input) => {
    const [here, there] = [await planWithMachines(input, false), await hereWith(plainCheck).plan(input)];
    const offer = { engine: "e", vmEngine: "v" };
    const specOf = ({ build }: typeof here) => {
      const { spec, sizes } = build(offer) as BuiltVm;
      const random = { seed: "", clockBaseMs: 0 };
      return { ...spec, ...random, vm: { ...spec.vm, seed: [] }, sizes: sizes.map(({ size }) => size) };
    };
    expect(here.wanted).toEqual(there.wanted);
    expect(specOf(here)).toEqual(specOf(there));
    expect(here.files).toBe("held");
  });

  it.each<[RunInput, RegExp]>([
    [{ image: "alpine" }, /a page cannot ask a registry for alpine/],
    [{ image: "archive:box.tar" }, /a page cannot ask a registry for archive:box/],
    [{ image: new Blob(["x"]) }, /no archive of an OCI image/],
    [{ kernel: "vmlinuz" }, /a page has no file vmlinuz: give its bytes/],
    [{ kernel: new Blob(["x"]) }, /kernel/],
    [{ kernel: new Blob([kernel]), initrd: "initrd" }, /initrd: a page has no file initrd/],
    [{ vm: "https://a.example/disk", disk: "1G" }, /vm by address needs digest/],
    [{ vm: "https://", digest: "a".repeat(64), disk: "1G" }, /is no address/],
    [{ vm: new Blob(["x"]), format: "raw", out: "folder" }, /^out is for a program on Node/],
    [{ vm: new Blob(["x"]), format: "raw", onInput: () => null }, /^onInput is for/],
    [{ vm: new Blob(["x"]), format: "raw", onReceipt: () => {} }, /^onReceipt is for/],
    [{ vm: new Blob(["x"]), format: "raw", files: { a: "b" } }, /a machine of your own takes its inputs from its disks/],
    [{ vm: new Blob(["x"]), sshKey: bytes("-----BEGIN PRIVATE KEY-----") }, /private key/],
    [{ image: new Blob(["x"]), replicas: 2 } as RunInput, /^replicas is beyond what this page has loaded/],
    [{ module, vm: undefined, egress: "public" } as unknown as RunInput, /^egress is for/],
  ])("with machines, of %o is refused in words", async (input, says) => {
    await expect(planWithMachines(input, false)).rejects.toMatchObject({ code: "bad_input", message: expect.stringMatching(says) });
  });

  it.each<[RunInput, RegExp]>([
    [{ image: "alpine" }, /^image is for a program on Node/],
    [{ vm: "disk.img" }, /^vm is for/],
    [{ module, egress: "public" }, /^egress is for/],
    [{ module, in: "folder" }, /^in is for/],
    [{ module, dir: ["."] }, /^dir is for/],
    [{ module, out: "folder" }, /^out is for/],
    [{ module, onInput: () => null }, /^onInput is for/],
    [{ module, onReceipt: () => {} }, /^onReceipt is for/],
    [{ module, assurance: "deterministic-vm" }, /^assurance deterministic-vm is for/],
    [{ module, files: { a: { path: "b" } } }, /a page has no file b: give its text or its bytes/],
    [{ python: "a.py" }, /a page has no file a\.py: give \{ source \}/],
    [{ module: "a.wasm" }, /a page has no file a\.wasm/],
    [{ python: { source: "import asyncio" } }, /a script with asyncio/],
    [{ python: { source: "import numpy" } }, /main\.py imports numpy/],
    [{ module: new Uint8Array(8) }, /it is no valid WebAssembly module/],
    [{ module, maxOutput: "lots" }, /^maxOutput/],
    [{}, /say what to run/],
  ])("of %o is refused in words", async (input, says) => {
    await expect(planInPage(input, false)).rejects.toMatchObject({ code: "bad_input", message: expect.stringMatching(says) });
  });
});

describe("a page's market", () => {
  it("says what to load for maps, replicas, audits and disputes, and asks nobody", async () => {
    const market = Market.of(clientOf());
    const refused = { code: "bad_input", message: expect.stringMatching(/has loaded: .*@xenoservers\/sdk\/beyond/) };
    expect(() => market.map([1], { python })).toThrow(expect.objectContaining(refused));
    await expect(market.dispute("abcdef012345")).rejects.toMatchObject(refused);
    await expect(market.audit("abcdef012345")).rejects.toMatchObject(refused);
    await expect(market.run({ python, replicas: 2 })).rejects.toMatchObject(refused);
  });

  it("that has loaded it has them, and keeps nothing to resume a map by", async () => {
    const market = Market.of(clientOf(), { beyond });
    const asked = { message: "it was asked" };
    await expect(market.map([1], { python }).all).rejects.toMatchObject(asked);
    await expect(market.map([1], { python }, { resume: "m" }).all).rejects.toMatchObject({
      ...{ code: "bad_input", message: expect.stringMatching(/^resume is for a program on Node/) },
    });
    await expect(market.run({ python, replicas: 2, noAudit: true })).rejects.toMatchObject(asked);
    await expect(market.dispute("abcdef012345")).rejects.toMatchObject(asked);
    await expect(market.audit("abcdef012345")).rejects.toMatchObject(asked);
    expect((await planInPage({ python, replicas: 2 } as RunInput, true)).wanted).toMatchObject({ replicas: 2, assurance: "replicated" });
  });

  it("is not connected without a token, or by what is none", async () => {
    await expect(Market.connect({} as never)).rejects.toMatchObject({ code: "no_context" });
    await expect(Market.connect({ token: "xeno-ci-x" })).rejects.toMatchObject({ code: "bad_input" });
  });
});

describe("what a page holds", () => {
  const lease = "ab".repeat(32);

  it("is what was signed about a lease, told on to whoever listened before", async () => {
    const client = clientOf();
    const told: unknown[] = [];
    client.onFiled = (filed) => void told.push(filed);
    const here = hereOf(client, false);
    const filed = (id: string, kind: string, payload: object, answer: object): Filed =>
      ({ document: { id, kind, payload }, answer }) as unknown as Filed;
    client.onFiled(filed("1", "order", {}, { lease }));
    client.onFiled(filed("2", "stop", { lease }, {}));
    client.onFiled(filed("3", "account", {}, {}));
    expect([await here.signedAbout(lease, "o"), await here.signedAbout("cd", "o")]).toEqual([["1", "2"], []]);
    expect(told).toHaveLength(3);
  });

  it("is the jobs that it sent last", async () => {
    const here = hereOf(clientOf(), false);
    const jobOf = (arg: string) =>
      buildJob({
        ...{ module: bytesBlob(module), stdin: bytesBlob(new Uint8Array()), args: [arg], env: [], mounts: [], engine: "e" },
        ...{ memoryMibMax: 64, diskMibMax: 1, outputMibMax: 1, fuelMax: 1n },
      });
    const jobs = Array.from({ length: 33 }, (_, i) => jobOf(String(i)));
    for (const job of jobs) await here.keepJob(job);
    expect(await here.keptJob(jobs[32]!.jobHash)).toBe(jobs[32]);
    await expect(here.keptJob(jobs[0]!.jobHash)).rejects.toMatchObject({ code: "kept_differs" });
  });

  it("is no file", async () => {
    await expect(hereOf(clientOf(), false).keptReceipt("./receipt.json", clientOf())).rejects.toMatchObject({ code: "bad_input" });
  });
});
