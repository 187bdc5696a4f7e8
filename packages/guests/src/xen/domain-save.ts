/**
 * A running domain's memory, devices and disk at one moment. Its kernel suspends itself for it, and goes on afterwards; one that is to go
 * on elsewhere stands still. What writes its memory outlives the daemon: a domain whose saving is cut short stays suspended, and xl has
 * no word that ends that. The next daemon waits for it, by a file of the domain's folder that says where the state goes. Who controls the
 * inputs: the guest (whether its kernel suspends itself, and what its memory holds).
 */
import { mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { run } from "../programs/start.ts";
import { writeOwn } from "../write-own.ts";
import type { DomainPlan } from "./domain-config.ts";
import { held } from "./domain-disk.ts";
import type { ListedDomain } from "./listing.ts";
import { otherEnd, stateOf, type SentState } from "./live-save.ts";
import { savingLine } from "./still-save.ts";
import type { Xl } from "./xl.ts";

const COPY_MS = 30 * 60_000;
const LOOK_MS = 200;
/** Between two tries to let it go on. */
const AGAIN_MS = 1_000;
/** Of a saved domain's memory, and what else is in its state: page tables of its processors and the records around each batch of pages. */
const EXTRA_MIB = 64;
const EXTRA_SHARE = 1 / 32;

const KIND = "kind";
export const STATE = "state";
const SAVED_DISK = "disk.raw";
const savingFile = (folder: string): string => path.join(folder, "saving");
/** In that file, of one that stands still afterwards, and of one whose state is sent while it runs. */
const [STILL, LIVE] = ["still", "live"] as const;

const TAKEN = "a snapshot of it is being taken";
const MOVING = "it is being moved to another server of its owner: ask again in a moment";

/** Shares its blocks where the file system can, and is as sparse. */
export async function copyDisk(from: string, to: string, signal?: AbortSignal): Promise<void> {
  const bounds = { timeout: COPY_MS, killSignal: "SIGKILL", ...(signal ? { signal } : {}) } as const;
  await run("cp", ["--reflink=auto", "--sparse=always", "--", from, to], bounds);
}

/** How the domain that was saved met the hypervisor: it can be no other. */
export const savedKind = (snapshot: string): Promise<string> => readFile(path.join(snapshot, KIND), "utf8");

/** Whether some process here was told to write there. */
async function isWritten(state: string): Promise<boolean> {
  for (const each of await readdir("/proc")) {
    if (!/^\d+$/.test(each)) continue;
    const words = await readFile(`/proc/${each}/cmdline`, "utf8").catch(() => "");
    if (words.split("\0").includes(state)) return true;
  }
  return false;
}

/** Beside the disk that a domain writes. */
export const unchangedOf = ({ over, beside = [] }: Pick<DomainPlan, "over" | "beside">): string[] => [
  ...(over ? [over.base] : []),
  ...beside.filter(({ isWritable }) => !isWritable).map(({ file }) => file),
];

interface SavedOf {
  xl: Pick<Xl, "save" | "live" | "still" | "pause" | "unpause">;
  /** The domain's own. */
  folder: string;
  plan: Pick<DomainPlan, "kind" | "memoryMib" | "disk" | "over" | "beside">;
  /** As it is now; null where it is gone, or is to go. */
  found(): Promise<ListedDomain | null>;
  /** It cannot go on. */
  lost(why: string): Promise<void>;
}

export class DomainSaving {
  readonly #of: SavedOf;
  #underWay: Promise<void> | null = null;
  #what: typeof TAKEN | typeof MOVING = TAKEN;
  /** It runs while its state is sent. */
  isLive = false;
  /** How often it stood still because all of its state was sent. */
  timesSent = 0;

  constructor(of: SavedOf) {
    this.#of = of;
  }

  /** Its kernel suspends itself because it was asked to. */
  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  async over(): Promise<void> {
    while (this.#underWay) await this.#underWay; // a move waits for a snapshot, and is the next
  }

  /** Once a snapshot that is being taken is there. Throws, in words, where it is sent elsewhere: what is asked of it then is in vain. */
  async free(): Promise<void> {
    while (this.#underWay) {
      if (this.#what === MOVING) throw new Error(MOVING);
      await this.#underWay;
    }
  }

  /** Leaves the snapshot in the folder `to`, or nothing. The domain goes on. */
  take(to: string): Promise<void> {
    return this.#alone(() => this.#take(to));
  }

  /**
   * Its state, sent while it stands still, once a snapshot that is being taken is there; `had`: called once that was had. The domain may be
   * paused before, and is afterwards, also where this fails or is not wanted.
   */
  still(had: () => void): AsyncGenerator<Uint8Array> {
    return this.#sent(() => this.#still(had));
  }

  /**
   * Its state, sent while it runs, once a snapshot that is being taken is there; once the last of it was had it stands still, and `had` is
   * called. Where that fails, or is not wanted, it goes on.
   */
  live(had: () => void): AsyncGenerator<Uint8Array> {
    return this.#sent(() => this.#live(had), true);
  }

  async *#sent(state: () => AsyncGenerator<Uint8Array>, isLive = false): AsyncGenerator<Uint8Array> {
    const before = this.#underWay;
    if (before && this.#what === MOVING) throw new Error(MOVING);
    const over = Promise.withResolvers<void>();
    this.#underWay = over.promise;
    this.#what = MOVING;
    try {
      await before;
      this.isLive = isLive;
      yield* state();
    } finally {
      this.isLive = false;
      this.#underWay = null;
      over.resolve();
    }
  }

  /** Written down for the daemon that comes next; what is not begun is not: that one would have the domain stand still for good. */
  async #begun(mark: string, begin: () => Promise<SentState>): Promise<SentState> {
    const file = savingFile(this.#of.folder);
    await writeOwn(file, mark);
    try {
      return await begin();
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
  }

  async *#live(had: () => void): AsyncGenerator<Uint8Array> {
    const { xl, folder } = this.#of;
    const { id, paused } = await this.#running();
    if (paused) throw new Error("a domain that is paused is not sent while it runs");
    const name = path.basename(folder);
    const sent = await this.#begun(`${otherEnd(name)}\n${LIVE}`, () => xl.live(id, name, path.join(folder, "save.log")));
    try {
      yield* stateOf(sent, "xl migrate");
      had();
      if (!(await this.#of.found())?.paused) await xl.pause(id);
      this.timesSent++;
    } finally {
      await sent.end();
      await this.#saved();
      await rm(savingFile(folder), { force: true });
    }
  }

  async #alone(take: () => Promise<void>): Promise<void> {
    if (this.#underWay) throw new Error(this.#what);
    this.#what = TAKEN;
    const taken = take();
    const over = taken.catch(() => {});
    this.#underWay = over;
    try {
      await taken;
    } finally {
      // a move may wait for this one
      if (this.#underWay === over) this.#underWay = null;
    }
  }

  /** As it runs, or is paused. */
  async #running(): Promise<ListedDomain> {
    const found = await this.#of.found();
    if (!found || found.shutdown !== null) throw new Error("the domain has ended");
    return found;
  }

  async #take(to: string): Promise<void> {
    const found = await this.#running();
    if (found.paused) throw new Error("a domain that is paused cannot be saved, for its kernel must suspend itself: resume it first");
    const part = `${to}.part`;
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true, mode: 0o700 });
    await writeOwn(savingFile(this.#of.folder), path.join(part, STATE));
    try {
      await this.#write(found.id, part);
      await rename(part, to);
    } finally {
      await this.#surelyGoOn();
      await rm(savingFile(this.#of.folder), { force: true });
      await rm(part, { recursive: true, force: true });
    }
  }

  async *#still(had: () => void): AsyncGenerator<Uint8Array> {
    const { xl, folder } = this.#of;
    const { id, paused } = await this.#running();
    const name = path.basename(folder);
    const sent = await this.#begun(`${savingLine(id, name)}\n${STILL}`, () => xl.still(id, name, path.join(folder, "save.log")));
    try {
      // its kernel must run to suspend itself
      if (paused) await xl.unpause(id);
      yield* stateOf(sent, "xl save");
      had();
    } finally {
      await sent.end();
      await this.#standStill();
      await rm(savingFile(folder), { force: true });
    }
  }

  async #save(id: number, state: string): Promise<void> {
    const { xl, folder, plan } = this.#of;
    const fileMibMax = Math.ceil(plan.memoryMib * (1 + EXTRA_SHARE)) + EXTRA_MIB;
    await xl.save(id, state, { log: path.join(folder, "save.log"), fileMibMax });
  }

  async #write(id: number, to: string): Promise<void> {
    const { plan } = this.#of;
    await this.#save(id, path.join(to, STATE));
    if (plan.disk !== null) await copyDisk(plan.disk, path.join(to, SAVED_DISK));
    for (const file of unchangedOf(plan)) await held(file, path.join(to, path.basename(file)));
    await writeFile(path.join(to, KIND), plan.kind, { mode: 0o600 });
  }

  /** Null where it does not run any more. */
  async #saved(): Promise<ListedDomain | null> {
    const found = await this.#of.found();
    // its saving was cut short from outside, or the host has no room: no doing of the guest's
    if (found?.shutdown === "suspend") await this.#of.lost("it was suspended to be saved, and could not go on");
    return found?.shutdown === null ? found : null;
  }

  async #goOn(): Promise<void> {
    const found = await this.#saved();
    if (found?.paused) await this.#of.xl.unpause(found.id);
  }

  /** However long the toolstack does not answer: nobody else knows that it stands still. Until it has ended. */
  async #surelyGoOn(): Promise<void> {
    const isDone = (): Promise<boolean> =>
      this.#goOn().then(
        () => true,
        () => false,
      );
    while (!(await isDone())) await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }

  async #standStill(): Promise<void> {
    const found = await this.#saved();
    if (found && !found.paused) await this.#of.xl.pause(found.id);
  }

  /** Waits for a saving that an earlier daemon began, and lets its domain go on, or stand; what was saved is of no use. */
  async takeUp(): Promise<void> {
    const file = savingFile(this.#of.folder);
    const [state = "", after] = (await readFile(file, "utf8").catch(() => "")).split("\n");
    if (state === "") return;
    while (await isWritten(state)) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    await (after === STILL ? this.#standStill() : this.#goOn());
    if (after === undefined) await rm(path.dirname(state), { recursive: true, force: true });
    await rm(file, { force: true });
  }
}
