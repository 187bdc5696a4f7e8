/** What a machine's guest is told when this program goes and the machine stays, with a server of this machine's own in place of the guest. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Machine } from "@xenoservers/guests";
import { until } from "../../../../../test/until.ts";
import type { RunningGuest } from "../driver.ts";
import { runningGuest } from "./vm-guest.ts";
import type { VmJob } from "./vm-job.ts";

/** Ports of the guest's are these of its namespace. */
const FORWARD_FROM = 20_000;
/** More than a side takes that nobody reads, and no more than its kernel does. */
const PART_BYTES = 100_000;

const mayEnter = process.getuid?.() === 0;
if (!mayEnter) console.warn("SKIPPED: only root enters a namespace of its own without a user namespace around it");

let inGuest: Server;
let port: number;
let guest: RunningGuest;
let leaving: Set<Promise<void>>;

beforeEach(async () => {
  inGuest = createServer({ pauseOnConnect: true });
  await once(inGuest.listen(0, "127.0.0.1"), "listening");
  port = ((inGuest.address() as AddressInfo).port - FORWARD_FROM + 65_536) % 65_536;
  leaving = new Set();
  const vm = { folder: "/none", handle: { id: { pid: process.pid } }, onPortClosed: () => {}, qmp: async () => "" };
  const machine = { vm, token: { kind: "other" }, ended: new Promise(() => {}), release: () => {} } as unknown as Machine;
  const job = { spec: { network: true, vm: { kind: "kernel" } } } as unknown as VmJob;
  const gates = { shut: async () => {} };
  guest = await runningGuest(machine, job, null, { gates, leaving, isLive: false } as unknown as Parameters<typeof runningGuest>[3]);
});
afterEach(() => void inGuest.close());

it.skipIf(!mayEnter)(
  "of an upload that is under way it hears all that was said, and a reset, before this program goes (an end would make it whole)",
  async () => {
    const coming = once(inGuest, "connection") as Promise<[Socket]>;
    const socket = (await guest.controls!.open(port)) as Socket;
    const why = once(socket, "error");
    const [there] = await coming;
    socket.write(Buffer.alloc(PART_BYTES));
    await until(() => socket.writableLength === 0);
    guest.release();
    expect(leaving.size).toBe(1);
    await expect(guest.controls!.open(port)).rejects.toThrow("goes away, and the machine runs on");
    let bytes = 0;
    const [error] = await once(there.on("data", (part: Buffer) => (bytes += part.length)).resume(), "error");
    expect([bytes, (error as NodeJS.ErrnoException).code]).toEqual([PART_BYTES, "ECONNRESET"]);
    expect((await why)[0]).toMatchObject({ message: expect.stringContaining("goes away, and the machine runs on") });
    await Promise.all(leaving);
    expect(leaving.size).toBe(0);
  },
);
