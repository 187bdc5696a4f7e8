/** A domain that goes from one server's driver to another's, beside toolstacks that only keep state. */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { DomainKind } from "@xenoservers/guests";
import { toHex, vmJobHashOf, type VmSpec } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { openTerminal, type Terminal } from "../../../../guests/src/xen/terminal.fixture.ts";
import { savedState } from "../../../../guests/src/xen/save-stream.fixture.ts";
import { Toolstack } from "../../../../guests/src/xen/toolstack.fixture.ts";
import { trialKernel } from "../../../../guests/src/xen/trial-kernel.ts";
import { Xl } from "../../../../guests/src/xen/xl.ts";
import { until } from "../../../../../test/until.ts";
import { orderedFor } from "../../testing/ordered.ts";
import { digestOf } from "../checks.ts";
import type { Arriving, CarriedFile, Carrying, GuestDriver, GuestJob, PreparedGuest, RunningGuest } from "../driver.ts";
import { streamedPieces, wholeOf } from "./sparse-pieces.ts";
import { createXenDriver } from "./xen-driver.ts";

const KERNEL = toHex(nodeCrypto.sha256(trialKernel()));
const NO_INPUTS = { entries: [], mounts: [] };
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: false, egress: "none", inputs: digestOf(nodeCrypto, NO_INPUTS), engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};
const INFO = { version: "4.17", cpus: 1, memoryMib: 4_096, freeMib: 1_024, scheduler: "credit2", abilities: ["pv"] };
const HOST = { info: INFO, networkWhy: "none", roomMib: 1_024, loader: null, loaderWhy: "", stock: null, stockWhy: "", lvmWhy: null };

let folder: string;
interface Server {
  name: string;
  toolstack: Toolstack;
  terminal: Terminal;
  driver: GuestDriver;
}
const servers: Server[] = [];
const logged: string[] = [];

async function open(name: string, kind: DomainKind, { toolstack = new Toolstack(), inUse = [] as string[] } = {}): Promise<Server> {
  const terminal = await openTerminal();
  toolstack.tty = terminal.tty;
  const driver = await createXenDriver({
    host: {
      ...HOST,
      xl: new Xl(toolstack.run, toolstack.apart, toolstack.streams),
      kind,
      engine: `xen-4.17-${kind}`,
      emulationWhy: "no HVM",
      ratesWhy: null,
      ready: { close: () => {} },
    },
    ...{ folder: path.join(folder, name), recordFolder: path.join(folder, "vm"), inUse, crypto: nodeCrypto, imageCacheGib: 1 },
    snapshots: { gib: 1, hours: 1 },
    egress: { ports: [], allow: [], bytesPerSecondMax: 1, gibPerMonth: 1 },
    diskIops: 1,
    log: (what) => logged.push(what),
    consoleDaemon: { name: "perl", settledSeconds: 0 },
  });
  const server = { name, toolstack, terminal, driver };
  servers.push(server);
  return server;
}

function jobOf(spec: VmSpec = SPEC): GuestJob {
  const blobs = [{ digest: KERNEL, size: 1 }];
  return {
    ...orderedFor({ jobHash: vmJobHashOf(nodeCrypto, spec), driver: "xen", fuelMax: "1" }),
    ...{ lease: "ab".repeat(32), work: { kind: "machine", vm: { spec, inputs: NO_INPUTS, blobs } }, fuelMax: 1n, runMsMax: 60_000 },
    ...{ egressBytesUsed: () => 0, trace: null, blobFile: (digest) => path.join(folder, digest) },
  };
}

const sent = async (files: readonly CarriedFile[], to: Arriving): Promise<void> => {
  for (const { name, pieces } of files) for await (const bytes of pieces()) await to.add(name, bytes);
};

/** As that server's toolstack saves its first domain. */
const stateOf = ({ toolstack }: Server): string => savedState([Buffer.from(`state of ${toolstack.domains[0]!.name}`)]).toString();

/** As two servers do it (lease/handing-over.ts); the first one's stands still afterwards. */
async function moved(guest: RunningGuest, to: GuestDriver, job = jobOf()): Promise<PreparedGuest> {
  const carrying: Carrying = await guest.carry!();
  const arriving = await to.moves!.arrive(job);
  try {
    await sent(carrying.running, arriving);
    await guest.pause();
    await sent(await carrying.rest(), arriving);
  } finally {
    await carrying.dispose();
  }
  const gone = (): string => path.join(folder, "what is not here any more");
  return to.moves!.prepare({ ...job, blobFile: gone }, arriving);
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-xen-carry-"));
  await writeFile(path.join(folder, KERNEL), trialKernel());
});
afterEach(async () => {
  for (const { driver, toolstack, terminal } of servers.splice(0)) {
    toolstack.domains.length = 0;
    await driver.close();
    terminal.close();
  }
  await rm(folder, { recursive: true, force: true, maxRetries: 10 });
});

const textAt = async (guest: RunningGuest, offset: number): Promise<string> =>
  Buffer.from(await guest.readStream("stdout", offset)).toString();

it("stands still where it was, and goes on elsewhere behind what it had printed, with what it boots", async () => {
  const [one, two] = [await open("one", "pv"), await open("two", "pv")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.terminal.print("before");
  await until(async () => (await textAt(guest, 0)) === "before");
  const prepared = await moved(guest, two.driver);
  expect(one.toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
  expect(two.toolstack.restored).toEqual([stateOf(one)]);
  expect(two.toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
  expect(two.toolstack.domains[0]!.uuid).not.toBe(one.toolstack.domains[0]!.uuid);
  await guest.kill();
  await guest.dispose();
  const there = await prepared.begin();
  expect(two.toolstack.domains).toMatchObject([{ paused: false }]);
  two.terminal.print(", after");
  await until(async () => (await textAt(there, 0)) === "before, after");
  const own = there.token["folder"] as string;
  expect(await readFile(path.join(own, "kernel"))).toEqual(trialKernel());
  expect((await readdir(path.dirname(own))).toSorted()).toEqual(["mark", path.basename(own)]);
  await there.kill();
  await there.dispose();
});

it("is not taken where its images are not what the order says, before it stands still", async () => {
  const [one, two] = [await open("one", "pv"), await open("two", "pv")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  await writeFile(path.join(guest.token["folder"] as string, "kernel"), "another kernel");
  await expect(moved(guest, two.driver)).rejects.toThrow(`the image ${KERNEL.slice(0, 12)} did not come as it is`);
  expect(one.toolstack.domains).toMatchObject([{ shutdown: null }]);
  await guest.kill();
  await guest.dispose();
});

it("goes on also where it began with a snapshot, which the other server does not have", async () => {
  const [one, two] = [await open("one", "pv"), await open("two", "pv")];
  const first = await (await one.driver.prepare(jobOf())).begin();
  const { snapshot } = await first.controls!.snapshot();
  await first.kill();
  await first.dispose();
  const job = jobOf({ ...SPEC, vm: { kind: "snapshot", snapshot } });
  const guest = await (await one.driver.prepare(job)).begin();
  const there = await (await moved(guest, two.driver, job)).begin();
  const own = there.token["folder"] as string;
  expect(await readFile(path.join(own, "kernel"))).toEqual(trialKernel());
  there.release();
  const later = await open("two", "pv", { toolstack: two.toolstack, inUse: [own] });
  const found = (await later.driver.adopt(there.token, job))!;
  expect(later.toolstack.domains).toMatchObject([{ paused: false, shutdown: null }]);
  for (const each of [found, guest]) await each.kill();
});

it("is sent while it runs where its hypervisor sees what it writes, but not one that its customer has paused", async () => {
  const [one, two] = [await open("one", "pvh"), await open("two", "pvh")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  const calls = (): string[] => one.toolstack.calls.filter((call) => /xl (?:migrate|pause|unpause|save) /.test(call)).slice(1);
  one.toolstack.sent = savedState([Buffer.from("live")]);
  const prepared = await moved(guest, two.driver);
  // it is not paused twice, for Xen counts that
  expect(calls()).toEqual([`xl migrate 1 ${one.toolstack.domains[0]!.name}`, "xl pause 1"]);
  expect(two.toolstack.restored).toEqual([savedState([Buffer.from("live")]).toString()]);
  await prepared.discard();
  await moved(guest, two.driver);
  expect(calls().slice(2)).toEqual([expect.stringContaining("xl save -p 1"), "xl unpause 1"]);
  expect(two.toolstack.restored.at(-1)).toBe(stateOf(one));
  await guest.kill();
});

it("is saved where it cannot be sent while it runs", async () => {
  const [one, two] = [await open("one", "pvh"), await open("two", "pvh")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.toolstack.sent = savedState([Buffer.alloc(100_000, 7)]).subarray(0, 50_000);
  await moved(guest, two.driver);
  // nothing is left of what began with the first half of it
  expect(two.toolstack.restored).toEqual([stateOf(one)]);
  expect(two.toolstack.domains).toMatchObject([{ paused: true }]);
  await guest.kill();
});

it("goes on where it was when it is resumed there, for it was not taken", async () => {
  const [one, two] = [await open("one", "pv"), await open("two", "pv")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  const prepared = await moved(guest, two.driver);
  await prepared.discard();
  expect(two.toolstack.domains).toEqual([]);
  await guest.resume();
  expect(one.toolstack.domains).toMatchObject([{ paused: false, shutdown: null }]);
  await guest.kill();
});

it("is discarded by a later daemon that has only its token, and is found paused by one where it was carried from", async () => {
  const [one, two] = [await open("one", "pv"), await open("two", "pv")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  const { token } = await moved(guest, two.driver);
  await two.driver.close();
  const later = await open("two", "pv", { toolstack: two.toolstack, inUse: [token["folder"] as string] });
  expect(later.toolstack.domains).toHaveLength(1);
  await later.driver.moves!.discard(token);
  expect(later.toolstack.domains).toEqual([]);
  expect(await readdir(path.join(folder, "two", "domains"))).toEqual(["mark"]);

  guest.release();
  const again = await open("one", "pv", { toolstack: one.toolstack, inUse: [guest.token["folder"] as string] });
  await again.driver.adopt(guest.token, jobOf());
  expect(again.toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
});

it("is refused at once by a server of another kind of domains, and where its kernel does not suspend itself it stays", async () => {
  const [one, other] = [await open("one", "pv"), await open("other", "pvh")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  await expect(moved(guest, other.driver)).rejects.toThrow("it is a pv domain, and that server makes pvh domains ([xen] guests)");
  expect(one.toolstack.domains).toMatchObject([{ paused: false }]);
  one.toolstack.unsaved = "libxl: error: guest didn't acknowledge suspend";
  one.toolstack.whileSaving = async () => void Object.assign(one.toolstack.domains[0]!, { shutdown: null, paused: false });
  const two = await open("two", "pv");
  await expect(moved(guest, two.driver)).rejects.toThrow("didn't acknowledge suspend");
  expect(one.toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
  await guest.kill();
});

it("says in words which domains stay, and what is no part of one", async () => {
  const { driver } = await open("one", "pv");
  const { moves } = driver;
  const problem = (over: Partial<VmSpec>): string | null => {
    const job = jobOf({ ...SPEC, ...over });
    return moves!.problemWith(job.work, job);
  };
  expect(problem({})).toBeNull();
  expect(problem({ vm: { kind: "snapshot", snapshot: KERNEL } })).toBeNull();
  expect(problem({ screen: true })).toContain("emulated hardware (HVM)");
  const vm = { kind: "oci", image: KERNEL, layers: [], args: [], env: [], workdir: "/", user: "", hostname: "" } as const;
  expect(problem({ vm: { ...vm, layers: [], args: [], env: [] } })).toContain("its Linux would lose its disk");
  const arriving = await moves!.arrive(jobOf());
  await expect(arriving.add("../state", new Uint8Array(8))).rejects.toThrow("no part of a domain is called ../state");
  await expect(moves!.prepare(jobOf(), arriving)).rejects.toThrow("its kind has not come");
  expect(await readdir(path.join(folder, "one", "domains"))).toEqual(["mark"]);
});

/** A PVH domain whose state is sent while it runs, and what is asked of it meanwhile. */
async function sentLive(state: Uint8Array, asked: (guest: RunningGuest) => Promise<void>[]): Promise<[Server, RunningGuest]> {
  const one = await open("one", "pvh");
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.toolstack.sent = state;
  const carrying = await guest.carry!();
  let said: Promise<void>[] | null = null;
  for (const { name, pieces } of carrying.running) for await (const _ of pieces()) if (name === "live") said ??= asked(guest);
  await Promise.all(said ?? []);
  return [one, guest];
}

it("is not resumed, once its state was sent, by what was asked while it was", async () => {
  const [{ toolstack }, guest] = await sentLive(savedState([Buffer.alloc(100_000, 7)]), (each) => [each.pause(), each.resume()]);
  expect(toolstack.domains[0]!.pauses).toBe(1);
  await guest.resume();
  expect(toolstack.domains[0]!.pauses).toBe(0);
  await guest.kill();
});

it("is paused once by two who asked while it was sent in vain", async () => {
  logged.length = 0;
  const half = savedState([Buffer.alloc(100_000, 7)]).subarray(0, 50_000);
  const [{ toolstack }, guest] = await sentLive(half, (each) => [each.pause(), each.pause()]);
  expect(logged).toContain("a domain is saved to be carried, as it was not sent while it ran");
  expect(toolstack.domains[0]!.pauses).toBe(1);
  await guest.resume();
  expect(toolstack.domains[0]!.pauses).toBe(0);
  await guest.kill();
});

it("says that it stands still while the last of its state is sent", async () => {
  const one = await open("one", "pvh");
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.toolstack.sent = savedState([Buffer.alloc(100_000, 7)]);
  const carrying = await guest.carry!();
  let isStill = false;
  carrying.onStill!(async () => void (isStill = true));
  for (const { name, pieces } of carrying.running)
    for await (const _ of pieces()) {
      if (name !== "live" || isStill) continue;
      const domain = one.toolstack.domains[0]!;
      domain.shutdown = "suspend";
      await until(() => isStill);
      domain.shutdown = null;
    }
  expect(isStill).toBe(true);
  await guest.kill();
});

/** What the guest is carried in, up to a part of that name: the taker, and how many bytes of that part were sent. */
async function sentUpTo(part: string, bytes: number, guest: RunningGuest, to: Arriving): Promise<void> {
  const carrying = await guest.carry!();
  const parts = async (files: readonly CarriedFile[]): Promise<boolean> => {
    for (const { name, pieces } of files) {
      let had = 0;
      for await (const piece of pieces()) {
        if (name === part && had >= bytes) return true;
        await to.add(name, piece);
        had += piece.length;
      }
    }
    return false;
  };
  if (await parts(carrying.running)) return carrying.dispose();
  await guest.pause();
  await parts(await carrying.rest());
  await carrying.dispose();
}

it.each([
  { kind: "pvh", part: "live" },
  { kind: "pv", part: "state" },
] as const)("is made of its state while that comes ($kind), and nothing of it is left where that is cut", async ({ kind, part }) => {
  const [one, two] = [await open("one", kind), await open("two", kind)];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.toolstack.sent = savedState(Array.from({ length: 20 }, () => Buffer.alloc(16_384, 7)));
  const arriving = await two.driver.moves!.arrive(jobOf());
  await sentUpTo(part, 1, guest, arriving);
  // it is there before the rest has come, and nothing of it runs
  await until(() => two.toolstack.domains.length === 1);
  expect(two.toolstack.domains).toMatchObject([{ paused: true, shutdown: null }]);
  await arriving.discard();
  expect(two.toolstack.domains).toEqual([]);
  expect(await readdir(path.join(folder, "two", "domains"))).toEqual(["mark"]);
  expect(two.toolstack.calls).not.toContain("xl unpause 1");
  // and where it was it goes on
  await guest.resume();
  expect(one.toolstack.domains).toMatchObject([{ paused: false, shutdown: null }]);
  await guest.kill();
});

it("does not come where Xen makes none of its state, in xl's words, which are said as soon as it says them", async () => {
  const [one, two] = [await open("one", "pvh"), await open("two", "pvh")];
  const guest = await (await one.driver.prepare(jobOf())).begin();
  one.toolstack.sent = savedState(Array.from({ length: 200 }, () => Buffer.alloc(16_384, 7)));
  two.toolstack.refuses = () => "libxl: error: no memory";
  await expect(moved(guest, two.driver)).rejects.toThrow("xl restore: ");
  expect(two.toolstack.domains).toEqual([]);
  await guest.kill();
});

async function cut(...bytes: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const pieces: Uint8Array[] = [];
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* bytes;
  }
  for await (const piece of streamedPieces(all())) pieces.push(piece);
  return pieces;
}

it("does not come where its state has a hole", async () => {
  const two = await open("two", "pvh");
  const arriving = await two.driver.moves!.arrive(jobOf());
  await arriving.add("kind", wholeOf("pvh"));
  await arriving.add("boot", wholeOf(JSON.stringify(SPEC.vm)));
  for (const piece of await cut(trialKernel())) await arriving.add(`blob-${KERNEL}`, piece);
  const pieces = await cut(Buffer.alloc(300_000, 7), Buffer.alloc(1, 7));
  await arriving.add("live", pieces[0]!);
  await expect(arriving.add("live", pieces[2]!)).rejects.toThrow("its state does not come in order");
  await arriving.discard();
  expect(await readdir(path.join(folder, "two", "domains"))).toEqual(["mark"]);
});
