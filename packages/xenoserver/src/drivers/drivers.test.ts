import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { FETCH_CONDITION, GROUP_HOLDS, HOLDS } from "@xenoservers/market";
import { jobHashOf, vmJobHashOf, type JobSpec, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { systemTimers } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { printing } from "../../../../test/process/jobs.ts";
import { preparedCache } from "../../../../test/shared.ts";
import { until } from "../../../../test/until.ts";
import { orderedFor } from "../testing/ordered.ts";
import { digestOf } from "./checks.ts";
import { driverContract } from "./driver-contract.ts";
import type { GuestDriver, GuestJob, RunningGuest } from "./driver.ts";
import { holdsOf } from "./holds.ts";
import { machineProblem } from "./qemu/machine-work.ts";
import { wasmState } from "./wasm/wasm-state.ts";
import { driversByName, offeredByAll } from "./registry.ts";
import { createSimDriver } from "./sim/sim-driver.ts";
import { createWasmDriver } from "./wasm/wasm-driver.ts";
import { wasmGuests } from "./wasm/wasm-guests.ts";
import type { WasmDriver } from "./wasm/wasm-job.ts";
import type { MachineJob, Work } from "./work.ts";

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const zero = "00".repeat(32);
const FUEL = 1_000_000_000_000n;
const NO_INPUTS: InputTree = { entries: [], mounts: [] };
const base = { lease: zero, customer: "p_1", vcpu: 1, fuelMax: FUEL, runMsMax: 3_600_000, breakpoints: null };

const specOf = (more: Partial<JobSpec>, inputs: InputTree = NO_INPUTS): JobSpec => ({
  ...{ module: zero, args: [], env: [], inputs: digestOf(nodeCrypto, inputs), stdin: sha256(""), engine: "sim-1", memoryMibMax: 256 },
  ...{
    diskMibMax: 16,
    outputMibMax: 1,
    fuelMax: FUEL.toString(),
    seed: zero,
    clockBaseMs: 0,
    preopens: inputs.mounts.map(({ path }): [string, string] => [path, path]),
  },
  ...more,
});

const VM: VmSpec = {
  ...{ vm: { kind: "kernel", kernel: zero, initrd: null, append: "" }, machine: "pc", firmware: "bios", devices: "virtio", tpm: false },
  ...{ vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1, network: false, egress: "none", inputs: digestOf(nodeCrypto, NO_INPUTS) },
  ...{ engine: null, fuelMax: "1", seed: zero, clockBaseMs: 0 },
};
const MACHINE: Work = { kind: "machine", vm: { spec: VM, inputs: NO_INPUTS, blobs: [] } };

function guestJob(spec: JobSpec, inputs: InputTree, blobFile: GuestJob["blobFile"]): GuestJob {
  const work: Work = { kind: "wasm", job: { spec, inputs, moduleSize: 0, stdinSize: 0, segment: null } };
  const ordered = orderedFor({ jobHash: jobHashOf(nodeCrypto, spec), fuelMax: spec.fuelMax });
  return { ...ordered, lease: zero, work, fuelMax: FUEL, runMsMax: 3_600_000, egressBytesUsed: () => 0, trace: null, blobFile };
}

const sim = createSimDriver(systemTimers);
driverContract("simulated", async () => ({
  driver: sim,
  jobs: {
    foreign: MACHINE,
    prints: async (text, exit, ms) => guestJob(specOf({ args: ["run", String(ms), String(exit), text] }), NO_INPUTS, () => ""),
  },
}));

const folder = mkdtemp(path.join(tmpdir(), "xeno-driver-"));
let wasm: Promise<WasmDriver> | null = null;
async function openWasm(): Promise<WasmDriver> {
  const at = await folder;
  return (wasm ??= createWasmDriver({ folder: at, cache: await preparedCache(at), poolSize: 1, inUse: [] }));
}
afterAll(async () => {
  await (await wasm)?.close();
  await rm(await folder, { recursive: true, force: true });
});
/** A machine that does more in a millisecond is quick; one that does less takes longer, which is right too. */
const ROUNDS_PER_MS = 300_000;
const LONG_MS = 60_000;
driverContract("wasm", async () => {
  const at = await folder;
  const driver: GuestDriver = wasmGuests(nodeCrypto, await openWasm());
  return {
    driver,
    jobs: {
      foreign: MACHINE,
      async prints(text, exit, ms): Promise<GuestJob> {
        const bytes = await printing(text, ms < LONG_MS ? ms * ROUNDS_PER_MS : "endless", exit);
        const module = createHash("sha256").update(bytes).digest("hex");
        await writeFile(path.join(at, sha256("")), "");
        await writeFile(path.join(at, module), bytes);
        const inputs: InputTree = { entries: [], mounts: [{ path: "/out", writable: true, keep: true }] };
        const spec = specOf({ module, args: ["job"], engine: driver.engine }, inputs);
        return guestJob(spec, inputs, (name) => path.join(at, name));
      },
    },
  };
});

it("lets one key's jobs share a process, and no run that judges another's", async () => {
  const asked: (string | undefined)[] = [];
  const own = await openWasm();
  const driver = wasmGuests(nodeCrypto, {
    ...own,
    prepare: async (job) => (asked.push(job.sharedBy), Promise.reject(new Error("enough"))),
  });
  const job = guestJob(specOf({}), NO_INPUTS, () => "");
  const { order } = job;
  for (const over of [{}, { channelKey: "ab".repeat(32) }, { judges: zero }])
    await expect(driver.prepare({ ...job, order: { ...order, ...over } })).rejects.toThrow("enough");
  expect(asked).toEqual([order.channelKey, "ab".repeat(32), undefined]);
});

it("starts a known module as it was made for the same customer, and for no other", async () => {
  const at = await folder;
  const driver = await openWasm();
  // (module (memory (export "memory") 1) (func (export "_start") (i32.store (i32.const 8) (i32.const 7))))
  const hex = "0061736d01000000010401600000030201000503010001071302066d656d6f72790200065f737461727400000a0b010900410841073602000b";
  const bytes = Buffer.from(hex, "hex");
  const module = createHash("sha256").update(bytes).digest("hex");
  const blob = path.join(at, module);
  await writeFile(path.join(at, sha256("")), "");
  await writeFile(blob, bytes);
  const guests: RunningGuest[] = [];
  const run = async (customer: string) => {
    const spec = specOf({ module, args: ["job"] });
    const prepared = await driver.prepare({ ...base, customer, spec, inputs: NO_INPUTS, blobFile: (name) => path.join(at, name) });
    const guest = await prepared.begin();
    const end = await guest.ended;
    guests.push(guest);
    if (end.kind !== "result") throw new Error(end.detail);
    return { reason: end.reason, fuel: end.fuel, memoryHash: end.memoryHash };
  };
  const first = await run("p_1");
  expect(first).toMatchObject({ reason: "completed" });
  const isKept = async (customer: string) =>
    (await readdir(path.join(at, "modules"))).includes(`${customer}-${module}-${driver.engine}.wasm`);
  await until(() => isKept("p_1"));
  expect(await isKept("p_2")).toBe(false);
  await rm(blob);
  expect(await run("p_1")).toEqual(first);
  await expect(run("p_2")).rejects.toThrow("ENOENT");
  await writeFile(blob, bytes);
  expect(await run("p_2")).toEqual(first);
  expect(await run("p_1")).toEqual(first); // on a worker that waited with the other's module
  for (const guest of guests) await guest.dispose();
});

it("tells the owner what does not hold guests here, however strong the sandbox is", () => {
  const reasonOf = (sandbox: Parameters<typeof wasmState>[0]) => wasmState(sandbox).reason;
  expect(reasonOf({ strength: "strong", why: "", without: "", holds: [] })).toBe("");
  expect(reasonOf({ strength: "strong", why: "", without: "only root", holds: [] })).toBe("only root");
  expect(reasonOf({ strength: "weak", why: "no filter", without: "only root", holds: [] })).toBe("sandbox is weak: no filter; only root");
});

it("names what holds guests in the market's order, groups all together", () => {
  const holding = { ownUser: false, calls: true, rlimits: true, network: true, groups: true, files: false };
  expect(holdsOf({ ...holding, ownUser: true, files: true })).toEqual(HOLDS);
  expect(holdsOf({ ...holding, groups: false })).toEqual(["seccomp", "rlimits", "network-namespace"]);
  expect(holdsOf({ ...holding, calls: false, rlimits: false })).toEqual(["network-namespace", ...GROUP_HOLDS]);
});

describe("what a server offers", () => {
  it("is what its drivers say together", () => {
    const machines = {
      ...{ name: "qemu" as const, assurances: ["isolated", "deterministic-vm"] as const },
      capabilities: { ...sim.capabilities, network: true, images: true, filesInMemory: false },
      holds: ["own-user", "cgroup-memory"] as const,
      offered: () => ({ accel: "kvm" as const, vmScore: 7, limits: "cgroup2" as const, vmEngine: "q" }),
    };
    const allowed = { egress: "public", fetches: true } as const;
    const alone = offeredByAll(driversByName([sim]), allowed);
    expect(alone).toMatchObject({
      drivers: ["wasm"],
      assurances: ["isolated", "replicated"],
      engine: "sim-1",
      sandbox: "strong",
      accel: "none",
    });
    expect(alone).toMatchObject({ egress: "none", fetches: false });
    const both = offeredByAll(driversByName([sim, { ...sim, ...machines }]), allowed);
    expect(both).toMatchObject({ drivers: ["wasm", "qemu"], assurances: ["isolated", "replicated", "deterministic-vm"], engine: "sim-1" });
    expect([alone.holds, both.holds]).toEqual([{ wasm: ["seccomp"] }, { wasm: ["seccomp"], qemu: ["own-user", "cgroup-memory"] }]);
    expect(both).toMatchObject({ accel: "kvm", vmScore: 7, vmEngine: "q", egress: "public", fetches: true });
  });
});

describe("a machine that was not ordered so", () => {
  const host = { engine: "q", overheadMib: 100 };
  const problem = (spec: Partial<VmSpec>, order: object = {}, blobs: MachineJob["blobs"] = [{ digest: zero, size: 1 }]) => {
    const full = { ...VM, ...spec };
    const ordered = orderedFor({ jobHash: vmJobHashOf(nodeCrypto, full), driver: "qemu", fuelMax: "1", ...order });
    return machineProblem(nodeCrypto, host, ordered, { spec: full, inputs: NO_INPUTS, blobs });
  };

  it("is refused in words", () => {
    expect(problem({})).toBeNull();
    expect(problem({}, { jobHash: "11".repeat(32) })).toContain("not the one that was ordered");
    expect(problem({ inputs: "11".repeat(32) })).toContain("inputs");
    expect(problem({}, {}, [])).toContain("not listed");
    expect(problem({ memoryMib: 450 })).toContain("100 MiB for QEMU");
    expect(problem({ memoryMib: 349 })).toBeNull();
    expect(problem({ memoryMib: 349, screen: true })).toContain("164 MiB for QEMU");
    expect(problem({ vcpu: 2 })).toContain("vCPU");
    expect(problem({ diskMib: 65 })).toContain("disk");
    expect(problem({ egress: "public", network: true })).toContain("egress");
    const vm = { kind: "disk" as const, image: { digest: zero, format: "raw" as const, url: "http://a.example/i" }, iso: null, seed: [] };
    expect(problem({ vm })).toContain("does not ask for a server that fetches images");
    expect(problem({ vm }, { conditions: [FETCH_CONDITION] })).toBeNull();
    expect(problem({}, {}, [{ digest: zero, size: 2 ** 31 }])).toContain("larger than the lease");
    expect(problem({ engine: "other" })).toContain("QEMU is q");
    expect(problem({ engine: "q", network: true }, { assurance: "deterministic-vm" })).toContain("deterministic machine");
    expect(problem({ engine: "q" }, { assurance: "deterministic-vm" })).toBeNull();
  });

  it("is refused where its texts and numbers are none that anybody can sign", () => {
    const spec: VmSpec = { ...VM, vm: { kind: "kernel", kernel: zero, initrd: null, append: "\ud800" } };
    const entries = [{ path: "a", kind: "file" as const, digest: zero, size: -0 }];
    const of = (vm: MachineJob): string | null =>
      machineProblem(nodeCrypto, host, orderedFor({ jobHash: vmJobHashOf(nodeCrypto, VM) }), vm);
    expect(of({ spec, inputs: NO_INPUTS, blobs: [] })).toContain("not the one that was ordered");
    expect(of({ spec: VM, inputs: { entries, mounts: [] }, blobs: [] })).toContain("inputs");
  });
});
