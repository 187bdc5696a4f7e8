/**
 * A lease's machine from its first instruction to its end: of an OCI guest the job is handed over and taken back, of a deterministic one
 * memory and instructions are read. Who controls the inputs: the guest, and QEMU, which is taken to be the guest's.
 */
import { createHash } from "node:crypto";
import { lstat, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { TerminalWindow, VmProcess } from "@xenoservers/protocol";
import { guestFilePieces, readGuestFile, statGuestFile } from "../../guest-files.ts";
import { messageOf } from "../../thrown.ts";
import { writeOwn } from "../../write-own.ts";
import { JobPort } from "../oci/job-port.ts";
import { TooMuch } from "../oci/returned-tree.ts";
import type { MachineEnd, MachineToken } from "./machine-end.ts";
import { endOfGone } from "./gone.ts";
import { HELD, type Laid } from "./layout.ts";
import { endState, liveState, type Sending } from "./live-state.ts";
import { VM_FILES } from "./plan.ts";
import { endedAwayMs } from "./run-states.ts";
import { instructionsOf, saveState } from "./state.ts";
import { flatten, type Base } from "../images/disks.ts";
import { takeSnapshot } from "../snapshots/snapshot.ts";
import type { Template, Templates } from "../snapshots/templates.ts";
import { monotonicMs, unheardMs, type Away, type SaidAgo } from "./unheard.ts";
import { boxFolder, boxPath, readVmStream, type Vm, type VmEnd, type VmStream } from "./vm.ts";
import { readEnd, writeEnd } from "./written-end.ts";

const MIB = 1024 * 1024;
/** stat(2) counts in these. */
const BLOCK_BYTES = 512;
const JOB_PORT_MS = 20_000;
/** What an archive takes beside the files in it. */
const ARCHIVE_EXTRA_BYTES = 64 * MIB;
/** How long what QEMU says last may be on its way. */
const END_MS = 500;
/** As of a container's first process where the job powers its machine off or starts it again (reboot(2): SIGINT, SIGHUP). */
const POWER_OFF_CODE = 130;
const RESET_CODE = 129;

/** No program can refuse it (signal(7)). */
const SIGKILL = 9;

interface Given {
  /** How the program of an image is asked to end. */
  asked: Pick<VmProcess, "stopSignal" | "stopGraceMs">;
  /** The job under way goes on from a snapshot. */
  goesOn: boolean;
  /** Of an image's guest that waits for its word to begin; null where it must be opened. */
  port: JobPort | null;
  /** Null where an earlier daemon began it. */
  begunAs: { template: Template | null; templates: Templates | null; laid: Laid } | null;
  /** The last moment at which an earlier daemon is known to have followed it as it ran, by the host's monotonic clock. */
  livedUntilMs?: number;
}

/** SHA-256, hex. */
async function memoryHashOf(folder: string): Promise<string> {
  const box = boxFolder(folder);
  const size = statGuestFile(box, VM_FILES.memory)?.size;
  if (size === undefined) throw new Error("the machine's memory is not where it was");
  const hash = createHash("sha256");
  for await (const part of guestFilePieces(box, VM_FILES.memory, size)) hash.update(part);
  return hash.digest("hex");
}

/** How far a machine has come, for a daemon that finds it. */
const PROGRESS = ["prepared", "restored", "begun"] as const;
type Progress = (typeof PROGRESS)[number];

/** Whether it has ended within that time. */
async function ended(end: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), Math.max(0, ms))));
  try {
    return await Promise.race([end.then(() => true as const), late]);
  } finally {
    clearTimeout(timer);
  }
}

const timeOf = ({ endedMonotonicMs }: MachineEnd): Pick<MachineEnd, "endedMonotonicMs"> =>
  endedMonotonicMs === undefined ? {} : { endedMonotonicMs };

export class Machine {
  readonly token: MachineToken;
  readonly ended: Promise<MachineEnd>;
  readonly vm: Vm | null;
  readonly #given: Given;
  #finish!: (end: MachineEnd) => void;
  #port: JobPort | null = null;
  readonly #opened = Promise.withResolvers<JobPort>();
  #stopping = false;
  #isSent = false;
  /** Snapshots that are being taken. */
  readonly #kept = new Set<Promise<void>>();
  #released = false;
  /** In which nobody followed it; null: there was no such time, or it stood still then. */
  readonly #away: Away | null;
  /** It had ended when it was found. */
  readonly #wasOver: boolean;

  constructor(vm: Vm | null, token: MachineToken, given: Given) {
    this.vm = vm;
    this.token = token;
    this.#given = given;
    this.#port = given.port;
    this.#away = given.livedUntilMs === undefined ? null : { fromMs: given.livedUntilMs, toMs: monotonicMs() };
    this.#wasOver = vm === null || vm.isOver;
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    if (!vm) {
      void this.#earlierEnd()
        .catch((error: Error) => ({ kind: "host" as const, detail: `how the machine ended cannot be read: ${error.message}` }))
        .then((end) => this.#finish(end));
      return;
    }
    void vm.ended.then((end) => this.#vmEnded(vm, end)).catch((error: unknown) => this.#untold(error));
  }

  async #progress(): Promise<Progress> {
    const text = await readFile(path.join(this.token.folder, "progress"), "utf8").catch(() => "prepared");
    return PROGRESS.find((each) => each === text) ?? "prepared";
  }

  /** It goes on from where it ran at another server, once it begins. */
  restored(): Promise<void> {
    return this.#came("restored");
  }

  #came(to: Progress): Promise<void> {
    return writeOwn(path.join(this.token.folder, "progress"), to);
  }

  get #out(): string {
    return path.join(this.token.folder, "out");
  }

  /** It ended while no daemon lived, or was told before. */
  async #earlierEnd(): Promise<MachineEnd> {
    const written = await readEnd(this.token.folder);
    if (written) return written;
    const end = await endOfGone(this.token);
    return end.kind === "host" ? end : this.#timed(end);
  }

  /** The first instruction of a machine; of an image's guest, which has booted before, of its job. */
  async begin(): Promise<void> {
    const { vm } = this;
    if (!vm) throw new Error("the machine has ended");
    const goesOn = this.#given.goesOn || (await this.#progress()) === "restored";
    await this.#came("begun");
    if (this.token.kind !== "oci") return this.#cont(vm);
    const port = (this.#port ??= await this.#openPort());
    this.#opened.resolve(port);
    if (goesOn) {
      port.renew();
      await this.#cont(vm);
    } else port.go();
    this.#awaitJob(port);
  }

  /** A machine that dies of its first instructions has begun: how it ended says why. */
  async #cont(vm: Vm): Promise<void> {
    await vm.begin().catch(async (error: unknown) => {
      if (vm.isGone) return void (await vm.ended);
      const ended = await Promise.race([vm.ended, new Promise<null>((resolve) => setTimeout(() => resolve(null), END_MS))]);
      if (!ended) throw error;
    });
  }

  /** Takes it up where an earlier daemon left it. */
  async goOn(): Promise<void> {
    if (!this.vm) return;
    if ((await this.#progress()) !== "begun") return this.begin();
    if (this.token.kind !== "oci") return;
    void this.#openPort()
      .then((port) => {
        this.#port = port;
        this.#opened.resolve(port);
        port.ask();
        this.#awaitJob(port, this.#away && { ...this.#away, toMs: monotonicMs() });
      })
      .catch((error: unknown) => this.#untold(error));
  }

  #awaitJob(port: JobPort, away: Away | null = null): void {
    void this.#takeEnd(port, away).catch((error: unknown) =>
      error instanceof TooMuch ? this.#overLimit(error.message) : this.#hostFailed(error),
    );
  }

  async #overLimit(detail: string): Promise<void> {
    this.#finish({ kind: "output-limit", detail });
    await this.#letGo();
  }

  #untold(error: unknown): void {
    this.#finish({ kind: "crashed", detail: messageOf(error) });
  }

  /** What fails here on the machine's own word is typed where it is read; the rest are this host's own files. */
  #hostFailed(error: unknown): void {
    this.#finish({
      kind: "host",
      detail: `what the machine left could not be kept: ${messageOf(error)}`,
    });
  }

  async #openPort(): Promise<JobPort> {
    for (const deadline = Date.now() + JOB_PORT_MS; ;) {
      const port = this.#released ? null : await JobPort.open(boxPath(this.token.folder, VM_FILES.job)).catch(() => null);
      if (port && this.#released) port.close(); // another has it now
      if (this.#released) return new Promise<never>(() => {});
      if (port) return port;
      if (Date.now() > deadline) throw new Error("the guest's job port does not open");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async #takeEnd(port: JobPort, away: Away | null): Promise<void> {
    let said: SaidAgo | null = null;
    const end = await port.end({
      ...{ token: this.token.ociToken, folder: this.#out, bytesMax: this.token.diskMib * MIB + ARCHIVE_EXTRA_BYTES },
      ago: (ago) => (said = ago),
    });
    if (end === null) return;
    const told = { ...end, stopped: this.#stopping, endedMonotonicMs: monotonicMs() - unheardMs(said, away) };
    await writeEnd(this.token.folder, told);
    port.thank();
    this.#finish({ kind: "job", ...told });
    const { begunAs } = this.#given;
    const first = begunAs?.template ? null : begunAs; // the first of its kind: the next starts from a snapshot
    const templates = first?.templates ?? null;
    await this.#letGo({ images: templates === null });
    if (!first || !templates) return;
    await templates.build(first.laid.templateKey, { ...first.laid, kvm: first.laid.plan.accel === "kvm" });
    await this.#remove(HELD);
  }

  /** With the time of its end, where that is known and was not heard. */
  async #timed(end: MachineEnd): Promise<MachineEnd> {
    const endedMonotonicMs = this.#away ? await endedAwayMs(this.token.folder, this.#away, this.#wasOver) : undefined;
    return endedMonotonicMs === undefined ? end : { ...end, endedMonotonicMs };
  }

  async #vmEnded(vm: Vm, heard: VmEnd): Promise<void> {
    if (this.#released) return;
    const end = await this.#timed(heard);
    if (end.kind === "shutdown" && this.token.kind === "deterministic") {
      const memoryHash = await memoryHashOf(this.token.folder);
      const instructions = instructionsOf(await saveState(vm));
      const done = { kind: "deterministic" as const, instructions, memoryHash, ...timeOf(end) };
      await writeEnd(this.token.folder, done);
      await this.#letGo();
      return this.#finish(done);
    }
    if (end.kind === "shutdown" && this.token.kind === "oci") {
      // between the guest's thanks and its power-off the job's end is on its way
      const told = await Promise.race([this.ended, new Promise<null>((resolve) => setTimeout(() => resolve(null), END_MS))]);
      if (told) return;
      await this.#letGo();
      return this.#finish({
        kind: "job",
        exitCode: end.isReset ? RESET_CODE : POWER_OFF_CODE,
        tree: [],
        detail: "the job ended its machine by itself",
        stopped: this.#stopping,
        ...timeOf(end),
      });
    }
    await this.#letGo();
    this.#finish(end);
  }

  /** What can be told to go on from where it is. Throws where it has ended, or an image's job has not begun. */
  async #under(): Promise<Vm> {
    if (!this.vm) throw new Error("the machine has ended");
    if (this.token.kind === "oci" && (await this.#progress()) !== "begun") throw new Error("the image's job has not begun yet");
    return this.vm;
  }

  /** Under its disk; null where it has none. */
  get #base(): Base | null {
    const { base, baseFormat } = this.token;
    return base === "" || baseFormat === "" ? null : { file: base, format: baseFormat };
  }

  /** The guest stands still meanwhile. Throws where it has ended, or is being sent elsewhere. */
  async snapshot(folder: string): Promise<void> {
    const vm = await this.#under();
    if (this.#isSent) throw new Error("the machine is being moved to another server of its owner: ask again in a moment");
    const kept = takeSnapshot(vm, folder, this.#base);
    this.#kept.add(kept);
    await kept.finally(() => this.#kept.delete(kept));
  }

  /** Its memory and devices, once the snapshots are there that are being taken of it; no other begins from now on. */
  async *state(sending: Sending): AsyncGenerator<Uint8Array> {
    const vm = await this.#under();
    this.#isSent = true;
    for (const kept of this.#kept) await kept.catch(() => {}); // whoever asked for it hears of that
    yield* liveState(vm, sending);
  }

  /** Of one that stands still: its disk, put together in a file; false where it has none. */
  async disk(to: string): Promise<boolean> {
    const { vm } = this;
    const base = this.#base;
    if (!vm || !base) return false;
    await flatten({ box: boxFolder(vm.folder), uid: vm.uid, base, to });
    return true;
  }

  /** What its disk takes of the host's, and so the file of it at most. */
  async diskBytes(): Promise<number> {
    const files = this.#base ? [this.#base.file, boxPath(this.token.folder, VM_FILES.disk)] : [];
    const sizes = files.map((file) =>
      lstat(file).then(
        ({ blocks }) => blocks * BLOCK_BYTES,
        () => 0, // it has just ended
      ),
    );
    return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Whatever was sent of it: it is no more than a machine that runs, or stands still. Also of what an earlier daemon began to send. */
  async stayed(): Promise<void> {
    // a snapshot goes the same way, and is not what was begun
    if (this.vm && !this.vm.isGone && this.#kept.size === 0) await endState(this.vm).catch(() => {}); // it goes just now
    this.#isSent = false;
  }

  /** The process, and what was sold for the time it ran: disk and memory. What it printed and handed back stays. */
  async #letGo({ images }: { images: boolean } = { images: true }): Promise<void> {
    await this.vm?.quit();
    for (const name of [`box/${VM_FILES.disk}`, `box/${VM_FILES.memory}`, "base.qcow2", ...(images ? [HELD] : [])])
      await this.#remove(name);
  }

  #remove(name: string): Promise<void> {
    return rm(path.join(this.token.folder, name), { recursive: true, force: true });
  }

  read(stream: VmStream, offset: number): Promise<Uint8Array> {
    return readVmStream(this.token.folder, stream, offset);
  }

  readOutput(digest: string, offset: number, length: number): Promise<Uint8Array> {
    return readGuestFile(this.#out, digest, offset, length);
  }

  /**
   * `withinMs`: how long it may take to end by itself; 0: no time. The program of an image has half of it at most before it is killed, and
   * hands back what it left.
   */
  async stop(withinMs: number): Promise<void> {
    if (this.token.kind === "oci" && withinMs > 0 && (await this.#endsWhenAsked(withinMs))) return;
    await this.vm?.stop(this.token.kind === "other");
  }

  async #endsWhenAsked(withinMs: number): Promise<boolean> {
    const { vm } = this;
    const { stopSignal, stopGraceMs } = this.#given.asked;
    const deadline = Date.now() + withinMs;
    this.#stopping = true;
    const port = await Promise.race([this.#opened.promise, ended(this.ended, withinMs)]);
    if (!vm || !(port instanceof JobPort)) return port === true;
    await vm.begin().catch(() => {}); // one that stands still hears nothing
    port.signal(stopSignal);
    if (await ended(this.ended, Math.min(stopGraceMs, withinMs / 2))) return true;
    port.signal(SIGKILL);
    return ended(this.ended, deadline - Date.now());
  }

  /** The time of day of an image's guest, which stood still: what else runs in it measures time by clocks that stood still with it. */
  setClock(): void {
    this.#port?.setClock();
  }

  /** The terminal of an image's program. */
  resize(window: TerminalWindow): void {
    this.#port?.resize(window);
  }

  /** The guest agent of an image's guest runs only where it is wanted; others have their own. */
  async wakeAgent(): Promise<void> {
    if (this.token.kind !== "oci") return;
    await Promise.race([this.#opened.promise, this.ended]);
    this.#port?.wakeAgent();
  }

  /** Our own shell in an image's guest (init/shell.pl); a second time it runs already. */
  async wakeShell(): Promise<void> {
    await Promise.race([this.#opened.promise, this.ended]);
    this.#port?.wakeShell();
  }

  release(): void {
    this.#released = true;
    this.#port?.close();
    this.vm?.release();
  }

  async dispose(): Promise<void> {
    await this.vm?.quit();
    await rm(this.token.folder, { recursive: true, force: true });
  }
}
