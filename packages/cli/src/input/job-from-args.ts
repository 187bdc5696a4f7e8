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
import { UserError } from "../output/ui.ts";

export interface JobArgs {
  file: string;
  args: string[];
  in?: string;
  dir: string[];
  env: string[];
  stdin?: boolean;
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
}

async function readAll(stream: NodeJS.ReadableStream): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(Buffer.from(part as Uint8Array));
  return Buffer.concat(parts);
}

export function envPair(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new UserError(`--env '${text}' must be NAME=VALUE`);
  return [text.slice(0, at), text.slice(at + 1)];
}

export function sharedFolder(text: string): { host: string; guest: string } {
  const at = text.indexOf("::");
  const guest = at < 0 ? "" : text.slice(at + 2);
  if (at < 1 || !/^(\/[^/\0]+)+$/.test(guest) || /\/\.{1,2}(\/|$)/.test(guest))
    throw new UserError(`--dir '${text}' must be HOST::/guest/path`);
  if (["/in", "/out", "/app", "/tmp"].includes(guest)) throw new UserError(`--dir: ${guest} is taken; use another guest path`);
  return { host: text.slice(0, at), guest };
}

export async function parseJob(options: JobArgs): Promise<ParsedJob> {
  const { file } = options;
  const isPython = file.endsWith(".py");
  if (!isPython && !file.endsWith(".wasm")) throw new UserError(`${file} is neither a .wasm module nor a .py script`);
  await access(file).catch(() => {
    throw new UserError(`there is no file ${file}`);
  });
  const name = path.basename(file);
  const mounts: JobInput["mounts"] = [];
  if (isPython)
    mounts.push({
      mount: { path: "/app", writable: false, keep: false },
      entries: [{ path: name, kind: "file", blob: await fileBlob(file) }],
    });
  if (options.in !== undefined) mounts.push({ mount: { path: "/in", writable: false, keep: false }, entries: await readTree(options.in) });
  mounts.push(
    { mount: { path: "/out", writable: true, keep: true }, entries: [] },
    { mount: { path: "/tmp", writable: true, keep: false }, entries: [] },
  );
  const shared: SharedFolder[] = [];
  for (const text of options.dir) {
    const { host, guest } = sharedFolder(text);
    const before = await readTree(host);
    shared.push({ host, guest, before });
    mounts.push({ mount: { path: guest, writable: true, keep: true }, entries: before });
  }
  const module = isPython ? runtimeBlob(PYTHON) : await fileBlob(file);
  await assertMemory(module, options.memoryMib);
  const parsed: ParsedJob = {
    isPython,
    shared,
    input: {
      module,
      args: [...(isPython ? ["python", `/app/${name}`] : [name]), ...options.args],
      env: [...(isPython ? [["PYTHONDONTWRITEBYTECODE", "1"] as [string, string]] : []), ...options.env.map(envPair)],
      mounts,
      stdin: bytesBlob(options.stdin ? await readAll(process.stdin) : new Uint8Array()),
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
