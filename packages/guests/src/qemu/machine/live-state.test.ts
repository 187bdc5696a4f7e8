/** How a machine's state is sent while it runs: a program in QEMU's place, on a real file system and over real sockets. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { StoodTooSoon, liveState, type Sending } from "./live-state.ts";
import { VM_FILES } from "./plan.ts";
import { boxFolder, boxPath } from "./vm.ts";

const MIB = 1024 * 1024;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-live-"));
  await mkdir(boxFolder(folder));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Sends what it is told to, and says of itself what a test sets. */
class Qemu {
  readonly folder = folder;
  readonly uid = 0;
  readonly did: string[] = [];
  status = "none";
  why: string | undefined;
  remaining = 1_000 * MIB;
  looked = 1;
  maySoon = true;
  obeys = true;
  isSending = false;
  socket: Socket | null = null;
  /** What it does once it has to stand still. */
  onPace: (ms: number) => void = () => {};
  onContinue: () => void = () => {};
  onConnect: (socket: Socket) => void = () => {};

  readonly qmp = async (command: string, args: Record<string, unknown> = {}): Promise<unknown> => {
    switch (command) {
      case "query-migrate":
        return {
          status: this.status,
          "error-desc": this.why,
          ram: { mbps: 1, remaining: this.remaining, "dirty-sync-count": this.looked },
        };
      case "migrate-set-capabilities":
        this.did.push(`stands first: ${(args["capabilities"] as { capability: string; state: boolean }[])[1]!.state}`);
        break;
      case "migrate-set-parameters":
        this.did.push(`pace ${args["downtime-limit"]}`);
        this.onPace(Number(args["downtime-limit"]));
        break;
      case "migrate":
        expect(this.isSending).toBe(true);
        this.status = "active";
        this.socket = connect(boxPath(folder, VM_FILES.migrate)).on("error", () => {});
        this.onConnect(this.socket);
        break;
      case "migrate-continue":
        expect(this.isSending).toBe(true);
        this.did.push("goes on");
        this.onContinue();
        break;
      case "migrate_cancel":
        expect(this.isSending).toBe(false);
        this.did.push("cancelled");
        if (this.obeys) this.status = "cancelled";
    }
    return {};
  };

  readonly pause = async (): Promise<void> => void this.did.push("paused");

  readonly sending = (memoryMib: number, isLive = true): Sending => ({
    ...{ memoryMib, isLive },
    nearly: async () => void this.did.push("nearly"),
    maySoon: async () => this.maySoon,
    still: async () => void this.did.push("still"),
  });
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0;
  for await (const part of stream) bytes += part.length;
  return bytes;
}

/** The last of it is sent, and it is over. */
const ends = (qemu: Qemu) => (): void => {
  qemu.socket!.end(Buffer.alloc(MIB, 2), () => (qemu.status = "completed"));
};

it("stands still once little is left, and was told before, while it ran", async () => {
  const qemu = new Qemu();
  qemu.onConnect = (socket) => socket.write(Buffer.alloc(3 * MIB, 1), () => ([qemu.remaining, qemu.looked] = [MIB, 2]));
  qemu.onPace = (ms) => void (ms > 1 && (qemu.status = "pre-switchover"));
  qemu.onContinue = ends(qemu);
  expect(await bytesOf(liveState(qemu, qemu.sending(64)))).toBe(4 * MIB);
  expect(qemu.did).toEqual(["stands first: true", "pace 1", "nearly", "pace 600000", "still", "goes on"]);
});

it("stands still where its guest writes faster than is sent, once that was its memory twice", async () => {
  const qemu = new Qemu();
  let sent = 0;
  const flow = (): void => {
    if (qemu.status !== "active") return;
    qemu.socket!.write(Buffer.alloc(64 * 1024, 1), flow);
    sent += 64 * 1024;
  };
  qemu.onConnect = (socket) => socket.once("connect", flow);
  qemu.onPace = (ms) => {
    if (ms === 1) return;
    expect(sent).toBeGreaterThanOrEqual(8 * MIB);
    qemu.status = "pre-switchover";
  };
  qemu.onContinue = ends(qemu);
  expect(await bytesOf(liveState(qemu, qemu.sending(4)))).toBe(sent + MIB);
  expect(qemu.did.slice(2)).toEqual(["nearly", "pace 600000", "still", "goes on"]);
});

it("runs on where nobody reads further, and nothing is under way", async () => {
  const qemu = new Qemu();
  qemu.onConnect = (socket) => socket.write(Buffer.alloc(MIB, 1));
  const stream = liveState(qemu, qemu.sending(64));
  await stream.next();
  await stream.return(undefined);
  expect(qemu.did).toEqual(["stands first: true", "pace 1", "cancelled", "stands first: false"]);
});

it("stands still for all of it where it is emulated, and connections were told before", async () => {
  const qemu = new Qemu();
  qemu.onConnect = (socket) => socket.once("connect", ends(qemu));
  expect(await bytesOf(liveState(qemu, qemu.sending(64, false)))).toBe(MIB);
  expect(qemu.did).toEqual(["nearly", "still", "paused", "stands first: false", "pace 1"]);
  expect(qemu.isSending).toBe(false);
});

it("runs on where it stood still before that was told, and is to be sent anew", async () => {
  const qemu = new Qemu();
  qemu.maySoon = false;
  qemu.onConnect = (socket) => socket.write(Buffer.alloc(MIB, 1), () => (qemu.status = "pre-switchover"));
  await expect(bytesOf(liveState(qemu, qemu.sending(64)))).rejects.toThrow(StoodTooSoon);
  expect(qemu.did.slice(2)).toEqual(["cancelled", "stands first: false"]);
});

it("says in QEMU's words why it was not sent, also where that came when it stood still", async () => {
  const qemu = new Qemu();
  const fails = (): void => {
    [qemu.status, qemu.why] = ["failed", "Unable to write to socket: Broken pipe"];
  };
  qemu.onConnect = fails;
  const said = "the machine's state could not be sent: Unable to write to socket: Broken pipe";
  await expect(bytesOf(liveState(qemu, qemu.sending(64)))).rejects.toThrow(said);
  const other = new Qemu();
  other.onConnect = () => (other.status = "pre-switchover");
  other.onContinue = () => ([other.status, other.why] = ["failed", "Unable to write to socket: Broken pipe"]);
  await expect(bytesOf(liveState(other, other.sending(64)))).rejects.toThrow(said);
  expect(other.did.slice(2)).toEqual(["still", "goes on", "cancelled", "stands first: false"]);
});

it("is not waited for without an end where QEMU is the guest's: neither what it sends nor that it ends it", async () => {
  const qemu = new Qemu();
  qemu.obeys = false;
  const sent = bytesOf(liveState(qemu, { ...qemu.sending(64), quietMs: 0 }));
  await expect(sent).rejects.toThrow("QEMU has done nothing for 0 s");
  expect(qemu.did.at(-1)).toBe("cancelled");
});
