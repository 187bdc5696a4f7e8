/**
 * The process of a job on this machine, started while the command is still read: on another core it is up by then, with Python compiled
 * where a script is to run, or the module where it has run before. Loads
 * nothing of the customer's library but where things are kept. Who controls the inputs: whoever types.
 */
import path from "node:path";
import { openWorkers, type Workers } from "@xenoservers/guests";
import { dim, say } from "../output/terminal.ts";
import { beforeLeaving } from "../output/leave.ts";
import { PREPARED, knownModule } from "./local-module.ts";
import { scratch } from "./scratch.ts";

/** What a job on this machine runs in. */
interface LocalRoom {
  folder: string;
  cache: string;
  sandboxes: string;
  /** Null: nothing was started. */
  workers: Workers | null;
  /** Idempotent. */
  remove(): Promise<void>;
}

/** What a program's name ends with that runs so, by the options before it. */
const PROGRAM = /\.(wasm|pyz?)$/;

/** The program that these words run on this machine; null where they do something else, as far as one can tell without reading them. */
export function localProgram([verb, ...words]: readonly string[]): string | null {
  const at = words.findIndex((word) => PROGRAM.test(word));
  const before = words.slice(0, at);
  return verb === "run" && at > 0 && before.includes("--local") && !before.includes("--dry-run") ? words[at]! : null;
}

async function openRoom(): Promise<LocalRoom> {
  const { folder, remove } = await scratch("local");
  const cache = PREPARED;
  return { folder, cache, sandboxes: path.join(cache, "sandbox"), workers: null, remove };
}

let ahead: Promise<LocalRoom | null> | null = null;

/** No option has been read yet. */
function toldToPeople(): void {
  if (process.stderr.isTTY) say(dim("python   is compiled for this machine, once: its scripts start sooner from then on"));
}

async function started(program: string): Promise<LocalRoom | null> {
  const isScript = /\.pyz?$/.test(program);
  const room = await openRoom();
  try {
    const module = isScript ? null : await knownModule(program);
    const workers = await openWorkers({
      ...room,
      ...(isScript ? { onMaking: toldToPeople } : {}),
      poolSize: 0,
      inUse: [],
      endWithUs: true,
    });
    if (isScript) workers.pool.expect({ path: workers.sandbox.runtimePath(workers.python.name) });
    else if (module !== null) workers.pool.expect({ file: module });
    await workers.pool.startOne();
    return { ...room, workers };
  } catch {
    // whoever runs the job tries again, and says what is wrong
    await room.remove();
    return null;
  }
}

/** Resolves once a process is starting. */
export async function startAhead(program: string): Promise<void> {
  ahead = started(program);
  beforeLeaving(dropAhead);
  await ahead;
}

/** What nobody has taken ends. */
export async function dropAhead(): Promise<void> {
  const room = await ahead;
  ahead = null;
  await room?.workers?.pool.close();
  await room?.remove();
}

/** Its taker closes what it is given. */
export async function takeRoom(): Promise<LocalRoom> {
  const room = await ahead;
  ahead = null;
  return room ?? openRoom();
}
