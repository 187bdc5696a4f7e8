/**
 * From what a customer asks for to a job: which module or script, which folders and files, which limits. Who controls the inputs: whoever
 * runs this.
 */
import { lstat, realpath } from "node:fs/promises";
import path from "node:path";
import { InputError } from "../errors.ts";
import type { GivenProgram } from "../facade/given-program.ts";
import { buildJob, type BuiltJob } from "../job.ts";
import type { ModuleCheck } from "../module-check.ts";
import { WORKING_FOLDER, openFolders, programJob, type Interpreter, type OpenFolders, type ProgramJob } from "../program-input.ts";
import type { ProgramKind } from "../runtimes.ts";
import type { Blob, SourceEntry } from "../blob.ts";
import type { Reading } from "../given-bytes.ts";
import { blobAt, readTree } from "../tree.ts";
import { WINDOWS, sentTarget } from "../tree-plan.ts";
import { envPair } from "../environment.ts";
import type { SharedFolder } from "../machine/machine-place.ts";
import { inputsOf } from "./input-files.ts";
import { programAt } from "./program-kind.ts";
import { scriptPlace } from "./python.ts";

export interface JobArgs {
  file: string | GivenProgram;
  /** What the file is; absent: it is looked at. */
  kind?: ProgramKind | undefined;
  interpreter?: Interpreter | undefined;
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
  /** How a file of this machine is read; absent: all of it, for its digest. */
  blobOf?: ((file: string) => Promise<Blob>) | undefined;
  /** Who waits while files are read. */
  reading?: Reading | undefined;
}

export interface ParsedJob extends ProgramJob {
  shared: SharedFolder[];
}

/**
 * Without a guest path a folder has its own: `.` is `/`, the working directory. Guests have slashes, whatever stands between names here.
 */
export function sharedFolder(text: string, windows = WINDOWS): { host: string; guest: string } {
  const at = text.indexOf("::");
  const host = at < 0 ? text : text.slice(0, at);
  const said = sentTarget(at < 0 ? text : text.slice(at + 2), windows);
  if (windows && at < 0 && (path.win32.parse(host).root.length > 1 || host.includes(":")))
    throw new InputError(`--dir: no guest has ${host}: say where it lies there: ${host}::/data`);
  // a shell that makes a Windows path of every word with a slash (Git Bash, MSYS) has been at it
  if (windows && at >= 0 && said.includes(":"))
    throw new InputError(`--dir: ${said} is no path in a guest; where Git Bash made it of /data, type //data, or set MSYS_NO_PATHCONV=1`);
  const guest = path.posix.join("/", said).replace(/(?<=.)\/+$/, "");
  if (host === "" || said === "" || said.includes("\0") || said.split("/").includes(".."))
    throw new InputError(`--dir '${text}' must be HOST, for the same path in the guest, or HOST::/guest/path`);
  if (["/in", "/out", "/app", "/tmp", WORKING_FOLDER].includes(guest))
    throw new InputError(`--dir: ${guest} is taken; use another guest path: ${host}::/data`);
  return { host, guest };
}

type Folders = OpenFolders & Pick<ParsedJob, "shared">;

/** Read from this machine. */
async function foldersAt({ dir, in: input, files, out, reading }: JobArgs): Promise<Folders> {
  const shared: SharedFolder[] = [];
  for (const text of dir) {
    const { host, guest } = sharedFolder(text);
    shared.push({ host, guest: guest === "/" ? WORKING_FOLDER : guest, before: await readTree(host, reading) });
  }
  return { ...openFolders(shared, await inputsOf({ in: input, files }, reading), out !== undefined), shared };
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

/** Where a script lies: Python looks for modules beside what a link leads to. */
async function placeOf(file: string): Promise<string> {
  return (await lstat(file)).isSymbolicLink() ? path.relative("", await realpath(file)) : file;
}

async function kindOf(file: string): Promise<ProgramKind> {
  const found = await programAt(file);
  if (found === null) throw new InputError(`there is no file ${file}`);
  if ("is" in found) throw new InputError(`${file} is neither a .wasm module nor a .py script or .pyz archive`);
  return found.kind;
}

const below = (name: string, tree: readonly SourceEntry[]): SourceEntry[] => [
  { path: name, kind: "directory" },
  ...tree.map((entry) => ({ ...entry, path: `${name}/${entry.path}` })),
];

async function readProgram(file: string, options: Pick<JobArgs, "kind" | "blobOf" | "reading">): Promise<GivenProgram> {
  const { kind = await kindOf(file), blobOf, reading = {} } = options;
  const name = path.basename(path.resolve(file));
  const main = kind === "folder" ? path.join(file, "__main__.py") : file;
  const blob = await (blobOf ? blobOf(main) : blobAt(main, name, reading));
  return { name, blob, kind, ...(kind === "folder" ? { tree: below(name, await readTree(file, reading)) } : {}) };
}

export async function parseJob(options: JobArgs): Promise<ParsedJob> {
  const { interpreter, args, env, check, stdin = async () => new Uint8Array(), memoryMib, diskMib, outputMib, fuelMax } = options;
  const {
    name,
    blob,
    kind,
    tree,
    said = name,
  } = typeof options.file === "string" ? await readProgram(options.file, options) : options.file;
  const file = typeof options.file === "string" ? options.file : said;
  const { shared, ...open } = await foldersAt(options);
  const isHere = typeof options.file === "string";
  const place = typeof options.file === "string" ? await placeOf(options.file) : file;
  const folder = isHere ? folderInGuest(place, shared) : shared.some(({ guest }) => guest === WORKING_FOLDER) ? "/" : null;
  const parts = { file, name, blob, kind, tree, folder, interpreter, args, env: env.map(envPair), open, stdin };
  const bounds = { memoryMibMax: memoryMib, diskMibMax: diskMib, outputMibMax: outputMib, fuelMax };
  return { shared, ...(await programJob(parts, bounds, { place: scriptPlace(place, isHere), check })) };
}

/** Throws InputError where the job does not fit what is ordered. */
export const finishJob = ({ input }: ParsedJob, engine: string): BuiltJob => buildJob({ ...input, engine });
