/**
 * A virtual machine in its folder: QEMU in its box, reached through its sockets. The daemon can be killed and find it again by `followVm`.
 *
 *   FOLDER/            the host's own: outputs, images of this lease
 *   FOLDER/box/        /w of the box: sockets, logs, the disk's overlay; QEMU's word, read without following links
 *
 * Who controls the inputs: the guest (output, events it can cause), and QEMU, which is taken to be the guest's.
 */
import { watch, type FSWatcher } from "node:fs";
import { copyFile, lchown, mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { guestTextEnd, readGuestFile, statGuestFile } from "../../guest-files.ts";
import { isRecord, parseOwn } from "../../json.ts";
import { isAlive, isProcessId, startTicksOf, type ProcessId } from "../../programs/process-id.ts";
import { start } from "../../programs/start.ts";
import { codeOf, messageOf } from "../../thrown.ts";
import { writeOwn } from "../../write-own.ts";
import { SYSTEM_PATH, boxed, uidOf, type Box } from "./box.ts";
import { isCgroup, removeCgroup, wasOutOfMemory, type Cgroup } from "../../cgroup.ts";
import { FullDisk } from "./full-disk.ts";
import { panicLine } from "./panic-line.ts";
import { VM_FILES } from "./plan.ts";
import { LOG_BYTES_MAX, withoutRunStates } from "./run-states.ts";
import { QmpError, openQmp, type JsonLines, type QmpEvent } from "./qmp.ts";

export type VmEnd =
  /** By the guest; `isReset`: it wanted to start again. */
  | { kind: "shutdown"; isReset: boolean }
  | { kind: "panic"; detail: string }
  /** The watchdog that the guest had armed was not fed. */
  | { kind: "hang" }
  | { kind: "output-limit"; detail: string }
  | { kind: "stopped" }
  | { kind: "memory-limit" }
  /** The host's disk was full for too long. */
  | { kind: "no-room" }
  /** QEMU ended, and nobody can tell whether for the guest or for the host. */
  | { kind: "crashed"; detail: string };

/** QEMU ended before it listened; `said` is empty where QEMU itself was not reached. */
export class NotStarted extends Error {
  override name = "NotStarted";
  readonly said: string;
  constructor(message: string, said: string, options: ErrorOptions) {
    super(message, options);
    this.said = said;
  }
}

const POLL_MS = 250;
const QMP_TIMEOUT_MS = 20_000;
const CHUNK_BYTES = 256 * 1024;
const MIB = 1024 * 1024;
/** How long a guest that was asked to power down may take. */
const POWERDOWN_MS = 10_000;

export const VM_STREAMS = ["console", "stdout", "stderr"] as const;
export type VmStream = (typeof VM_STREAMS)[number];

export interface VmHandle {
  folder: string;
  id: ProcessId;
  /** Whom its box runs as. */
  uid: number;
  cgroup: Cgroup | null;
  outputMibMax: number;
  /** For tests: how long its host's disk may be full. */
  fullDiskMsMax?: number;
}

export const boxFolder = (folder: string): string => path.join(folder, "box");
export const boxPath = (folder: string, name: string): string => path.join(boxFolder(folder), name);

const STREAM_FILES: Record<VmStream, string> = { console: VM_FILES.consoleLog, stdout: VM_FILES.stdout, stderr: VM_FILES.stderr };

/** What a machine has printed, also after it has gone. */
export function readVmStream(folder: string, stream: VmStream, offset: number): Promise<Uint8Array> {
  return readGuestFile(boxFolder(folder), STREAM_FILES[stream], offset, CHUNK_BYTES);
}

/** What it printed at another server stands before what it prints here. QEMU, which may write there too, does not run yet. */
export async function putPrinted(folder: string, printed: Readonly<Record<VmStream, string>>, uid: number): Promise<void> {
  for (const stream of VM_STREAMS) {
    const own = boxPath(folder, STREAM_FILES[stream]);
    await copyFile(printed[stream], own);
    await giveToBox(own, uid);
  }
}

/** What util-linux's unshare says of each program that a signal ended, before it ends by the same one itself: nothing of QEMU's. */
const OF_UNSHARE = /^unshare: sigprocmask (?:un)?block failed: .*\n?/gm;

/** The last that QEMU said. */
export const logEnd = async (folder: string): Promise<string> =>
  withoutRunStates(await guestTextEnd(folder, VM_FILES.log, LOG_BYTES_MAX))
    .replaceAll(OF_UNSHARE, "")
    .trim();

/** Makes the folders of a machine; what is put into the box later must be handed to its user (`giveToBox`). */
export async function makeVmFolder(folder: string): Promise<void> {
  await mkdir(path.join(boxFolder(folder), "root"), { recursive: true, mode: 0o700 });
}

/** What stands there, be it a link that the box has put in its place meanwhile. */
export async function giveToBox(file: string, uid: number): Promise<void> {
  if (process.getuid?.() === 0) await lchown(file, uid, uid);
}

export interface LaunchInput extends Omit<Box, "folder" | "uid"> {
  folder: string;
  /** Decides the user id; hex. */
  name: string;
  args: readonly string[];
  outputMibMax: number;
  fullDiskMsMax?: number;
}

/** Starts QEMU, stopped before the guest's first instruction. Throws NotStarted when it does not come up; nothing is left running then. */
export async function launchVm({ folder, name, args, outputMibMax, fullDiskMsMax, ...box }: LaunchInput): Promise<Vm> {
  const uid = uidOf(name);
  const inner = boxFolder(folder);
  await giveToBox(inner, uid);
  const [program, ...rest] = await boxed({ ...box, folder: inner, uid }, ["qemu-system-x86_64", ...args]);
  const log = { file: path.join(folder, VM_FILES.log), flags: "a", mode: 0o600 };
  const { pid, unref } = await start(program, rest, {
    detached: true,
    stdio: ["ignore", log, log],
    env: { PATH: SYSTEM_PATH },
    cwd: "/",
  });
  unref();
  const id = { pid, startTicks: (await startTicksOf(pid)) ?? "gone" };
  await writeOwn(path.join(folder, PROCESS), JSON.stringify({ id, cgroup: box.cgroup } satisfies Left));
  try {
    return await followVm({ folder, id, uid, cgroup: box.cgroup, outputMibMax, ...(fullDiskMsMax === undefined ? {} : { fullDiskMsMax }) });
  } catch (cause) {
    await killGroup(id);
    const lines = (await logEnd(folder)).split("\n");
    const said = lines.slice(-3).join(" / ");
    const own = lines.findLast((line) => /^qemu(-system-x86_64)?: /.test(line)) ?? "";
    throw new NotStarted(`QEMU did not start: ${said || messageOf(cause)}`, own.replace(/^qemu(-system-x86_64)?: /, ""), { cause });
  }
}

/** For whoever finds the folder and knows nothing of its machine. */
const PROCESS = "process.json";
interface Left {
  id: ProcessId;
  cgroup: Cgroup | null;
}

const isLeft = (value: unknown): value is Left =>
  isRecord(value) && isProcessId(value["id"]) && (value["cgroup"] === null || isCgroup(value["cgroup"]));

/** Ends and removes a machine that no lease knows: its daemon was killed before it had written down what it made. */
export async function removeVm(folder: string): Promise<void> {
  const text = await readFile(path.join(folder, PROCESS), "utf8").catch(() => null);
  // a host that lost power may leave an empty one
  if (text !== null && text !== "") {
    const { id, cgroup } = parseOwn(path.join(folder, PROCESS), text, isLeft);
    await killGroup(id);
    if (cgroup) await removeCgroup(cgroup);
  }
  await rm(folder, { recursive: true, force: true });
}

/** The box dies with its first process. */
async function killGroup(id: ProcessId): Promise<void> {
  if (!(await isAlive(id))) return;
  try {
    process.kill(-id.pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}

/** Ends a machine that nobody follows; what it left stays. */
export const killVm = ({ id }: Pick<VmHandle, "id">): Promise<void> => killGroup(id);

/** Takes up a machine that runs, of this daemon or an earlier one. Throws where it is gone. */
export async function followVm(handle: VmHandle): Promise<Vm> {
  const qmp = await openQmp(boxPath(handle.folder, VM_FILES.qmp), QMP_TIMEOUT_MS, async () => !(await isAlive(handle.id)));
  const vm = new Vm(handle, qmp);
  await vm.lookAround();
  return vm;
}

/** What a machine that stands still by itself has come to, by QEMU's names (qapi/run-state.json). */
const STOOD: Readonly<Record<string, VmEnd>> = {
  shutdown: { kind: "shutdown", isReset: false },
  watchdog: { kind: "hang" },
  "internal-error": { kind: "crashed", detail: "QEMU cannot go on with what the guest did" },
};
/** Of the console, where a panic is said. */
const PANIC_BYTES = 16 * 1024;

export class Vm {
  readonly folder: string;
  readonly handle: VmHandle;
  readonly ended: Promise<VmEnd>;
  #finish!: (end: VmEnd) => void;
  #over = false;
  #stopping = false;
  readonly #qmp: JsonLines;
  readonly #disk: FullDisk;
  /**
   * QEMU sends its state. While it sends the last of that it answers nobody: whoever sees it sent knows whether it still does. Only what
   * ends it waits no longer than otherwise.
   */
  isSending = false;
  #changed: () => void = () => {};
  #portClosed: (device: string) => void = () => {};
  readonly #timer: NodeJS.Timeout;
  readonly #watcher: FSWatcher;

  constructor(handle: VmHandle, qmp: JsonLines) {
    this.handle = handle;
    this.folder = handle.folder;
    this.#qmp = qmp;
    this.#disk = new FullDisk(boxFolder(handle.folder), handle.fullDiskMsMax);
    this.ended = new Promise((resolve) => (this.#finish = resolve));
    qmp.onEvent = (event) => this.#event(event);
    void qmp.closed.then(() => this.#gone());
    this.#timer = setInterval(() => void this.#poll(), POLL_MS);
    this.#watcher = watch(boxFolder(handle.folder), () => this.#changed());
    this.#watcher.on("error", () => {}); // the poll finds what it does not see
  }

  get uid(): number {
    return this.handle.uid;
  }

  /** Nothing can be asked of QEMU any more; `ended` says why. */
  get isGone(): boolean {
    return this.#qmp.isOver;
  }

  /** It has ended, as far as is known here. */
  get isOver(): boolean {
    return this.#over;
  }

  async #status(): Promise<string> {
    const answer = await this.qmp("query-status");
    if (!isRecord(answer) || typeof answer["status"] !== "string") throw new QmpError("QEMU does not say how the machine is");
    return answer["status"];
  }

  /** What happened while nobody listened, and what QEMU has no event of its own for. */
  async lookAround(): Promise<void> {
    const status = await this.#status();
    if (this.#over) return;
    const end = Object.hasOwn(STOOD, status) ? STOOD[status] : undefined;
    if (end) this.#end(end);
    if (status === "guest-panicked") await this.#panicked();
    if (status === "io-error") this.#disk.met();
  }

  async isRunning(): Promise<boolean> {
    return (await this.#status()) === "running";
  }

  /** Called with why the machine stands still at its host's fault, and with null when it can go on (`begin`). */
  onStall(told: (why: string | null) => void): void {
    this.#disk.onChange(told);
  }

  async #panicked(): Promise<void> {
    const said = await this.read("console", Math.max(0, this.size("console") - PANIC_BYTES)).catch(() => new Uint8Array(0));
    this.#end({ kind: "panic", detail: panicLine(Buffer.from(said).toString("latin1")) });
  }

  /** Called whenever the guest closes one of its ports, with the device's name (plan.ts). */
  onPortClosed(closed: (device: string) => void): void {
    this.#portClosed = closed;
  }

  /** Called whenever there may be new output. */
  onChange(changed: () => void): void {
    this.#changed = changed;
  }

  qmp(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return this.isSending ? this.#qmp.execute(command, args, null) : this.#qmp.execute(command, args);
  }

  #event(event: QmpEvent): void {
    if (event.event === "SHUTDOWN")
      this.#end(this.#stopping ? { kind: "stopped" } : { kind: "shutdown", isReset: event.data["reason"] === "guest-reset" });
    if (event.event === "GUEST_PANICKED") void this.#panicked();
    if (event.event === "WATCHDOG" && event.data["action"] === "pause") this.#end({ kind: "hang" });
    if (event.event === "STOP" && !this.#over) void this.lookAround().catch(() => {}); // it is gone then
    if (event.event === "VSERPORT_CHANGE" && event.data["open"] === false) this.#portClosed(String(event.data["id"]));
    this.#changed();
  }

  #saysTooMuch(): boolean {
    let size = 0;
    for (const stream of VM_STREAMS) size += this.size(stream);
    return size > this.handle.outputMibMax * MIB;
  }

  async #poll(): Promise<void> {
    if (this.#over) return;
    this.#changed();
    if (this.#disk.look()) return this.#end({ kind: "no-room" });
    if (!this.#saysTooMuch()) return;
    await this.#qmp.execute("stop").catch(() => {});
    this.#end({ kind: "output-limit", detail: "" });
  }

  async #gone(): Promise<void> {
    if (this.#over) return;
    if (this.#stopping) return this.#end({ kind: "stopped" });
    if (this.handle.cgroup && (await wasOutOfMemory(this.handle.cgroup))) return this.#end({ kind: "memory-limit" });
    // faster than anybody looked, up to the largest file that QEMU may write
    if (this.#saysTooMuch()) return this.#end({ kind: "output-limit", detail: "" });
    const said = (await logEnd(this.folder)).split("\n").slice(-2).join(" / ");
    this.#end({ kind: "crashed", detail: said === "" ? "QEMU was killed" : said });
  }

  #end(end: VmEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#unwatch();
    this.#changed();
    this.#finish(end);
  }

  read(stream: VmStream, offset: number): Promise<Uint8Array> {
    return readVmStream(this.folder, stream, offset);
  }

  size(stream: VmStream): number {
    return statGuestFile(boxFolder(this.folder), STREAM_FILES[stream])?.size ?? 0;
  }

  async begin(): Promise<void> {
    await this.qmp("cont");
  }

  async pause(): Promise<void> {
    await this.qmp("stop");
  }

  /** Asks the guest to power down, as by its power button; ends it when it does not. */
  async stop(askFirst: boolean): Promise<void> {
    if (this.#over) return;
    this.#stopping = true;
    if (askFirst) {
      await this.#qmp.execute("system_powerdown").catch(() => {});
      const asked = await Promise.race([this.ended, new Promise<null>((resolve) => setTimeout(() => resolve(null), POWERDOWN_MS))]);
      if (asked) return;
    }
    await this.#qmp.execute("stop").catch(() => {});
    this.#end({ kind: "stopped" });
  }

  /** Ends the process alone. */
  async end(): Promise<void> {
    this.#over = true;
    this.#unwatch();
    await killGroup(this.handle.id);
    this.#qmp.close();
  }

  /** Ends the process and its share of the host; what the guest wrote stays in the folder. */
  async quit(): Promise<void> {
    await this.end();
    if (this.handle.cgroup) await removeCgroup(this.handle.cgroup);
  }

  async kill(): Promise<void> {
    await killGroup(this.handle.id);
  }

  #unwatch(): void {
    clearInterval(this.#timer);
    this.#watcher.close();
  }

  /** Stops following it; the machine runs on. */
  release(): void {
    this.#over = true;
    this.#unwatch();
    this.#qmp.close();
  }

  /** Removes what is left of an ended machine. */
  async dispose(): Promise<void> {
    await this.quit();
    await rm(this.folder, { recursive: true, force: true });
  }
}
