/**
 * A lease's domain from its first instruction to its end. The daemon can be killed and find it again: a domain that ended stays listed,
 * with why, until that was read here.
 *
 *   prepared -> begun -> (restarting -> begun)* -> ended: end.json is written, then the domain is destroyed
 *
 * It has begun once it runs: one that was made, and stands still because its daemon was killed just then, is begun by the next.
 *
 * Who controls the inputs: the guest (what it prints, how it ends), whoever administers the host, who may destroy it.
 */
import { randomBytes } from "node:crypto";
import path from "node:path";
import type { VmSpec } from "@xenoservers/protocol";
import { readGuestFile } from "../guest-files.ts";
import { hashedFiles } from "../hashed-files.ts";
import { messageOf } from "../thrown.ts";
import { DeviceModel } from "./device-model.ts";
import type { BackEnds } from "./domain-back-end.ts";
import { DomainCard } from "./domain-card.ts";
import { DomainCarrying } from "./domain-carrying.ts";
import { CONSOLE_LOG } from "./domain-console.ts";
import { readDomainEnd, writeDomainEnd, type DomainEnd } from "./domain-end.ts";
import { endOf, endOfGone } from "./domain-ending.ts";
import { disksOf, type DomainPlan } from "./domain-config.ts";
import { DomainFollowing } from "./domain-following.ts";
import { DomainMaking, type DomainSource } from "./domain-making.ts";
import { DomainPausing } from "./domain-pausing.ts";
import { DomainPowerDown } from "./domain-power-down.ts";
import { isMade, progressOf, reached } from "./domain-progress.ts";
import { DomainRoom, type RoomRules } from "./domain-room.ts";
import { DomainSaving } from "./domain-save.ts";
import { DomainSessions } from "./domain-sessions.ts";
import { DomainStreams } from "./domain-streams.ts";
import { ConsoleKeeping, DomainTalk } from "./domain-talk.ts";
import type { DomainToken, DomainWork } from "./domain-token.ts";
import { QEMU_OF_XEN, type ConsoleDaemon } from "./console-daemon.ts";
import type { WireCommand } from "./console-wire.ts";
import type { DomainWatch } from "./domain-watch.ts";
import type { ListedDomain } from "./listing.ts";
import type { Xl } from "./xl.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
/** Starting a domain takes dom0's time, which its guest does not pay for. */
const RESTART_MS = 10_000;
const SEED_BYTES = 32;

interface DomainParts {
  xl: Xl;
  watch: DomainWatch;
  consoleDaemon: ConsoleDaemon;
  wireCommand: WireCommand;
  roomRules: RoomRules;
  backEnds: BackEnds;
  log(what: string, facts: Record<string, unknown>): void;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Domain {
  readonly token: DomainToken;
  readonly spec: VmSpec;
  readonly ended: Promise<DomainEnd>;
  /** Null where it was ordered without one. */
  readonly card: DomainCard | null;
  /** What emulates its hardware; null where it has none that is. */
  readonly deviceModel: DeviceModel | null;
  /**
   * What its customer asks of what runs in it; of an image's alone. Others are saved, and a Linux that goes on from there, with consoles
   * beside its first, takes its disk's event channel away (ADR 73).
   */
  readonly sessions: DomainSessions | null;
  /** On its way to another host. */
  readonly carrying: DomainCarrying;
  readonly #parts: DomainParts;
  readonly #plan: DomainPlan;
  readonly #making: DomainMaking;
  readonly #following: DomainFollowing;
  /** Null where it has no disk that grows. */
  readonly #room: DomainRoom | null;
  /** Of an image's program; null where the console is all that there is. */
  readonly #streams: DomainStreams | null;
  #finish!: (end: DomainEnd) => void;
  #over = false;
  /** What is left of it goes. */
  #ending = false;
  /** Its end was seen, and is being read. */
  #settling = false;
  readonly #saving: DomainSaving;
  readonly #pausing: DomainPausing;
  readonly #powerDown: DomainPowerDown;
  readonly #talk: DomainTalk;
  /** Of the domain that this daemon has made last. */
  #keeping: ConsoleKeeping | null = null;
  #stopping = false;
  #begunAt = 0;
  #changed: () => void = () => {};

  constructor(parts: DomainParts, token: DomainToken, work: DomainWork) {
    const { spec, plan } = work;
    this.#parts = parts;
    this.spec = spec;
    this.token = token;
    this.#plan = plan;
    this.#streams = token.jobToken === "" ? null : new DomainStreams(token.folder, token.outputMibMax * MIB);
    const { folder, outputMibMax } = token;
    this.card = spec.network ? new DomainCard(folder) : null;
    this.deviceModel = plan.emulation ? new DeviceModel(folder, token.name) : null;
    // what a BIOS boots speaks on the machine's serial line, a kernel that is given on Xen's own console
    const isSerial = plan.emulation !== undefined && plan.kernel === null;
    const line = isSerial ? "serial/0" : "console";
    this.#talk = new DomainTalk({ xl: parts.xl, daemon: isSerial ? QEMU_OF_XEN : parts.consoleDaemon, line, folder, outputMibMax });
    const { xl, watch, wireCommand, backEnds, log } = parts;
    this.sessions = this.#streams && new DomainSessions({ xl, wireCommand, id: () => this.#making.id() });
    const { card, deviceModel } = this;
    const numbered = (id: number): void => void (this.#keeping = new ConsoleKeeping(this.#talk, id));
    this.#making = new DomainMaking({ xl, token, work, card, deviceModel, backEnds, hasConsoles: this.sessions !== null, numbered, log });
    const stands = { folder, pause: () => this.#pausing.forRoom(), over: () => this.#end({ kind: "no-room" }) };
    this.#room = disksOf(plan).some(({ isWritable }) => isWritable) ? new DomainRoom(stands, parts.roomRules) : null;
    this.#following = new DomainFollowing({
      ...{ watch, token, over: plan.over, room: this.#room, deviceModel },
      backEnd: this.card || disksOf(plan).length > 0 ? this.#making.backEnd : null,
      look: (found) => void this.#look(found),
      keepAgain: () => this.#keepAgain(),
      changed: () => this.#changed(),
      end: (end) => this.#end(end),
      modelGone: (why) => this.#modelGone(why),
      failed: (what, error) => this.#failed(what, error),
    });
    this.#saving = new DomainSaving({
      ...{ xl: parts.xl, folder, plan },
      found: async () => (this.#over || this.#ending ? null : this.#making.found()),
      lost: (detail) => this.#end({ kind: "host", detail }),
    });
    const isEnding = (): boolean => this.isOver || this.#stopping || this.#settling;
    this.#pausing = new DomainPausing({ xl, making: this.#making, saving: this.#saving, isEnding });
    this.carrying = new DomainCarrying({
      ...{ plan, folder, isImage: this.#streams !== null, saving: this.#saving, talk: this.#talk },
      found: () => this.#making.found(),
      settles: () => this.#settling,
      notSent: (error) => this.#failed("is saved to be carried, as it was not sent while it ran", error),
      saved: (how) => {
        log("a domain stands still to be carried", { name: token.name, how });
        if (!this.#over) watch.look();
      },
    });
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    this.#powerDown = new DomainPowerDown({
      ...{ isImage: this.#streams !== null, ended: this.ended, isOver: () => this.#over, isSettling: () => this.#settling },
      id: () => this.#making.id(),
      found: () => this.#making.found(),
      askToEnd: (id) => xl.askToEnd(id),
      resume: () => this.resume(),
      notResumed: (error) => this.#failed("was not resumed to be stopped", error),
      look: (found) => this.#look(found),
    });
  }

  /** It has ended, or is left to the next daemon. */
  get isOver(): boolean {
    return this.#over || this.#ending;
  }

  /** Makes it, paused; of the state of another, if there is one. Nothing of it is left where that fails. */
  async make(signal?: AbortSignal, from: DomainSource | null = null): Promise<void> {
    try {
      await this.#making.make(signal, from);
    } catch (error) {
      await this.unmake();
      throw error;
    }
  }

  /** Nothing of it is left in the hypervisor, as far as that can be told. */
  async unmake(): Promise<void> {
    await this.#keeping?.leave();
    await this.#making.unmake(this.#ending);
  }

  #failed(what: string, error: unknown): void {
    this.#parts.log(`a domain ${what}`, { name: this.token.name, error: messageOf(error) });
  }

  async begin(): Promise<void> {
    await this.#start();
    reached(this.token.folder, "begun");
    if (!this.#over) this.#following.begin();
  }

  /** Its console is kept before it says anything. */
  async #start(): Promise<void> {
    const id = this.#making.made ?? (await this.#making.id());
    await (this.#keeping?.id === id ? this.#keeping.kept : this.#talk.keep(id));
    this.#begunAt = Date.now();
    await this.#parts.xl.unpause(id);
  }

  /** Where xenconsoled was started anew, the domain has another console. */
  async #keepAgain(): Promise<void> {
    if (this.#over || this.#ending || this.#settling || this.#saving.isUnderWay || (await this.#talk.isKept())) return;
    const found = await this.#making.found();
    if (found?.shutdown === null) await this.#talk.keepNow(found.id);
  }

  /** Takes it up where an earlier daemon left it. What cannot be taken up has ended, at its host's fault: nobody waits for it. */
  async goOn(): Promise<void> {
    try {
      await this.#takeUp();
    } catch (error) {
      this.#failed("could not be taken up", error);
      await this.#end({ kind: "host", detail: "the domain could not be taken up again" });
    }
  }

  async #takeUp(): Promise<void> {
    const written = await readDomainEnd(this.token.folder);
    if (written) return this.#leave(written);
    await this.#saving.takeUp();
    await this.#room?.takeUp();
    if (this.#over) return;
    const progress = await progressOf(this.token.folder);
    const found = await this.#making.found();
    if (progress === "restarting" && (!found || (found.paused && !(await isMade(this.token.folder, found.id))))) return this.#restart();
    if (!found) return this.#end(await endOfGone(this.token));
    if (found.shutdown === null) {
      const why = this.deviceModel ? await this.deviceModel.takeUp(await this.#parts.xl.deviceModel(found.id)) : null;
      if (why !== null) return this.#end({ kind: "crashed", detail: why });
      await this.#making.attachCard(found.id);
    }
    if (progress !== "begun" && found.paused) return this.begin();
    if (progress !== "begun") reached(this.token.folder, "begun");
    if (found.shutdown === null) await this.#talk.keep(found.id);
    if (!this.#over) this.#following.begin();
  }

  /** A domain that has ended is told by its own end: what emulated it may be gone by then. */
  async #modelGone(detail: string): Promise<void> {
    if (this.#over || this.#ending || this.#settling) return;
    const found = await this.#making.found();
    if (found?.shutdown === null) await this.#end({ kind: "crashed", detail });
    else await this.#look(found);
  }

  async #look(found: ListedDomain | null): Promise<void> {
    this.carrying.seen(found);
    if (this.#over || this.#ending || this.#settling || this.#saving.isUnderWay || (found && found.shutdown === null && !found.dying))
      return;
    this.#settling = true;
    try {
      // listed before its saving was over
      if (found?.shutdown === "suspend" && (await this.#making.found())?.shutdown !== "suspend") return;
      if (!found || found.shutdown === null) return await this.#end(await endOfGone(this.token));
      if (this.#stopping && !this.#streams) return await this.#end({ kind: "stopped" });
      await this.#talk.lastWords();
      const end = await endOf(found.shutdown, {
        token: this.token,
        over: this.#plan.over,
        streams: this.#streams,
        stopped: this.#stopping,
      });
      if (end) return await this.#end(end);
      this.#following.end();
      await this.#restart();
    } catch (error) {
      await this.#end({ kind: "host", detail: messageOf(error) });
    } finally {
      this.#settling = false;
    }
  }

  /** A kernel that restarts gets a new domain under the old name, with the disk as it left it. */
  async #restart(): Promise<void> {
    reached(this.token.folder, "restarting");
    await this.#making.destroy();
    await pause(Math.max(0, this.#begunAt + RESTART_MS - Date.now()));
    if (this.#over || this.#ending) return;
    await this.make();
    // stopped meanwhile, or left to the next daemon, which makes it again
    if (this.#over || this.#ending) return this.unmake();
    await this.begin();
  }

  /** What was sold for the time it ran goes; what it printed stays. Written down first: a daemon that comes later says the same. */
  async #end(end: DomainEnd): Promise<void> {
    if (this.#over || this.#ending) return;
    this.#ending = true;
    this.#following.end();
    this.sessions?.close();
    await writeDomainEnd(this.token.folder, end).catch((error: unknown) => this.#failed("has an end that could not be kept", error));
    await this.#making.tellUse(end.kind).catch((error: unknown) => this.#failed("has a use that was not read", error));
    await this.#leave(end);
  }

  /** Whoever waits for its end is told it, whatever of it cannot be removed: it is tried again as its files go. */
  async #leave(end: DomainEnd): Promise<void> {
    this.#ending = true;
    await this.unmake().catch((error: unknown) => this.#failed("is not gone", error));
    this.#told(end);
  }

  #told(end: DomainEnd): void {
    this.#over = true;
    this.sessions?.close();
    this.#following.end();
    this.#changed();
    this.#finish(end);
  }

  /** Called whenever there may be new output. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  read(stream: "stdout" | "stderr", offset: number): Promise<Uint8Array> {
    if (this.#streams) return this.#streams.read(stream, offset);
    if (stream === "stderr") return Promise.resolve(new Uint8Array(0));
    return readGuestFile(
      this.token.folder,
      CONSOLE_LOG,
      offset,
      Math.min(CHUNK_BYTES, Math.max(0, this.token.outputMibMax * MIB - offset)),
    );
  }

  /** Of a file that an image's job left. */
  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array> {
    return readGuestFile(path.join(this.token.folder, "out"), digest, offset, length);
  }

  async type(bytes: Uint8Array): Promise<void> {
    await this.#talk.type(await this.#making.id(), bytes);
  }

  /** Tells its kernel what no other has, from which it can renew its random numbers: those that it was saved with are its siblings' too. */
  async tellSeed(): Promise<void> {
    await this.#parts.xl.tell(this.#making.made ?? (await this.#making.id()), "seed", randomBytes(SEED_BYTES).toString("hex"));
  }

  /** The files that it boots, by digest; of a disk image none, for its disk holds all. */
  bootFiles(): Map<string, string> {
    const { vm } = this.spec;
    const { kernel, ramdisk } = this.#plan;
    if (vm.kind !== "kernel" || kernel === null) return new Map();
    return new Map([[vm.kernel, kernel], ...(vm.initrd !== null && ramdisk !== null ? [[vm.initrd, ramdisk] as const] : [])]);
  }

  /** It stands still meanwhile. Leaves the snapshot in that folder, or nothing. Throws in words for its customer. */
  async snapshot(to: string): Promise<void> {
    if (this.deviceModel) throw new Error("a domain with emulated hardware cannot be kept here: order it without --screen and --iso");
    if (this.#streams) throw new Error("a domain of an image cannot be kept here: its job and its answer lie on disks beside its own");
    if (this.#settling) throw new Error("the domain starts again, or has ended");
    await this.#saving.take(to);
    if (!this.#over) this.#parts.watch.look();
  }

  pause(): Promise<void> {
    return this.#pausing.pause();
  }

  /** Called with why it stands still at its host's fault, and with null when it can be resumed. */
  onStall(told: (why: string | null) => void): void {
    this.#room?.onChange(told);
  }

  resume(): Promise<void> {
    return this.#pausing.resume();
  }

  /** `withinMs`: how long it may take to power down by itself; 0: no time. */
  async stop(withinMs: number): Promise<void> {
    if (this.#over) return;
    this.#stopping = true;
    if (withinMs > 0) await this.#powerDown.within(withinMs);
    await this.#end({ kind: "stopped" });
  }

  /** Asks its kernel to start again; the domain follows. Throws, in words, where it is being sent elsewhere. */
  async reboot(): Promise<void> {
    await this.#saving.free();
    await this.#parts.xl.askToRestart(await this.#making.id());
  }

  async kill(): Promise<void> {
    await this.#end({ kind: "host", detail: "the domain was ended" });
  }

  /** Stops following it; the domain runs on. */
  release(): void {
    this.#over = true;
    this.sessions?.close();
    this.#following.end();
    void this.card?.close();
  }

  async dispose(): Promise<void> {
    this.#ending = true;
    this.sessions?.close();
    this.#following.end();
    await this.#keeping?.leave();
    await this.#making.destroyForGood();
    await hashedFiles.remove(this.token.folder);
  }
}
