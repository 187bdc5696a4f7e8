/**
 * A sandbox that was laid out and tried before, on this kernel since it started, of the files that are there: for whoever runs one job and
 * ends. What holds nothing back is never kept, and tried again each time; one that is kept is started as it was tried, so that where the
 * kernel allows less than then no guest begins. Who controls the inputs: this user, whose folder it lies in.
 */
import { createHash } from "node:crypto";
import { lstat, mkdir, readFile, readdir, realpath, rm, utimes } from "node:fs/promises";
import { release } from "node:os";
import path from "node:path";
import { readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { mayHaveChanged, statesOf, type FileState } from "./file-state.ts";
import { sandboxOf, triedOut, type Sandbox, type Tried } from "./sandbox.ts";

const TRIED = "tried.json";
/** A root in which nobody has started a guest for so long: of other files, or what a kill left. */
const LEFT_MS = 24 * 60 * 60 * 1000;

interface Kept {
  host: readonly string[];
  files: readonly FileState[];
  /** Of what guests run, by all its bytes. */
  worker: string;
  tried: Tried;
}

async function hostNow(node: string, runtimes: ReadonlyMap<string, string>): Promise<string[]> {
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8");
  // as it would be tried now
  const { command } = await sandboxOf(node, { root: "", namespaces: "", calls: "" });
  const ways = JSON.stringify([...runtimes, command("/"), command("/", true)]);
  return [boot.trim(), release(), process.version, node, String(process.getuid?.()), ways];
}

async function filesBelow(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
}

async function workerDigest(root: string): Promise<string> {
  const hash = createHash("sha256");
  const folder = path.join(root, "app/worker");
  for (const name of (await readdir(folder)).sort()) hash.update(`${name}\n`).update(await readFile(path.join(folder, name)));
  return hash.digest("hex");
}

/** As it was kept, where nothing of it has changed; null where anything has, or it is damaged. */
async function keptIn(parent: string, host: readonly string[]): Promise<Tried | null> {
  try {
    const text = await readIfThere(path.join(parent, TRIED));
    if (text === null) return null;
    const kept = JSON.parse(text) as Kept;
    if (JSON.stringify(kept.host) !== JSON.stringify(host) || path.dirname(kept.tried.root) !== parent) return null;
    const now = await statesOf([...new Set([...kept.files.map(([file]) => file), ...(await filesBelow(kept.tried.root))])]);
    if (JSON.stringify(now) !== JSON.stringify(kept.files) || (await workerDigest(kept.tried.root)) !== kept.worker) return null;
    const { root, namespaces, calls } = kept.tried;
    return namespaces === "" && calls === "" ? { root, namespaces, calls } : null;
  } catch {
    return null; // it is made anew
  }
}

async function clear(parent: string, root: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const at = path.join(parent, name);
    if (at === root || name === TRIED) continue;
    const found = await lstat(at).catch(() => null); // another one clears, too
    if (found && found.mtimeMs < Date.now() - LEFT_MS) await rm(at, { recursive: true, force: true }).catch(() => {});
  }
}

interface Making {
  madeOf: readonly string[];
  begun: number;
}

async function keep(parent: string, host: readonly string[], tried: Tried, { madeOf, begun }: Making): Promise<void> {
  await utimes(tried.root, new Date(), new Date());
  const sources = await statesOf(madeOf);
  // what changed meanwhile may be in it as it was before
  if (mayHaveChanged(sources, begun)) return forgetSandbox(parent);
  const made = await statesOf(await filesBelow(tried.root));
  const files = [...new Map([...sources, ...made].map((state) => [state[0], state])).values()];
  const kept: Kept = { host, files, worker: await workerDigest(tried.root), tried };
  await writeWhole(path.join(parent, TRIED), JSON.stringify(kept));
}

/** `folder`: of this user alone; nothing else lies in it. */
export async function keptSandbox(folder: string, runtimes: ReadonlyMap<string, string>): Promise<Sandbox> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const [parent, node] = [await realpath(folder), await realpath(process.execPath)];
  const host = await hostNow(node, runtimes);
  const kept = await keptIn(parent, host);
  if (kept !== null) {
    // another version of this program, which keeps a root of its own here, clears what nobody has used
    await utimes(kept.root, new Date(), new Date()).catch(() => {});
    return sandboxOf(node, kept);
  }
  const begun = Date.now();
  const { madeOf, ...tried } = await triedOut(parent, runtimes, node);
  await clear(parent, tried.root);
  // it runs all the same where there is no room to keep it
  if (tried.namespaces === "" && tried.calls === "") await keep(parent, host, tried, { madeOf, begun }).catch(() => {});
  return sandboxOf(node, tried);
}

/** What was tried does not hold any more: the next one tries again. */
export const forgetSandbox = (folder: string): Promise<void> => rm(path.join(folder, TRIED), { force: true });
