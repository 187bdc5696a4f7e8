/**
 * What domains reach through this server's gate, beside a toolstack that only keeps state and makes cards of this machine's kernel. Needs
 * root; without it no card can be made.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OtherEnd } from "../../../../guests/src/xen/other-end.fixture.ts";
import { openTerminal, type Terminal } from "../../../../guests/src/xen/terminal.fixture.ts";
import { Toolstack } from "../../../../guests/src/xen/toolstack.fixture.ts";
import { trialKernel } from "../../../../guests/src/xen/trial-kernel.ts";
import { Xl } from "../../../../guests/src/xen/xl.ts";
import { until } from "../../../../../test/until.ts";
import { vmJobHashOf, type Egress, type VmSpec } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { orderedFor } from "../../testing/ordered.ts";
import { digestOf } from "../checks.ts";
import type { GuestDriver, GuestJob, RunningGuest } from "../driver.ts";
import { createXenDriver } from "./xen-driver.ts";

const KERNEL = "11".repeat(32);
const [PUBLIC, OTHER, PRIVATE] = ["93.184.216.34", "93.184.216.35", "10.1.2.3"];
const PAGE = "x".repeat(50_000);
/** A question of DNS for allowed.example's address (RFC 1035, 4.1). */
const ASKS_NAME = Buffer.from("\0\x07\x01\0\0\x01\0\0\0\0\0\0\x07allowed\x07example\0\0\x01\0\x01", "latin1");
const NO_INPUTS = { entries: [], mounts: [] };
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: true, egress: "public", inputs: digestOf(nodeCrypto, NO_INPUTS), engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};
const INFO = { version: "4.17", cpus: 1, memoryMib: 4_096, freeMib: 1_024, scheduler: "credit2", abilities: ["pv"] };

describe.skipIf(process.getuid?.() !== 0)("a domain that may reach the network", () => {
  let folder: string;
  let toolstack: Toolstack;
  let terminal: Terminal;
  let guest: OtherEnd;
  let outside: Server;
  const drivers: GuestDriver[] = [];
  const dialled: string[] = [];

  const open = async (inUse: readonly string[] = [], networkWhy: string | null = null): Promise<GuestDriver> => {
    const host = {
      xl: new Xl(toolstack.run, toolstack.apart),
      kind: "pv",
      info: INFO,
      networkWhy,
      roomMib: 1_024,
      engine: "xen-4.17-pv",
    } as const;
    const driver = await createXenDriver({
      host: {
        ...host,
        ready: { close: () => {} },
        loader: null,
        loaderWhy: "",
        stock: null,
        stockWhy: "",
        emulationWhy: "no HVM",
        ratesWhy: null,
        lvmWhy: null,
      },
      ...{
        folder: path.join(folder, "xen"),
        recordFolder: path.join(folder, "vm"),
        inUse,
        crypto: nodeCrypto,
        imageCacheGib: 1,
        diskIops: 1,
      },
      ...{
        snapshots: { gib: 1, hours: 1 },
        egress: { ports: [80], allow: [], bytesPerSecondMax: 12_500_000, gibPerMonth: 1 },
        log: () => {},
      },
      consoleDaemon: { name: "perl", settledSeconds: 0 },
      network: {
        resolve: async (name) => (name === "allowed.example" ? [PUBLIC] : []),
        dial(address, port) {
          dialled.push(`${address}:${port}`);
          return connect({ host: "127.0.0.1", port: (outside.address() as AddressInfo).port });
        },
      },
    });
    drivers.push(driver);
    return driver;
  };
  const jobOf = (egress: Egress = "public", egressBytesUsed = 0): GuestJob => {
    const spec = { ...SPEC, egress };
    const said = {
      jobHash: vmJobHashOf(nodeCrypto, spec),
      driver: "xen",
      fuelMax: "1",
      egress,
      egressMibMax: egress === "none" ? 0 : 1,
    } as const;
    const blobs = [{ digest: KERNEL, size: 1 }];
    return {
      ...orderedFor(said),
      ...{ lease: "ab".repeat(32), work: { kind: "machine", vm: { spec, inputs: NO_INPUTS, blobs } }, fuelMax: 1n, runMsMax: 60_000 },
      ...{ egressBytesUsed: () => egressBytesUsed, trace: null, blobFile: (digest) => path.join(folder, digest) },
    };
  };
  const begun = async (driver: GuestDriver, job: GuestJob): Promise<RunningGuest> => (await driver.prepare(job)).begin();
  /** All that comes from there; throws where nothing is heard. */
  async function fetched(address: string, port = 80): Promise<number> {
    const socket: Socket = await guest.namespace.connect(port, address);
    let bytes = 0;
    for await (const part of socket) bytes += (part as Buffer).length;
    return bytes;
  }
  const isRefused = (address: string, port = 80): Promise<void> =>
    expect(fetched(address, port).then((bytes) => `${bytes} bytes came`)).rejects.toThrow(/ECONNREFUSED|ECONNRESET/);

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-xen-network-"));
    await writeFile(path.join(folder, KERNEL), trialKernel());
    toolstack = new Toolstack(100);
    terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    guest = await OtherEnd.start();
    toolstack.whenMade = ({ id }) => guest.wire(`vif${id}.0`);
    outside = createServer((socket) => socket.on("error", () => {}).end(PAGE));
    await once(outside.listen(0, "127.0.0.1"), "listening");
    dialled.length = 0;
  });
  afterEach(async () => {
    for (const driver of drivers.splice(0)) await driver.close();
    await guest.close();
    terminal.close();
    outside.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("reaches by the gate what order and owner allow, and what it was is counted and written down, also by the daemon that comes next", async () => {
    const driver = await open();
    const job = jobOf();
    expect(driver.capabilities.network).toBe(true);
    expect(driver.problemWith(job.work, job)).toBeNull();
    const running = await begun(driver, job);
    expect(await fetched(PUBLIC)).toBe(PAGE.length);
    await isRefused(PRIVATE);
    await isRefused(PUBLIC, 81);
    expect(dialled).toEqual([`${PUBLIC}:80`]);
    await until(async () => running.egressBytes!() === PAGE.length);
    running.release();
    await driver.close();
    const next = await open([String(running.token["folder"])]);
    const found = (await next.adopt(running.token, jobOf("public", PAGE.length)))!;
    expect(await fetched(PUBLIC)).toBe(PAGE.length);
    await found.kill();
    await found.ended;
    expect(found.egressBytes!()).toBe(2 * PAGE.length);
    await next.close();
    const lines = (await readFile(path.join(folder, "vm", "egress.jsonl"), "utf8")).trim().split("\n");
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { address: PUBLIC, bytes: PAGE.length, lease: job.lease },
      { address: PUBLIC, bytes: PAGE.length, lease: job.lease },
    ]);
    await found.dispose();
  });

  it("reaches by name what its order names alone, and no more bytes than that pays for", async () => {
    const running = await begun(await open(), jobOf(["allowed.example"], 1024 * 1024 - PAGE.length / 2));
    await isRefused(PUBLIC); // nobody asked for its name
    const datagrams = await guest.namespace.datagrams(5_353);
    const answered = once(datagrams, "message");
    datagrams.send(ASKS_NAME, 53, "10.0.2.3");
    await answered;
    datagrams.close();
    expect(await fetched(PUBLIC).catch(() => 0)).toBeLessThan(PAGE.length);
    await isRefused(OTHER);
    expect(dialled).toEqual([`${PUBLIC}:80`]);
    expect(running.egressBytes!()).toBeLessThanOrEqual(1024 * 1024);
    await running.kill();
    await running.ended;
    await running.dispose();
  });

  it("reaches nothing where it was ordered with a card alone", async () => {
    const running = await begun(await open(), jobOf("none"));
    await isRefused(PUBLIC);
    expect(running.egressBytes!()).toBe(0);
    await running.kill();
    await running.ended;
    await running.dispose();
  });

  it("is refused in words where something for it is missing, and where it has no card for what was ordered", async () => {
    const job = jobOf();
    const without = await open([], "no network: it needs the kernel's xen-netback");
    expect(without.capabilities.network).toBe(false);
    expect(without.problemWith(job.work, job)).toContain("order without --network");
    const other = jobOf("none");
    expect((await open()).problemWith(other.work, { po: other.po, order: job.order })).toContain("not the one that was ordered");
  });
});
