/**
 * From what a customer asks for to a job: which module or script, which folders and files, which limits. Who controls the inputs: whoever
 * runs this.
 */
import { access } from "node:fs/promises";
import path from "node:path";
import { InputError } from "../errors.ts";
import { buildJob, type BuiltJob, type JobInput } from "../job.ts";
import { memoryMibAtStart } from "../module-memory.ts";
import { PYTHON, runtimeBlob } from "../runtimes.ts";
import { bytesBlob, type Blob, type SourceEntry } from "../blob.ts";
import { fileBlob, readTree } from "../tree.ts";
import { envPair } from "./environment.ts";
import { inputsOf } from "./input-files.ts";
import { moduleIn, type ModuleCheck } from "./module-check.ts";
import { pythonMounts, withSupport } from "./python.ts";

/** A program that is no file of this machine. */
export interface GivenProgram {
  /** As a file of it would be called: it ends in .wasm or .py. */
  name: string;
  blob: Blob;
}

export interface JobArgs {
  file: string | GivenProgram;
  args: string[];
  in?: string;
  /** Beside what the folder holds, in /in. */
  files?: readonly SourceEntry[];
  /** What the job leaves in /out is wanted. */
  out?: string;
  dir: string[];
  env: string[];
  /** Read when all else is good. */
  stdin?: () => Promise<Uint8Array>;
  memoryMib: number;
  diskMib: number;
  outputMib: number;
  fuelMax: bigint;
  /** Looks at modules before they are sent. */
  check: ModuleCheck;
}

/** A folder that is copied in and whose changes are copied back. */
export interface SharedFolder {
  host: string;
  guest: string;
  before: SourceEntry[];
}

export interface ParsedJob {
  input: Omit<JobInput, "engine">;
  shared: SharedFolder[];
  isPython: boolean;
  /** It was taken out of a component. */
  isUnwrapped: boolean;
}

/** Without a guest path a folder has its own: `.` is `/`, the working directory. */
export function sharedFolder(text: string): { host: string; guest: string } {
  const at = text.indexOf("::");
  const host = at < 0 ? text : text.slice(0, at);
  const guest = path.posix.join("/", at < 0 ? text : text.slice(at + 2)).replace(/(?<=.)\/+$/, "");
  const said = at < 0 ? text : text.slice(at + 2);
  if (host === "" || said === "" || said.includes("\0") || said.split("/").includes(".."))
    throw new InputError(`--dir '${text}' must be HOST, for the same path in the guest, or HOST::/guest/path`);
  if (["/in", "/out", "/app", "/tmp", WORKING_FOLDER].includes(guest))
    throw new InputError(`--dir: ${guest} is taken; use another guest path: ${host}::/data`);
  return { host, guest };
}

/** Where the folder lies that the guest knows as `/`: what lies at `/` itself is every mount. */
const WORKING_FOLDER = "/.work";

type Folders = Pick<ParsedJob, "shared"> & Required<Pick<JobInput, "mounts" | "preopens">>;

/**
 * What the guest finds open: the folders that were asked for, in their order, and where none of them is `/`, `/out` under that name. Only a
 * job that asks for none has `/out` and `/tmp` besides.
 */
async function foldersOf({ dir, in: input, files, out }: Pick<JobArgs, "dir" | "in" | "files" | "out">): Promise<Folders> {
  const folders: Folders = { mounts: [], preopens: [], shared: [] };
  const open = (name: string, at: string, kept: { writable: boolean; keep: boolean }, entries: SourceEntry[] = []): void => {
    if (!folders.mounts.some(({ mount }) => mount.path === at)) folders.mounts.push({ mount: { path: at, ...kept }, entries });
    folders.preopens.push([name, at]);
  };
  const ours = { writable: true, keep: true };
  for (const text of dir) {
    const { host, guest } = sharedFolder(text);
    const at = guest === "/" ? WORKING_FOLDER : guest;
    const before = await readTree(host);
    folders.shared.push({ host, guest: at, before });
    open(guest, at, ours, before);
  }
  const hasWorkingFolder = folders.preopens.some(([name]) => name === "/");
  if (!hasWorkingFolder) open("/", "/out", ours);
  const inputs = await inputsOf({ in: input, files });
  if (inputs) open("/in", "/in", { writable: false, keep: false }, inputs);
  if (dir.length === 0 || out !== undefined || !hasWorkingFolder) open("/out", "/out", ours);
  if (dir.length === 0) open("/tmp", "/tmp", { writable: true, keep: false });
  return folders;
}

/** Where the folder of this file lies in one of those that are shared; null where it lies in none. */
function folderInGuest(file: string, shared: ParsedJob["shared"]): string | null {
  for (const { host, guest } of shared) {
    const below = path.relative(host, path.dirname(file));
    if (path.isAbsolute(below) || below.split(path.sep)[0] === "..") continue;
    return path.posix.join(guest === WORKING_FOLDER ? "/" : guest, below.split(path.sep).join("/"));
  }
  return null;
}

const RUNTIME = { module: runtimeBlob(PYTHON), isUnwrapped: false };

async function programAt(file: string): Promise<GivenProgram> {
  if (!/\.(wasm|py)$/.test(file)) throw new InputError(`${file} is neither a .wasm module nor a .py script`);
  await access(file).catch(() => {
    throw new InputError(`there is no file ${file}`);
  });
  return { name: path.basename(file), blob: await fileBlob(file) };
}

export async function parseJob(options: JobArgs): Promise<ParsedJob> {
  const { name, blob } = typeof options.file === "string" ? await programAt(options.file) : options.file;
  const file = typeof options.file === "string" ? options.file : name;
  const isPython = name.endsWith(".py");
  const { mounts, preopens, shared } = await foldersOf(options);
  const isHere = typeof options.file === "string";
  const folder = isHere ? folderInGuest(file, shared) : shared.some(({ guest }) => guest === WORKING_FOLDER) ? "/" : null;
  const typed = options.env.map(envPair);
  const modules = new Map(typed).get("PYTHONPATH");
  const python = isPython ? await pythonMounts({ file, name, blob, isHere, folder, path: modules }, mounts) : null;
  for (const each of python?.mounts ?? []) {
    mounts.push(each);
    preopens.push([each.mount.path, each.mount.path]);
  }
  const { module, isUnwrapped } = isPython ? RUNTIME : await moduleIn({ name: file, blob }, options.check);
  const working = preopens.find(([open]) => open === "/");
  // C libraries of 2019 and 2020 look for a path without a slash in an open folder of this name alone; Python's is none of them
  if (!isPython && working) preopens.push([".", working[1]]);
  await assertMemory(module, options.memoryMib);
  const parsed: ParsedJob = {
    isPython,
    isUnwrapped,
    shared,
    input: {
      module,
      args: [...(isPython ? ["python", `/app/${name}`] : [name]), ...options.args],
      env: withSupport(python?.env ?? [], typed),
      mounts,
      preopens,
      stdin: bytesBlob((await options.stdin?.()) ?? new Uint8Array()),
      memoryMibMax: options.memoryMib,
      diskMibMax: options.diskMib,
      outputMibMax: options.outputMib,
      fuelMax: options.fuelMax,
    },
  };
  finishJob(parsed, ""); // what does not fit is said before anything is searched or signed
  return parsed;
}

async function assertMemory(module: Blob, memoryMib: number): Promise<void> {
  const least = module.digest === PYTHON.digest ? PYTHON.memoryMib : await memoryMibAtStart(module);
  if (least > memoryMib)
    throw new InputError(`the module needs ${least} MiB of memory before it runs; ${memoryMib} MiB are ordered: order more (--mem)`);
}

/** Throws InputError where the job does not fit what is ordered. */
export const finishJob = ({ input }: ParsedJob, engine: string): BuiltJob => buildJob({ ...input, engine });
