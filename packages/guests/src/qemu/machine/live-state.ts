/**
 * A machine's memory and devices as a stream that is sent while it runs: what it writes to meanwhile is sent again, and for the last of it
 * the machine stands still (QEMU docs/devel/migration). Who controls the inputs: the guest (what it writes, and how fast), and QEMU, taken
 * to be the guest's. Only where KVM accounts for what the guest writes: QEMU's own emulation loses writes on the way (kvm-unit-tests has a
 * program that shows it, selftest-migration), and a guest with an old page in its memory crashes later. What is emulated stands still for
 * all of it.
 *
 *   it runs, its memory is sent  ──▶  little is left, which is told  ──▶  it stands still ("pre-switchover"), which is told  ──▶  the last
 */
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { isRecord } from "../../json.ts";
import { VM_FILES } from "./plan.ts";
import { QmpError } from "./qmp.ts";
import { giveToBox, boxPath, type Vm } from "./vm.ts";

const MIB = 1024 * 1024;
const POLL_MS = 10;
/** It goes on running until what is left takes no longer than that, at the pace so far. */
const LAST_MS = 300;
/** Whatever the pace is, so much is little. */
const LITTLE_BYTES = 4 * MIB;
/**
 * QEMU itself lets it stand still for what takes so long: nearly nothing (with nothing it looks once alone), and whatever is left. It
 * answers nobody while it sends that, so that of a machine that stands still, too, all but nearly nothing goes before it.
 */
const [SHORTEST_MS, ANY_MS] = [1, 600_000];
/** So long QEMU may say nothing new: that it sends, and sends nothing, or that it ends what it does not end. */
const QUIET_MS = 120_000;
/** Its memory was looked through once, and then for what it had written to meanwhile. */
const LOOKED_TIMES = 2;

/** It wrote so little that it stood still before anybody was told; it runs again. */
export class StoodTooSoon extends Error {
  override name = "StoodTooSoon";
}
/** A guest that writes faster than its memory is sent stands still once that was sent so often. */
const TIMES_MAX = 2;
/** What of its memory may be sent in all, as often: twice as it runs, and all of it as it stands still. */
export const MEMORY_TIMES_SENT_MAX = TIMES_MAX + 1;

const setPace = (vm: Pick<Vm, "qmp">, lastMs: number): Promise<unknown> =>
  vm.qmp("migrate-set-parameters", { "max-bandwidth": 10_000_000_000, "downtime-limit": lastMs });

const setCapabilities = (vm: Pick<Vm, "qmp">, standsFirst: boolean): Promise<unknown> =>
  vm.qmp("migrate-set-capabilities", {
    capabilities: [
      { capability: "x-ignore-shared", state: false },
      { capability: "pause-before-switchover", state: standsFirst },
    ],
  });

/** How far it has come. */
interface Come {
  status: unknown;
  why: unknown;
  /** Little is left, at the pace so far. */
  isNearlyAll: boolean;
}

async function comeOf(vm: Pick<Vm, "qmp">): Promise<Come> {
  const answer = await vm.qmp("query-migrate");
  if (!isRecord(answer)) throw new QmpError("QEMU does not say how far the machine's state has come");
  const ram = isRecord(answer["ram"]) ? answer["ram"] : {};
  const littleBytes = Math.max(LITTLE_BYTES, (Number(ram["mbps"]) || 0) * (1_000_000 / 8 / 1_000) * LAST_MS);
  const isNearlyAll = Number(ram["dirty-sync-count"]) >= LOOKED_TIMES && Number(ram["remaining"]) <= littleBytes;
  return { status: answer["status"], why: answer["error-desc"], isNearlyAll };
}

const passed = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, POLL_MS));

/** Throws, from the second call on, where it is called with the same for too long. */
function quietly(quietMs: number): (now: unknown) => void {
  let last: unknown;
  let since = 0;
  return (now) => {
    if (now !== last) [last, since] = [now, performance.now()];
    else if (performance.now() - since >= quietMs) throw new QmpError(`QEMU has done nothing for ${quietMs / 1_000} s`);
  };
}

/** How far it has come; `unanswered` is called while QEMU does not say, and throws where that is not waited for. */
async function answered(vm: Pick<Vm, "qmp">, unanswered: () => void): Promise<Come> {
  const asked = comeOf(vm);
  asked.catch(() => {}); // waited for below, or by nobody any more
  for (;;) {
    const come = await Promise.race([asked, passed()]);
    if (come) return come;
    unanswered();
  }
}

/** Resolves once all of it was sent. Throws StoodTooSoon. `leftBytes`: at none it is to stand still, whatever is left. */
async function followed(
  vm: Pick<Vm, "qmp">,
  { isLive, nearly, maySoon, still, quietMs = QUIET_MS }: Omit<Sending, "memoryMib">,
  leftBytes: () => number,
): Promise<void> {
  const isQuiet = quietly(quietMs);
  for (let told: "nothing" | "nearly" | "still" = isLive ? "nothing" : "still"; ; await passed()) {
    const { status, why, isNearlyAll } = await answered(vm, () => isQuiet(`no answer ${leftBytes()}`));
    isQuiet(`${String(status)} ${leftBytes()}`);
    if (status === "completed") return;
    if (status === "failed" || status === "cancelled")
      throw new Error(`the machine's state could not be sent: ${typeof why === "string" ? why : status}`);
    if (status === "active" && told === "nothing" && (isNearlyAll || leftBytes() <= 0)) {
      told = "nearly";
      await nearly();
      await setPace(vm, ANY_MS);
    }
    if (status === "pre-switchover" && told !== "still") {
      if (told === "nothing" && !(await maySoon())) throw new StoodTooSoon("it stood still before anybody was told");
      told = "still";
      await still();
      await vm.qmp("migrate-continue", { state: status });
    }
  }
}

/** What is told while it is sent; it goes on once that has resolved. */
interface Told {
  /** It runs, and stands still in a moment. */
  nearly(): Promise<void>;
  /** It stands still and `nearly` was not told: false where it is to run for that, and be sent anew. */
  maySoon(): Promise<boolean>;
  /** It stands still, for the last of it. */
  still(): Promise<void>;
}

/**
 * Nothing of it is under way any more; where it stood still for the last of it, QEMU has it run again. Of no consequence once all was sent.
 * Throws where QEMU does not end it.
 */
export async function endState(vm: Pick<Vm, "qmp">, quietMs = QUIET_MS): Promise<void> {
  await vm.qmp("migrate_cancel");
  const isQuiet = quietly(quietMs);
  const isOver = async (): Promise<boolean> =>
    ["none", "completed", "failed", "cancelled", undefined].includes((await comeOf(vm)).status as string | undefined);
  for (; !(await isOver()); await passed()) isQuiet("ending");
  await setCapabilities(vm, false);
}

export interface Sending extends Told {
  memoryMib: number;
  /** Whether it is sent while it runs. */
  isLive: boolean;
  /** For tests. */
  quietMs?: number;
}

/**
 * Whoever reads no further ends it, and it runs on where it was sent while it ran, else stands still. Throws where QEMU does, and
 * StoodTooSoon.
 */
export async function* liveState(
  vm: Pick<Vm, "qmp" | "folder" | "uid" | "pause" | "isSending">,
  { memoryMib, isLive, ...told }: Sending,
): AsyncGenerator<Uint8Array> {
  const file = boxPath(vm.folder, VM_FILES.migrate);
  await rm(file, { force: true });
  const server = createServer();
  let socket: Socket | null = null;
  let isWhole = false;
  try {
    await once(server.listen(file), "listening");
    await giveToBox(file, vm.uid);
    if (!isLive) {
      await told.nearly();
      await told.still();
      await vm.pause();
    }
    await setCapabilities(vm, isLive);
    await setPace(vm, SHORTEST_MS);
    const connected = once(server, "connection") as Promise<[Socket]>;
    vm.isSending = true;
    await vm.qmp("migrate", { uri: `unix:/w/${VM_FILES.migrate}` });
    let leftBytes = TIMES_MAX * memoryMib * MIB;
    const all = followed(vm, { isLive, ...told }, () => leftBytes);
    all.catch((error: Error) => socket?.destroy(error)); // waited for below
    [socket] = await Promise.race([connected, all.then(() => Promise.reject(new Error("QEMU sent the machine's state nowhere")))]);
    for await (const bytes of socket as AsyncIterable<Buffer>) {
      yield bytes;
      leftBytes -= bytes.length;
    }
    await all;
    isWhole = true;
  } finally {
    server.close();
    socket?.destroy();
    vm.isSending = false;
    await rm(file, { force: true });
    if (!isWhole) await endState(vm, told.quietMs).catch(() => {}); // it is gone then, or does what it wants
  }
}
