/**
 * Whether a WebAssembly job fits what is ordered for it: one rule, asked by its customer before it signs an order and by the server
 * before anything is fetched or run. It counts what the engine will count (engine/src/wasi/limits.ts, whose numbers it repeats:
 * test/engine/limits.test.ts holds the two together). Who controls the inputs: the customer, every byte.
 */
import { preparationFuel } from "@xenoservers/market";
import { entriesByRun } from "./job-runs.ts";
import { zInputTree, type InputEntry, type InputTree } from "./channel/channel-messages.ts";
import { ARGUMENTS_MAX, zJobSpec, type JobSpec } from "./ids.ts";
import { STREAM_MIB_MAX } from "./result-fit.ts";

const MIB = 1024 * 1024;
const CHUNK_BYTES = MIB;
const STEP_BYTES_MIN = 64;
export const JOB_LIMITS = {
  nameBytes: 255,
  pathBytes: 4095,
  targetBytes: 4095,
  entries: 100_000,
  fileBytes: 64 * 1024 * MIB,
  treeBytes: 32 * MIB,
  treeEntryBytes: 128,
  nodeBytes: 1024,
  entryBytes: 128,
  textCost: 2,
  moduleBytes: 128 * MIB,
  /** Arguments and environment together, as Linux has it; each ends with a NUL. */
  argumentBytes: 2 * MIB,
  /** What standard output and error may take on the server's disk whatever else is ordered; more than memory and disk together never. */
  outputMibLeast: 64,
  memoryMib: 4096,
  diskMib: 65_536,
} as const;

interface JobToFit {
  spec: JobSpec;
  inputs: InputTree;
  stdinSize: number;
  /** 0 where the server has the module itself. */
  moduleSize: number;
}

interface Text {
  bytes: number;
  escaped: number;
}

function textOf(text: string): Text {
  let bytes = 0;
  let extra = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (code < 0x20) extra += 5;
    else if (character === '"' || character === "\\") extra++;
  }
  return { bytes, escaped: bytes + extra };
}

/** What a file of this size takes: whole pieces, and the rest in steps of an eighth of the power of two below. */
export function fileCost(size: number): number {
  const tail = size % CHUNK_BYTES;
  if (tail === 0) return size;
  if (tail <= STEP_BYTES_MIN) return size - tail + STEP_BYTES_MIN;
  const step = 1 << (28 - Math.clz32(tail));
  return size - tail + Math.ceil(tail / step) * step;
}

const mib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`;
const shown = (text: string): string => {
  const plain = text.toWellFormed().replaceAll(/\p{C}/gu, "?");
  return plain.length > 60 ? `${plain.slice(0, 60).toWellFormed()}...` : plain;
};

/** In words; thrown inside, returned to whoever asks. */
class Misfit extends Error {}
function must(condition: boolean, why: () => string): asserts condition {
  if (!condition) throw new Misfit(why());
}

interface TreeCost {
  usedBytes: number;
  entries: number;
  treeBytes: number;
}

/** The tree as the engine will make it, entry by entry. */
class Placed {
  readonly cost: TreeCost = { usedBytes: 0, entries: 0, treeBytes: 0 };
  readonly #kinds = new Map<string, InputEntry["kind"]>();
  /** Folders of the mounts, and those above them: they take nothing. */
  readonly #own = new Set<string>();
  readonly #mounts: ReadonlySet<string>;

  constructor(mounts: InputTree["mounts"]) {
    this.#mounts = new Set(mounts.map(({ path }) => path.slice(1)));
    must(this.#mounts.size === mounts.length, () => "two folders are brought to the same place");
    must(
      mounts.every(({ path }) => path.isWellFormed()),
      () => "a folder's path is no text",
    );
    for (const mount of this.#mounts) {
      const parts = mount.split("/");
      for (let i = 1; i <= parts.length; i++) {
        const above = parts.slice(0, i).join("/");
        must(
          i === parts.length || !this.#mounts.has(above),
          () => `the folder /${shown(mount)} lies inside /${shown(above)}; give it another place`,
        );
        if (this.#own.has(above)) continue;
        this.#own.add(above);
        this.#count(above, 0);
      }
    }
  }

  /** Adds what an entry takes besides its content; returns what its name takes of the disk. */
  #count(path: string, target: number): number {
    const name = textOf(path.slice(path.lastIndexOf("/") + 1));
    const whole = textOf(path);
    must(
      name.bytes <= JOB_LIMITS.nameBytes,
      () => `the name ${shown(path.slice(path.lastIndexOf("/") + 1))} is longer than ${JOB_LIMITS.nameBytes} bytes`,
    );
    must(whole.bytes < JOB_LIMITS.pathBytes, () => `the path ${shown(path)} is longer than ${JOB_LIMITS.pathBytes} bytes`);
    this.cost.entries++;
    this.cost.treeBytes += JOB_LIMITS.treeEntryBytes + whole.escaped + target;
    must(this.cost.entries <= JOB_LIMITS.entries, () => TOO_MANY);
    must(
      this.cost.treeBytes <= JOB_LIMITS.treeBytes,
      () => "the names of the files that are brought are too long in all; pack them into an archive",
    );
    return JOB_LIMITS.entryBytes + JOB_LIMITS.textCost * name.bytes;
  }

  /** Sees to it that a path's folders are there, up to its mount. */
  #parents(path: string): void {
    const missing: string[] = [];
    let at = path;
    do {
      const slash = at.lastIndexOf("/");
      must(slash > 0, () => `${shown(path)} lies in no folder that is brought`);
      at = at.slice(0, slash);
      const kind = this.#kinds.get(at);
      must(kind === undefined || kind === "directory", () => `${shown(path)} lies in ${shown(at)}, which is no folder`);
      if (kind === "directory") break;
      if (!this.#mounts.has(at)) missing.push(at);
    } while (!this.#mounts.has(at));
    for (const folder of missing) this.#add(folder, "directory", 0, 0);
  }

  #add(path: string, kind: InputEntry["kind"], content: number, target: number): void {
    this.#kinds.set(path, kind);
    this.cost.usedBytes += this.#count(path, target) + JOB_LIMITS.nodeBytes + content;
  }

  place(entry: InputEntry): void {
    const { path, kind } = entry;
    must(
      path.isWellFormed() && (kind !== "link" || (entry.target.isWellFormed() && !entry.target.includes("\0"))),
      () => `${shown(path)} has a name that is no text`,
    );
    this.#parents(path);
    const there = this.#own.has(path) ? "directory" : this.#kinds.get(path);
    must(there === undefined || (there === "directory" && kind === "directory"), () => `${shown(path)} is brought twice`);
    if (there !== undefined) return;
    const target = kind === "link" ? textOf(entry.target) : { bytes: 0, escaped: 0 };
    must(target.bytes <= JOB_LIMITS.targetBytes, () => `the link ${shown(path)} points to more than ${JOB_LIMITS.targetBytes} bytes`);
    must(
      kind !== "file" || entry.size <= JOB_LIMITS.fileBytes,
      () => `the file ${shown(path)} is larger than ${mib(JOB_LIMITS.fileBytes)}`,
    );
    this.#add(path, kind, kind === "file" ? fileCost(entry.size) : JOB_LIMITS.textCost * target.bytes, target.escaped);
  }
}

/** One digest has one size, whoever names it. */
function checkSizes({ spec, inputs, stdinSize, moduleSize }: JobToFit): void {
  const sizes = new Map<string, number>([[spec.stdin, stdinSize]]);
  const same = (digest: string, size: number): void => {
    must((sizes.get(digest) ?? size) === size, () => "the same bytes are brought with two sizes");
    sizes.set(digest, size);
  };
  if (moduleSize > 0) same(spec.module, moduleSize);
  for (const run of spec.runs ?? []) same(run.stdin, run.stdinSize);
  for (const entry of inputs.entries) if (entry.kind === "file") same(entry.digest, entry.size);
}

/** What travels is read by these; the limits that people meet are said in words first. */
function checkShape({ spec, inputs }: JobToFit): void {
  const { args, env, memoryMibMax, diskMibMax } = spec;
  must(
    memoryMibMax <= JOB_LIMITS.memoryMib,
    () => `WebAssembly has ${JOB_LIMITS.memoryMib} MiB of memory at most, not ${memoryMibMax}: order less (--mem)`,
  );
  must(
    diskMibMax <= JOB_LIMITS.diskMib,
    () => `a job's files can take ${JOB_LIMITS.diskMib} MiB at most, not ${diskMibMax}: order less (--disk)`,
  );
  must(inputs.entries.length <= JOB_LIMITS.entries, () => TOO_MANY);
  must(Math.max(args.length, env.length) <= ARGUMENTS_MAX, () => `more than ${ARGUMENTS_MAX} arguments or variables: bring a file`);
  for (const [what, parsed] of [
    ["job", zJobSpec.safeParse(spec)] as const,
    ["files that are brought", zInputTree.safeParse(inputs)] as const,
  ]) {
    const [issue] = parsed.error?.issues ?? [];
    must(!issue, () => `the ${what} cannot be sent: ${issue?.path.join(".")}: ${issue?.message}`);
  }
}
const TOO_MANY = `more than ${JOB_LIMITS.entries} files, folders and links are brought; pack them into an archive`;

function checkArguments({ args, env }: JobSpec): void {
  const texts = [...args, ...env.map(([name, value]) => `${name}=${value}`)];
  must(
    texts.every((text) => text.isWellFormed() && !text.includes("\0")) && env.every(([name]) => !name.includes("=")),
    () => "an argument or a variable of the environment is no text",
  );
  const bytes = texts.reduce((sum, text) => sum + textOf(text).bytes + 1, 0);
  must(
    bytes <= JOB_LIMITS.argumentBytes,
    () => `arguments and environment take ${bytes} bytes; ${JOB_LIMITS.argumentBytes} are possible: bring a file`,
  );
}

function checkPreopens({ preopens }: JobSpec, { mounts }: InputTree): void {
  const names = new Set(preopens.map(([name]) => name));
  must(names.size === preopens.length, () => "two folders are open under the same name");
  must(
    [...names].every((name) => name.isWellFormed() && !name.includes("\0")),
    () => "the name of an open folder is no text",
  );
  const missing = preopens.find(([, path]) => !mounts.some((mount) => mount.path === path));
  must(missing === undefined, () => `the folder ${shown(missing?.[1] ?? "")} is to be open and is not there`);
}

/** What the inputs take in the engine's files, or in words why they cannot be. */
export function treeCost(inputs: InputTree): { ok: true; cost: TreeCost } | { ok: false; why: string } {
  try {
    const placed = new Placed(inputs.mounts);
    for (const entry of inputs.entries) placed.place(entry);
    return { ok: true, cost: placed.cost };
  } catch (error) {
    if (error instanceof Misfit) return { ok: false, why: error.message };
    throw error;
  }
}

const giga = (fuel: bigint): string => `${Number(fuel) / 1e9} Gfuel`;

/** Why so much fuel is too little to make a module of this length ready, in words; null where it is enough. */
export function preparationProblem(moduleSize: number, fuelMax: bigint): string | null {
  const needed = preparationFuel(moduleSize);
  return needed < fuelMax ? null : `making the module ready takes ${giga(needed)}, and ${giga(fuelMax)} are the most`;
}

/** Each run of several as if it were the job. */
function checkRuns(job: JobToFit): void {
  const { runs = [], ...spec } = job.spec;
  checkSizes(job);
  const entries = entriesByRun(job.inputs.entries, runs.length);
  must(entries !== null, () => "a file that is brought is of none of the runs");
  for (const [index, { stdinSize, ...own }] of runs.entries())
    check({ ...job, spec: { ...spec, ...own }, inputs: { ...job.inputs, entries: entries[index] ?? [] }, stdinSize });
}

function check(job: JobToFit): void {
  const { spec, inputs, stdinSize, moduleSize } = job;
  checkShape(job);
  if (spec.runs) return checkRuns(job);
  checkArguments(spec);
  checkPreopens(spec, inputs);
  checkSizes(job);
  must(moduleSize <= JOB_LIMITS.moduleBytes, () => `the module has ${mib(moduleSize)}; ${mib(JOB_LIMITS.moduleBytes)} are possible`);
  const unprepared = preparationProblem(moduleSize, BigInt(spec.fuelMax));
  must(unprepared === null, () => `${unprepared}: order more (--max-fuel)`);
  const tree = treeCost(inputs);
  must(tree.ok, () => (tree.ok ? "" : tree.why));
  const disk = spec.diskMibMax * MIB;
  const files = tree.cost.usedBytes + stdinSize;
  must(
    files <= disk,
    () => `files, their names and standard input take ${mib(files)} of the ${spec.diskMibMax} MiB of disk: order more (--disk)`,
  );
  const room = spec.memoryMibMax * MIB + disk - files;
  must(
    moduleSize <= room,
    () => `the module has ${mib(moduleSize)}; the memory and what is left of the disk are less: order more (--mem or --disk)`,
  );
  must(
    spec.outputMibMax <= STREAM_MIB_MAX,
    () => `at most ${STREAM_MIB_MAX} MiB of each stream come back, not ${spec.outputMibMax}: order less (--max-output)`,
  );
  const output = Math.max(JOB_LIMITS.outputMibLeast, spec.memoryMibMax + spec.diskMibMax);
  must(
    spec.outputMibMax <= output,
    () => `${spec.outputMibMax} MiB of output are more than memory and disk together: order less (--max-output) or more of them`,
  );
}

/** Why the job does not fit what is ordered for it, in words that name what to change; null where it does. */
export function jobMisfit(job: JobToFit): string | null {
  try {
    check(job);
    return null;
  } catch (error) {
    if (error instanceof Misfit) return error.message;
    throw error;
  }
}
