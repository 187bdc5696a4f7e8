/**
 * A domain's console: what it prints goes into a file of its folder by a process that outlives the daemon (cat(1), which writes what it
 * reads at once, and which the kernel stops at the bound), what its customer types goes the other way. xenconsoled keeps up to a mebibyte
 * while nobody reads, and forgets the oldest. Who controls the inputs: the guest, every byte and how many; the customer, what is typed.
 */
import { constants } from "node:fs";
import { open, readFile, readdir, readlink, realpath, stat, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { isRecord, parseOwn } from "../json.ts";
import { isAlive, isProcessId, startTicksOf, type ProcessId } from "../programs/process-id.ts";
import { start } from "../programs/start.ts";
import { codeOf } from "../thrown.ts";
import { writeOwnAtOnce } from "../write-own.ts";
import { isConsoleOf, type ConsoleDaemon } from "./console-daemon.ts";
import { isThere } from "./domain-disk.ts";

export const CONSOLE_LOG = "console.log";
const KEEPER = "console.json";
const MIB = 1024 * 1024;
/** Between two tries at a terminal that is full. */
const FULL_MS = 50;
const FULL_TRIES = 40;
const GONE_MS = 10;

interface Kept {
  id: ProcessId;
  tty: string;
}
const isKept = (value: unknown): value is Kept => isRecord(value) && isProcessId(value["id"]) && typeof value["tty"] === "string";

const logOf = (folder: string): string => path.join(folder, CONSOLE_LOG);

/** Bytes that the domain has printed. */
export const printedBytes = (folder: string): Promise<number> =>
  stat(logOf(folder)).then(
    ({ size }) => size,
    () => 0,
  );

/** One byte more than it may print is kept, which says that it did. */
export const boundOf = (outputMibMax: number): number => outputMibMax * MIB + 1;

async function keeperIn(folder: string): Promise<Kept | null> {
  const file = path.join(folder, KEEPER);
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return null;
  const kept = parseOwn(file, text, isKept);
  return (await isAlive(kept.id)) ? kept : null;
}

/** Whose output that file is. Nobody's where the daemon was not killed just after it had begun one, before it wrote down which. */
async function writersOf(log: string): Promise<ProcessId[]> {
  const found: ProcessId[] = [];
  for (const each of await readdir("/proc")) {
    if (!/^\d+$/.test(each) || (await readlink(`/proc/${each}/fd/1`).catch(() => null)) !== log) continue;
    const startTicks = await startTicksOf(Number(each));
    if (startTicks !== null) found.push({ pid: Number(each), startTicks });
  }
  return found;
}

/** Gone, so that it is not taken for one that keeps the next terminal, which may have the same name. */
async function ended(id: ProcessId): Promise<void> {
  try {
    process.kill(id.pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
  while (await isAlive(id)) await new Promise((resolve) => setTimeout(resolve, GONE_MS));
}

/** A pseudo-terminal, and what must have made it. */
interface ConsoleOf {
  tty: string;
  daemon: ConsoleDaemon;
}

/** Whether nothing has to be done for what it prints to be kept. */
export const isConsoleKept = async (folder: string, outputMibMax: number): Promise<boolean> =>
  (await keeperIn(folder)) !== null || (await printedBytes(folder)) >= boundOf(outputMibMax);

/** Null where the terminal is not the daemon's. Throws where there is none. */
async function opened({ tty, daemon }: ConsoleOf, flags: number): Promise<FileHandle | null> {
  const handle = await open(tty, flags | constants.O_NOCTTY);
  if (await isConsoleOf(daemon, tty)) return handle;
  await handle.close();
  return null;
}

/** From now on what the domain prints is kept, unless it is already. False where the terminal is not its console, or not yet. */
export async function keepConsole(folder: string, console: ConsoleOf, outputMibMax: number): Promise<boolean> {
  const { tty } = console;
  const before = await keeperIn(folder);
  if (before?.tty === tty) return true;
  if (before) await ended(before.id);
  // two would each have a part of what it prints, in whatever order
  else if (await isThere(logOf(folder))) for (const each of await writersOf(await realpath(logOf(folder)))) await ended(each);
  const bound = boundOf(outputMibMax);
  if ((await printedBytes(folder)) >= bound) return true;
  const from = await opened(console, constants.O_RDONLY);
  if (!from) return false;
  // the very terminal that was looked at, whatever has its name meanwhile
  const terminal = { file: `/proc/${process.pid}/fd/${from.fd}`, flags: constants.O_RDONLY | constants.O_NOCTTY };
  const log = { file: logOf(folder), flags: "a", mode: 0o600 };
  const { pid, unref } = await start("prlimit", [`--fsize=${bound}`, "cat"], {
    ...{ detached: true, stdio: [terminal, log, "ignore"], cwd: "/", env: { PATH: "/usr/bin:/bin" } },
  }).finally(() => from.close());
  unref();
  const id = { pid, startTicks: (await startTicksOf(pid)) ?? "gone" };
  writeOwnAtOnce(path.join(folder, KEEPER), JSON.stringify({ id, tty } satisfies Kept));
  return true;
}

/** Nothing of it is kept any more. A record that is none (a host that lost power) names nobody, and is in nobody's way. */
export async function leaveConsole(folder: string): Promise<void> {
  const kept = await keeperIn(folder).catch(() => null);
  if (kept) await ended(kept.id);
}

/** Types on the console. Throws where the guest does not read. */
export async function typeOn(console: ConsoleOf, bytes: Uint8Array): Promise<void> {
  const handle = await opened(console, constants.O_WRONLY | constants.O_NONBLOCK);
  if (!handle) throw new Error("the domain has no console now: its host's xenconsoled was started anew");
  try {
    for (let at = 0, tries = 0; at < bytes.length;) {
      try {
        const { bytesWritten } = await handle.write(bytes, at);
        at += bytesWritten;
        tries = 0;
      } catch (error) {
        if (codeOf(error) !== "EAGAIN") throw error;
        if (++tries > FULL_TRIES) throw new Error("the guest does not read its console", { cause: error });
        await new Promise((resolve) => setTimeout(resolve, FULL_MS));
      }
    }
  } finally {
    await handle.close();
  }
}
