/**
 * A domain's card from its making to its end, beside a toolstack that only keeps state and makes cards of this machine's kernel. Needs
 * root; without it no card can be made.
 */
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { VmSpec } from "@xenoservers/protocol";
import { until } from "../../../../test/until.ts";
import { startTicksOf } from "../programs/process-id.ts";
import type { Domain } from "./domain.ts";
import { Domains } from "./domains.ts";
import { isThere } from "./domain-disk.ts";
import { NETWORK } from "./domain-network.ts";
import { OtherEnd } from "./other-end.fixture.ts";
import { openTerminal, type Terminal } from "./terminal.fixture.ts";
import { RATES, Toolstack } from "./toolstack.fixture.ts";
import { trialKernel } from "./trial-kernel.ts";
import { Xl } from "./xl.ts";

const [LEASE, FORK, KERNEL] = ["ab".repeat(32), "cd".repeat(32), "11".repeat(32)];
const SPEC: VmSpec = {
  vm: { kind: "kernel", kernel: KERNEL, initrd: null, append: "console=hvc0" },
  ...{ machine: "pc", firmware: "bios", devices: "virtio", tpm: false, vcpu: 1, memoryMib: 64, diskMib: 0, outputMibMax: 1 },
  ...{ network: true, egress: "none", inputs: KERNEL, engine: null, fuelMax: "1", seed: KERNEL, clockBaseMs: 0 },
};
const JOB = { customer: "cd".repeat(32), inputs: { entries: [], mounts: [] }, spareMib: 128 };
/** As a client asks for an offer (RFC 2131, figure 1). */
const ASKS = Buffer.alloc(300);
ASKS.set([1, 1, 6, 0, 1, 2, 3, 4]);
ASKS.set([0x63, 0x82, 0x53, 0x63, 53, 1, 1, 255], 236);

describe.skipIf(process.getuid?.() !== 0)("a domain's card", () => {
  let folder: string;
  let toolstack: Toolstack;
  let terminal: Terminal;
  let guest: OtherEnd;
  const guests: OtherEnd[] = [];
  const opened: Domains[] = [];

  const another = async (): Promise<OtherEnd> => {
    const end = await OtherEnd.start();
    guests.push(end);
    return end;
  };

  async function open(inUse: readonly string[] = [], run = toolstack.run): Promise<Domains> {
    const all = new Domains({
      ...{ xl: new Xl(run, toolstack.apart), kind: "pv", loader: null, stock: null, emulates: false, card: { kbitPerSecondMax: 1_250 } },
      ...{ folder: path.join(folder, "domains"), rates: RATES, cache: { folder: path.join(folder, "cache"), bytesMax: 0 }, log: () => {} },
      consoleDaemon: { name: "perl", settledSeconds: 0 },
    });
    opened.push(all);
    await all.open(inUse);
    return all;
  }
  const prepared = async (domains: Domains): Promise<Domain> =>
    domains.prepare({ ...JOB, name: LEASE, spec: SPEC, blobFile: (digest) => path.join(folder, digest) });
  const holderOf = async ({ token }: Domain): Promise<number> =>
    (JSON.parse(await readFile(path.join(token.folder, "network.json"), "utf8")) as { pid: number }).pid;
  const isUp = async (domain: Domain): Promise<void> => {
    const server = await guest.namespace.listen(22);
    server.on("connection", (socket: Socket) => socket.on("error", () => {}).end("from the guest"));
    const socket = await domain.card!.connect(22);
    expect(
      String(
        (
          await once(
            socket.on("error", () => {}),
            "data",
          )
        )[0],
      ),
    ).toBe("from the guest");
    socket.destroy();
    server.close();
  };
  const nodesOf = (id: number): string => `xenstore-write /local/domain/0/backend/vif/${id}/0/hotplug-status connected`;

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-card-"));
    await writeFile(path.join(folder, KERNEL), trialKernel());
    toolstack = new Toolstack();
    terminal = await openTerminal();
    toolstack.tty = terminal.tty;
    guest = await another();
    toolstack.whenMade = ({ id, config }) => (config.includes("vif=") ? guest.wire(`vif${id}.0`) : Promise.resolve());
  });
  afterEach(async () => {
    for (const all of opened.splice(0)) all.close();
    for (const each of guests.splice(0)) await each.close();
    terminal.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("is where it belongs before its kernel may use it, and leads both ways", async () => {
    const domain = await prepared(await open());
    expect(toolstack.domains[0]!.config).toMatch(/^vif=\["mac=00:16:3e:12:34:56,type=vif,script=\/bin\/true,rate=1250Kb\/s"\]$/m);
    expect(await isThere("/sys/class/net/vif1.0")).toBe(false);
    await domain.begin();
    expect(toolstack.calls.indexOf(nodesOf(1))).toBeLessThan(toolstack.calls.indexOf("xl unpause 1"));
    await isUp(domain);
    const holder = await holderOf(domain);
    await domain.stop(0);
    expect(await startTicksOf(holder)).toBeNull();
    await domain.dispose();
  });

  it("tells its guest its address when that asks", async () => {
    const domain = await prepared(await open());
    const asking = await guest.namespace.datagrams(68);
    asking.setBroadcast(true);
    const answered = once(asking, "message") as Promise<[Buffer]>;
    asking.send(ASKS, 67, NETWORK.gateway);
    expect([...(await answered)[0].subarray(16, 20)].join(".")).toBe(NETWORK.guest);
    asking.close();
    await domain.dispose();
  });

  it("is the same network for a daemon that comes later, also where who held it was ended", async () => {
    const domain = await prepared(await open());
    await domain.begin();
    const holder = await holderOf(domain);
    domain.release();
    const found = await (await open([domain.token.folder])).adopt(domain.token, SPEC);
    expect(await holderOf(found)).toBe(holder);
    await isUp(found);
    found.release();
    process.kill(holder, "SIGKILL"); // whatever holds nothing any more is gone with it
    await until(async () => (await startTicksOf(holder)) === null);
    await guest.wire("vif1.0"); // Xen's cards are dom0's again then; those of this kernel end
    const again = await (await open([domain.token.folder])).adopt(domain.token, SPEC);
    expect(await holderOf(again)).not.toBe(holder);
    await isUp(again);
    await again.kill();
  });

  it("is another one in the same network where its kernel starts again", async () => {
    const domain = await prepared(await open());
    await writeFile(path.join(domain.token.folder, "progress"), "restarting");
    toolstack.domains.length = 0;
    const holder = await holderOf(domain);
    domain.release();
    const found = await (await open([domain.token.folder])).adopt(domain.token, SPEC);
    await until(async () => toolstack.domains[0]?.paused === false);
    expect(toolstack.calls).toContain(nodesOf(2));
    expect(await holderOf(found)).toBe(holder);
    await isUp(found);
    await found.kill();
    expect(await startTicksOf(holder)).toBeNull();
  });

  it("leaves nothing where dom0's kernel is not told of it", async () => {
    const children = async (): Promise<string> => readFile(`/proc/self/task/${process.pid}/children`, "utf8");
    const domains = await open([], async (program, args) => {
      if (program === "xenstore-write") throw new Error("no");
      return toolstack.run(program, args);
    });
    const before = await children();
    await expect(prepared(domains)).rejects.toThrow("xenstore-write");
    expect(toolstack.domains).toEqual([]);
    await until(async () => (await children()) === before);
  });

  it("goes with a domain that no lease has", async () => {
    const domain = await prepared(await open());
    const holder = await holderOf(domain);
    domain.release();
    await open();
    expect(await startTicksOf(holder)).toBeNull();
    expect(await isThere(domain.token.folder)).toBe(false);
  });

  it("of a fork lies in a network of its own", async () => {
    const domains = await open();
    const domain = await prepared(domains);
    await domain.begin();
    const snapshot = path.join(folder, "kept");
    await domain.snapshot(snapshot);
    const first = await holderOf(domain);
    guest = await another();
    const from = { spec: SPEC, state: path.join(snapshot, "state"), disk: null };
    const ordered: VmSpec = { ...SPEC, vm: { kind: "snapshot", snapshot: FORK } };
    const fork = await domains.prepare({ ...JOB, name: FORK, spec: ordered, blobFile: () => path.join(folder, KERNEL), from });
    expect(await holderOf(fork)).not.toBe(first);
    expect(toolstack.calls).toContain(nodesOf(2));
    await isUp(fork);
    await fork.dispose();
    await domain.kill();
  });
});
