/**
 * A module's or script's job, made of what was read for it: which folders its guest finds open, its arguments and its environment. Who
 * controls the inputs: whoever runs this.
 */
import { bytesBlob, type Blob, type SourceEntry } from "./blob.ts";
import { InputError } from "./errors.ts";
import { buildJob, type JobInput } from "./job.ts";
import { moduleIn, type ModuleCheck } from "./module-check.ts";
import { memoryMibAtStart } from "./module-memory.ts";
import { scriptParts, type ScriptPlace } from "./python-script.ts";
import { PYTHON, PYTHON_FILE, runtimeBlob, type ProgramKind } from "./runtimes.ts";

/** Where the folder lies that the guest knows as `/`: what lies at `/` itself is every mount. */
export const WORKING_FOLDER = "/.work";

export type OpenFolders = Required<Pick<JobInput, "mounts" | "preopens">>;

/**
 * What the guest finds open: the folders that were asked for, in their order, and where none of them is `/`, `/out` under that name. Only a
 * job that asks for none has `/out` and `/tmp` besides. `inputs`: null where nothing lies in /in.
 */
export function openFolders(
  shared: readonly { guest: string; before: SourceEntry[] }[],
  inputs: SourceEntry[] | null,
  wantsOut: boolean,
): OpenFolders {
  const folders: OpenFolders = { mounts: [], preopens: [] };
  const open = (name: string, at: string, kept: { writable: boolean; keep: boolean }, entries: SourceEntry[] = []): void => {
    if (!folders.mounts.some(({ mount }) => mount.path === at)) folders.mounts.push({ mount: { path: at, ...kept }, entries });
    folders.preopens.push([name, at]);
  };
  const ours = { writable: true, keep: true };
  for (const { guest, before } of shared) open(guest === WORKING_FOLDER ? "/" : guest, guest, ours, before);
  const hasWorkingFolder = folders.preopens.some(([name]) => name === "/");
  if (!hasWorkingFolder) open("/", "/out", ours);
  if (inputs) open("/in", "/in", { writable: false, keep: false }, inputs);
  if (shared.length === 0 || wantsOut || !hasWorkingFolder) open("/out", "/out", ours);
  if (shared.length === 0) open("/tmp", "/tmp", { writable: true, keep: false });
  return folders;
}

/** Throws InputError. */
async function assertMemory(module: Blob, memoryMib: number): Promise<void> {
  const least = module.digest === PYTHON.digest ? PYTHON.memoryMib : await memoryMibAtStart(module);
  if (least > memoryMib)
    throw new InputError(`the module needs ${least} MiB of memory before it runs; ${memoryMib} MiB are ordered: order more (--mem)`);
}

/** What was typed to Python itself, before a script or in its place (`-c`, `-m`). */
export interface Interpreter {
  options: readonly string[];
  /** A script is run after them. */
  runsFile: boolean;
}

interface ProgramParts {
  /** As messages call it. */
  file: string;
  /** As a file of it is called. */
  name: string;
  blob: Blob;
  /** Absent: its name says it. */
  kind?: ProgramKind | undefined;
  /** Of a folder that is a program: all that is in it, below its name. */
  tree?: readonly SourceEntry[] | undefined;
  /** Of a script: its folder, as it stands in one that is brought in. */
  folder: string | null;
  interpreter?: Interpreter | undefined;
  args: readonly string[];
  /** As it was typed. */
  env: readonly [string, string][];
  open: OpenFolders;
  /** Read when all else is good. */
  stdin(): Promise<Uint8Array>;
}

export interface ProgramJob {
  /** Without its engine, which its server says. */
  input: Omit<JobInput, "engine">;
  isPython: boolean;
  /** It was taken out of a component. */
  isUnwrapped: boolean;
}

type Bounds = Pick<JobInput, "memoryMibMax" | "diskMibMax" | "outputMibMax" | "fuelMax">;

const PLAIN: Interpreter = { options: [], runsFile: true };
const RUNTIME = { module: runtimeBlob(PYTHON), isUnwrapped: false };

/** What does not fit is said before anything is searched or signed. Throws InputError. */
export async function programJob(
  { file, name, blob, kind, tree, folder, interpreter = PLAIN, args, env, open, stdin }: ProgramParts,
  bounds: Bounds,
  { place, check }: { place: ScriptPlace; check: ModuleCheck },
): Promise<ProgramJob> {
  const isPython = kind === undefined ? PYTHON_FILE.test(name) : kind !== "module";
  const path = new Map(env).get("PYTHONPATH");
  const python = isPython ? await scriptParts({ file, name, blob, kind, tree, folder, path }, open.mounts, place) : null;
  const { module, isUnwrapped } = isPython ? RUNTIME : await moduleIn({ name: file, blob }, check);
  const own = python?.mounts ?? [];
  const preopens = [...open.preopens, ...own.map(({ mount }): [string, string] => [mount.path, mount.path])];
  const working = preopens.find(([opened]) => opened === "/");
  // C libraries of 2019 and 2020 look for a path without a slash in an open folder of this name alone; Python's is none of them
  if (!isPython && working) preopens.push([".", working[1]]);
  await assertMemory(module, bounds.memoryMibMax);
  const input = {
    ...{ module, preopens, ...bounds },
    args: [...(isPython ? ["python", ...interpreter.options, ...(interpreter.runsFile ? [`/app/${name}`] : [])] : [name]), ...args],
    env: withSupport(python?.env ?? [], env),
    mounts: [...open.mounts, ...own],
    stdin: bytesBlob(await stdin()),
  };
  buildJob({ ...input, engine: "" });
  return { input, isPython, isUnwrapped };
}

/** Both, `typed` last; a path of modules that is typed stands before ours. */
export function withSupport(ours: readonly [string, string][], typed: readonly [string, string][]): [string, string][] {
  const own = new Map(ours);
  const support = own.get("PYTHONPATH");
  for (const [name, value] of typed) own.set(name, name === "PYTHONPATH" && support !== undefined ? `${value}:${support}` : value);
  return [...own];
}
