/**
 * Where a guest process lives: an empty root with nothing but Node, its libraries, the engine and its own folder, all read-only; no
 * network, no host processes, no capabilities. It writes to what is open when it begins. Built with util-linux alone (unshare, mount,
 * pivot_root, setpriv), as root or not.
 */
import { createHash, randomUUID } from "node:crypto";
import { chmod, copyFile, link, mkdir, mkdtemp, readFile, readdir, realpath, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { run } from "./programs/start.ts";
import { JOIN_GROUPS, hostLimits, type Cgroup, type Limits } from "./cgroup.ts";
import type { Command } from "./command.ts";
import { uidOf } from "./qemu/machine/box.ts";
import { ownProgram } from "./own-program.ts";
import { codeOf, firstLineOf, lastErrorOf } from "./thrown.ts";
import { THREADS_MAX } from "./worker-group.ts";
import { HEAP_MIB } from "./worker/bounds.ts";
import { HOLD } from "./worker/hold.ts";
import { KOFFI } from "./worker/koffi.ts";

/** What holds a guest beneath its engine: empty where it does, else why not, in words. */
interface Beneath {
  /** A root, a network and processes of its own. */
  namespaces: string;
  /** Calls of the kernel that it may make. */
  calls: string;
  /** A user id that owns nothing else. */
  user: string;
  /** A share of memory, processor and tasks (control groups). */
  share: string;
}

export interface Sandbox {
  /** Weak where it has no namespaces, or may ask anything of the kernel. */
  strength: "strong" | "weak";
  /** Why it is weak. */
  why: string;
  beneath: Beneath;
  /** What holds each guest to its share of the machine. */
  limits: Limits;
  /**
   * The command that starts a worker on a folder of the host; `deep`: with the stack that a build with breakpoints needs. It joins the
   * group before anything else.
   */
  command(folder: string, deep?: boolean, cgroup?: Cgroup | null): Command;
  /** Where a named runtime lies as the worker sees it. */
  runtimePath(name: string): string;
}

/** Shared libraries a program loads, by the path the loader looks for. */
async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run("ldd", [program]);
  return [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library = ""]) => library);
}

const BUNDLE_WITHIN_MS = 120_000;
const TRIAL_MS = 60_000;
const WORKER = ownProgram(import.meta.dirname, "worker/main");
const BUNDLE = [
  ...["--bundle", "--splitting", "--format=esm", "--platform=node", "--target=node24", "--charset=utf8"],
  "--log-level=error",
] as const;

/**
 * Worker and engine as one plain file, what few jobs need beside it: a guest loads it in a third of the time of a file per module. Throws
 * where it cannot be made: without it no guest runs at all.
 */
async function bundleWorker(program: string, outdir: string): Promise<string[]> {
  const told = path.join(outdir, "made-of.json");
  try {
    const ours = createRequire(import.meta.url);
    const bundler = createRequire(ours.resolve("esbuild")).resolve(`@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
    const options = { cwd: import.meta.dirname, timeout: BUNDLE_WITHIN_MS, killSignal: "SIGKILL" } as const;
    await run(bundler, [`main=${program}`, ...BUNDLE, `--outdir=${outdir}`, `--metafile=${told}`], options);
    const { inputs } = JSON.parse(await readFile(told, "utf8")) as { inputs: object };
    // it names folders of the host, which are no guest's business
    await rm(told);
    return Object.keys(inputs).map((file) => path.resolve(import.meta.dirname, file));
  } catch (error) {
    const why = firstLineOf(error);
    throw new Error(`the program that guests run in cannot be put together (were packages left out by npm ci?): ${why}`, { cause: error });
  }
}

/** A hard link where the file system allows it: the root is mounted read-only, so nothing can change the original through it. */
async function place(from: string, to: string): Promise<void> {
  await link(from, to).catch(() => copyFile(from, to));
}

/** Where npm put koffi's native part for this machine; null where there is none for it, or packages were left out. */
function koffiFile(): string | null {
  const here = `${process.platform}-${process.arch}`;
  try {
    const index = createRequire(import.meta.url).resolve(`@koromix/koffi-${here}`);
    return path.join(path.dirname(index), here.replace("-", "_"), KOFFI);
  } catch {
    return null;
  }
}

/** Everything that a guest loads: the engine and worker, what holds it, runtimes. Gives the files that it is made of. */
async function stageApp(root: string, program: string, runtimes: ReadonlyMap<string, string>): Promise<string[]> {
  await mkdir(path.join(root, "runtimes"), { recursive: true });
  const sources = await bundleWorker(program, path.join(root, "app/worker"));
  const koffi = koffiFile();
  if (koffi !== null) await place(koffi, path.join(root, "app/worker", KOFFI));
  await writeFile(path.join(root, "app/package.json"), '{"type":"module"}');
  for (const [name, file] of runtimes) await place(file, path.join(root, "runtimes", name));
  return [...sources, ...(koffi === null ? [] : [koffi]), ...runtimes.values()];
}

/** What a root of its own needs beside: Node, the program that drops rights, their libraries, empty mount points. Gives their files. */
async function stageSystem(root: string, node: string): Promise<string[]> {
  const files: string[] = [];
  for (const folder of ["bin", "w", "old"]) await mkdir(path.join(root, folder), { recursive: true });
  await place(node, path.join(root, "bin/node"));
  await symlink("old/proc", path.join(root, "proc")); // umount needs it once; it dangles afterwards
  for (const program of [node, (await run("sh", ["-c", "command -v setpriv"])).stdout.trim()]) {
    files.push(program);
    for (const library of await librariesOf(program)) {
      files.push(library);
      await mkdir(path.join(root, path.dirname(library)), { recursive: true });
      await copyFile(await realpath(library), path.join(root, library));
    }
    if (program !== node) await copyFile(program, path.join(root, "bin/setpriv"));
  }
  return files;
}

const ROOT = "root-";

/** By all that decides what a guest runs: a daemon of another version never runs what an earlier one left. */
async function nameOf(root: string, node: string, runtimes: ReadonlyMap<string, string>): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([process.version, node, ENTER, [...runtimes]]));
  const worker = path.join(root, "app/worker");
  for (const name of (await readdir(worker)).sort()) hash.update(`${name}\n`).update(await readFile(path.join(worker, name)));
  return `${ROOT}${hash.digest("hex").slice(0, 16)}`;
}

/** By the length of each of its files. */
async function hasAllOf(made: string, root: string): Promise<boolean> {
  const files = (await readdir(made, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizeOf = (file: string): Promise<number> =>
    stat(file).then(
      ({ size }) => size,
      () => -1,
    );
  for (const { parentPath, name } of files) {
    const file = path.join(parentPath, name);
    if ((await sizeOf(file)) !== (await sizeOf(path.join(root, path.relative(made, file))))) return false;
  }
  return true;
}

interface Staged {
  root: string;
  /** Why it is no root that a guest can be shut in; null where it is. */
  problem: string | null;
  /** The host's files that it was made of. */
  madeOf: readonly string[];
}

/** Lays out the guest's root in `parent`, whole or not at all. */
async function stageRoot(parent: string, program: string, node: string, runtimes: ReadonlyMap<string, string>): Promise<Staged> {
  const made = await mkdtemp(path.join(parent, "stage-"));
  try {
    const madeOf = await stageApp(made, program, runtimes);
    const problem = await stageSystem(made, node).then(
      (files) => (madeOf.push(...files), null),
      (error: Error) => error.message,
    );
    await run("chmod", ["-R", "a+rX", made]); // for users that own nothing here
    const name = await nameOf(made, node, runtimes);
    const root = path.join(parent, problem === null ? name : `${name}-weak`);
    await rename(made, root).catch(async (error: unknown) => {
      if (!["ENOTEMPTY", "EEXIST"].includes(codeOf(error) ?? "")) throw error;
      // one that is there is the same, and guests may live in it
      if ((await nameOf(root, node, runtimes).catch(() => null)) === name && (await hasAllOf(made, root))) return;
      // those that live in a damaged one do so under any name
      await rename(root, path.join(parent, `left-${randomUUID()}`));
      await rename(made, root);
    });
    return { root, problem, madeOf };
  } finally {
    await rm(made, { recursive: true, force: true });
  }
}

/**
 * Runs as root, of a fresh user namespace where the daemon is not: builds the mount tree from $1 (staged root) and $2 (the worker's
 * folder), enters it, lets go of the old one, drops every capability for good and becomes the worker. A host path never passes through the
 * shell's parser.
 */
const ENTER = `
set -e
mount -o bind,ro,nosuid,nodev "$1" "$1"
mount -o bind,ro,nosuid,nodev,noexec "$2" "$1/w"
cd "$1"
pivot_root . old
cd /
libraries=/old/lib64:/old/usr/lib64
for machine in x86_64 aarch64; do libraries=/old/lib/$machine-linux-gnu:/old/usr/lib/$machine-linux-gnu:$libraries; done
LD_LIBRARY_PATH=$libraries /old/bin/umount -l /old
ulimit -s "$3" 2>&- || true
ulimit -c 0
ulimit -n "$4"
free=$5
[ -z "$free" ] || ulimit -u "$6" 2>&- || ulimit -p "$6"
shift 6
exec /bin/setpriv $free --bounding-set=-all --inh-caps=-all --ambient-caps=-all --no-new-privs /bin/node "$@"
`;

/** New namespaces of every kind a guest could look through. */
const isRoot = process.getuid?.() === 0;
const UNSHARE = [
  ...["unshare", ...(isRoot ? [] : ["--user", "--map-root-user"])],
  ...["--mount", "--pid", "--net", "--ipc", "--uts", "--fork"],
] as const;

/** Whom the guest in a folder runs as where the daemon is root: nobody else, as machines do. */
const uidIn = (folder: string): number => uidOf(createHash("sha256").update(path.basename(folder)).digest("hex"));

/** Words for setpriv; the parent-death signal is lost when the user changes (prctl(2), PR_SET_PDEATHSIG). */
const freeWords = (folder: string): string =>
  isRoot ? `--reuid=${uidIn(folder)} --regid=${uidIn(folder)} --clear-groups --pdeathsig KILL` : "";

/**
 * More than the engine's own limit on a guest's stack, less than the system's default of 8 MiB (and than what is asked for below): a
 * guest always meets the engine's limit first.
 */
const STACK_KIB = 6 * 1024;
/** Rewritten functions are larger; with V8's defaults fewer of them would be inlined than of the originals. */
const INLINING = [
  "--wasm-inlining-max-size=2000",
  "--wasm-inlining-budget=20000",
  "--wasm-inlining-factor=20",
  "--wasm-inlining-min-budget=500",
] as const;

/** A build with breakpoints has frames many times as large. */
const DEEP_STACK_KIB = 15 * STACK_KIB;
const SYSTEM_STACK_KIB = { usual: 16 * 1024, deep: DEEP_STACK_KIB + 8 * 1024 } as const;

/** Node's own, and the few files that a worker has open at once. */
const OPEN_FILES_MAX = 128;

/** Frames that a trap's trace holds: what tells of a panic takes several before the guest's own eight (engine/src/backtrace.ts). */
const TRACE_FRAMES = 24;

/** How a guest's Node is started: what benches of the engine use too. */
const nodeFlags = (kind: keyof typeof HEAP_MIB): string[] => [
  `--max-old-space-size=${HEAP_MIB[kind]}`,
  `--stack-size=${kind === "deep" ? DEEP_STACK_KIB : STACK_KIB}`,
  `--stack-trace-limit=${TRACE_FRAMES}`,
  ...INLINING,
  "--no-warnings",
];
export const GUEST_NODE_FLAGS = nodeFlags("usual");

/** A folder stays the daemon's, whatever its umask takes away, and the guest's to look into: as root that is another user. */
export const letGuestSee = (folder: string): Promise<void> => chmod(folder, 0o755);

/** A file in a guest's folder that stays the daemon's, and that its guest can read. */
export async function letGuestRead(file: string): Promise<void> {
  if (isRoot) await chmod(file, 0o444);
}

interface Ways {
  staged: string;
  node: string;
  /** What the worker is told of its filter. */
  hold: readonly string[];
}

const strongCommand = ({ staged, hold }: Ways, folder: string, deep: boolean): Command => [
  ...UNSHARE,
  ...["--kill-child", "sh", "-c", ENTER, "sh", staged, folder],
  ...[
    String(SYSTEM_STACK_KIB[deep ? "deep" : "usual"]),
    String(OPEN_FILES_MAX),
    freeWords(folder),
    String(THREADS_MAX),
    ...nodeFlags(deep ? "deep" : "usual"),
  ],
  ...["/app/worker/main.js", "/w", ...hold],
];

function weakCommand({ staged, node, hold }: Ways, folder: string): Command {
  const app = path.join(staged, "app");
  const reads = [app, path.join(staged, "runtimes"), folder].map((each) => `--allow-fs-read=${each}`);
  const permissions = ["--permission", ...reads, ...(hold.length > 0 ? ["--allow-addons"] : [])];
  return [node, ...GUEST_NODE_FLAGS, ...permissions, path.join(app, "worker/main.js"), folder, ...hold];
}

const joined = (cgroup: Cgroup | null, command: Command): Command =>
  cgroup === null ? command : ["sh", "-c", `${JOIN_GROUPS}; shift; exec "$@"`, "sh", cgroup.folders.join(" "), ...command];

/** Starts a worker that gets no job; null where it came to its end, else what it said. */
async function trial(parent: string, commandFor: (folder: string) => Command): Promise<string | null> {
  const folder = await mkdtemp(path.join(parent, "trial-"));
  try {
    await letGuestSee(folder);
    const [command, ...args] = commandFor(folder);
    await run(command, args, { timeout: TRIAL_MS, env: {}, cwd: "/" });
    return null;
  } catch (error) {
    return lastErrorOf(error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a guest's program once without a job. `parent` is a folder of its own: what other versions of this program left there is removed,
 * unless guests of an earlier daemon may live in it (`inUse`). `program`: what runs there, the worker. Throws where the program that guests
 * run in cannot be put together.
 */
export async function createSandbox(
  parent: string,
  runtimes: ReadonlyMap<string, string>,
  inUse = false,
  program = WORKER,
): Promise<Sandbox> {
  const node = await realpath(process.execPath);
  await mkdir(parent, { recursive: true });
  const whole = await realpath(parent);
  const tried = await triedOut(whole, runtimes, node, program);
  const others = (await readdir(whole)).filter((name) => name !== path.basename(tried.root));
  if (!inUse) for (const name of others) await rm(path.join(whole, name), { recursive: true, force: true });
  return sandboxOf(node, tried);
}

/** What a root and a trial came to. */
export interface Tried {
  root: string;
  /** Why there are none; empty where there are. */
  namespaces: string;
  /** Why a guest's calls are not filtered; empty where they are. */
  calls: string;
}

const commandsIn =
  ({ root: staged, namespaces }: Pick<Tried, "root" | "namespaces">, node: string, hold: readonly string[]) =>
  (folder: string, deep: boolean): Command =>
    namespaces === "" ? strongCommand({ staged, node, hold }, folder, deep) : weakCommand({ staged, node, hold }, folder);

/** Lays a root out in `parent`, and runs the worker in it. */
export async function triedOut(
  parent: string,
  runtimes: ReadonlyMap<string, string>,
  node: string,
  program = WORKER,
): Promise<Tried & { madeOf: readonly string[] }> {
  const { root, problem, madeOf } = await stageRoot(parent, program, node, runtimes);
  const namespaces = problem ?? (await probe()) ?? "";
  const held = commandsIn({ root, namespaces }, node, [HOLD]);
  const unheld = await trial(parent, (folder) => held(folder, false));
  const calls = unheld === null ? "" : `what guests may ask of the kernel is not filtered: ${unheld}`;
  return { root, namespaces, calls, madeOf };
}

export async function sandboxOf(node: string, { root: staged, namespaces, calls }: Tried): Promise<Sandbox> {
  const why = [namespaces, calls].filter((each) => each !== "").join("; ");
  const user = isRoot && namespaces === "" ? "" : "guests run as this daemon's user: only root can give them one of their own";
  const command = commandsIn({ root: staged, namespaces }, node, calls === "" ? [HOLD] : []);
  const limits = await hostLimits();
  const share = limits.kind === "process" ? `no control group holds guests to their share (${limits.why})` : "";
  return {
    strength: why === "" ? "strong" : "weak",
    why,
    beneath: { namespaces, calls, user, share },
    limits,
    command: (folder, deep = false, cgroup = null) => joined(cgroup, command(folder, deep)),
    runtimePath: (name) => (namespaces === "" ? `/runtimes/${name}` : path.join(staged, "runtimes", name)),
  };
}

/** Whether namespaces can be made here; null or the reason why not. */
async function probe(): Promise<string | null> {
  try {
    await run(UNSHARE[0], [...UNSHARE.slice(1), "sh", "-c", "mount -t tmpfs none /tmp && setpriv --version >/dev/null"], {
      timeout: 10_000,
    });
    return null;
  } catch (error) {
    return `this kernel does not let ${process.getuid?.() === 0 ? "root" : "this user"} make namespaces: ${firstLineOf(error)}`;
  }
}
