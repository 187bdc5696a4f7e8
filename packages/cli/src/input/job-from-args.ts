/** From the words after `xeno run` to a job: which module, which folders, which limits. */
import { access } from "node:fs/promises";
import path from "node:path";
import {
  JobDoesNotFit,
  PYTHON,
  buildJob,
  bytesBlob,
  fileBlob,
  memoryMibAtStart,
  readTree,
  runtimeBlob,
  type Blob,
  type BuiltJob,
  type JobInput,
  type SourceEntry,
} from "@xenoservers/sdk";
import { JOB_LIMITS } from "@xenoservers/protocol";
import { UserError } from "../output/ui.ts";
import { pythonMounts, withSupport } from "./python.ts";

export interface JobArgs {
  file: string;
  args: string[];
  in?: string;
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

const HEADER_BYTES = 8;

export function envPair(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UserError(`--env '${text}' must be NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Without a guest path a folder has its own: `.` is `/`, the working directory. */
export function sharedFolder(text: string): { host: string; guest: string } {
  const at = text.indexOf("::");
  const host = at < 0 ? text : text.slice(0, at);
  const guest = path.posix.join("/", at < 0 ? text : text.slice(at + 2)).replace(/(?<=.)\/+$/, "");
  const said = at < 0 ? text : text.slice(at + 2);
  if (host === "" || said === "" || said.includes("\0") || said.split("/").includes(".."))
    throw new UserError(`--dir '${text}' must be HOST, for the same path in the guest, or HOST::/guest/path`);
  if (["/in", "/out", "/app", "/tmp", WORKING_FOLDER].includes(guest))
    throw new UserError(`--dir: ${guest} is taken; use another guest path: ${host}::/data`);
  return { host, guest };
}

/** Where the folder lies that the guest knows as `/`: what lies at `/` itself is every mount. */
const WORKING_FOLDER = "/.work";

type Folders = Pick<ParsedJob, "shared"> & Required<Pick<JobInput, "mounts" | "preopens">>;

/**
 * What the guest finds open: the folders that were asked for, in their order, and where none of them is `/`, `/out` under that name. Only a
 * job that asks for none has `/out` and `/tmp` besides.
 */
async function foldersOf({ dir, in: input, out }: Pick<JobArgs, "dir" | "in" | "out">): Promise<Folders> {
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
  if (input !== undefined) open("/in", "/in", { writable: false, keep: false }, await readTree(input));
  if (dir.length === 0 || out !== undefined || !hasWorkingFolder) open("/out", "/out", ours);
  if (dir.length === 0) open("/tmp", "/tmp", { writable: true, keep: false });
  return folders;
}

export async function parseJob(options: JobArgs): Promise<ParsedJob> {
  const { file } = options;
  const isPython = file.endsWith(".py");
  if (!isPython && !file.endsWith(".wasm")) throw new UserError(`${file} is neither a .wasm module nor a .py script`);
  await access(file).catch(() => {
    throw new UserError(`there is no file ${file}`);
  });
  const name = path.basename(file);
  const { mounts, preopens, shared } = await foldersOf(options);
  const python = isPython ? await pythonMounts(file, mounts) : null;
  for (const each of python?.mounts ?? []) {
    mounts.push(each);
    preopens.push([each.mount.path, each.mount.path]);
  }
  const { module, isUnwrapped } = isPython ? { module: runtimeBlob(PYTHON), isUnwrapped: false } : await moduleIn(file);
  const ofSnapshot0 = !isPython && (await isOfSnapshot0(module, file));
  const working = preopens.find(([open]) => open === "/");
  // its C library looks for a path without a slash in an open folder of this name alone
  if (ofSnapshot0 && working) preopens.push([".", working[1]]);
  await assertMemory(module, options.memoryMib);
  const parsed: ParsedJob = {
    isPython,
    isUnwrapped,
    shared,
    input: {
      module,
      args: [...(isPython ? ["python", `/app/${name}`] : [name]), ...options.args],
      env: withSupport(python?.env ?? [], options.env.map(envPair)),
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

/** The file itself, or what it holds where it is a component. */
async function moduleIn(file: string): Promise<{ module: Blob; isUnwrapped: boolean }> {
  const module = await fileBlob(file);
  const { isComponent, programIn } = await import("@xenoservers/engine/check");
  const isWrapped = isComponent(await module.read(0, HEADER_BYTES)) && module.size <= JOB_LIMITS.moduleBytes;
  if (!isWrapped) return { module, isUnwrapped: false };
  const found = programIn(await module.read(0, module.size));
  if (!found.ok) throw new UserError(`${file} cannot run: ${found.why}`);
  return { module: bytesBlob(found.module), isUnwrapped: true };
}

/** Whether it is a module of 2019. What its own engine would refuse is refused here, before anything is looked for, signed or sent. */
async function isOfSnapshot0(module: Blob, file: string): Promise<boolean> {
  if (module.size > JOB_LIMITS.moduleBytes) return false; // said with what was ordered, below
  const { faultOf, speaksSnapshot0 } = await import("@xenoservers/engine/check");
  const bytes = await module.read(0, module.size);
  const fault = faultOf(bytes);
  if (fault !== null) throw new UserError(`${file} cannot run: ${fault}`);
  return speaksSnapshot0(bytes);
}

async function assertMemory(module: Blob, memoryMib: number): Promise<void> {
  const least = module.digest === PYTHON.digest ? PYTHON.memoryMib : await memoryMibAtStart(module);
  if (least > memoryMib)
    throw new UserError(`the module needs ${least} MiB of memory before it runs; ${memoryMib} MiB are ordered: order more (--mem)`);
}

/** Throws UserError where the job does not fit what is ordered. */
export function finishJob(parsed: ParsedJob, engine: string): BuiltJob {
  try {
    return buildJob({ ...parsed.input, engine });
  } catch (error) {
    throw error instanceof JobDoesNotFit ? new UserError(error.message) : error;
  }
}
