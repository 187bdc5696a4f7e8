/**
 * Scripts as people have them, from the command to its end, beside the same Python in a fresh `node` with `node:wasi`. In turns, and the
 * least of each counts: what else runs on the machine only ever adds. The command is what npm installs, on the same Node. Who controls the
 * inputs: this repository.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { pythonRuntime } from "@xenoservers/guests";
import { PROGRAMS } from "../test/world/programs.ts";
import { packed } from "../test/world/packed.ts";
import { publish } from "./lib/published.ts";
import { typedNumber, typedText } from "./lib/options.ts";
import { broken, report, type Figure } from "./lib/report.ts";
import { placeSupport, scriptPeer } from "./lib/script-peer.ts";

/** Unless `--count` says otherwise. */
const ROUNDS = 5;
const rounds = typedNumber("count") ?? ROUNDS;
/** `--row WORDS`: those rows alone in whose name they stand. */
const isAsked = (what: string): boolean => what.includes(typedText("row") ?? "");
const BAR = 1.3;
const HELLO_BAR = 1;
const MODULE_BAR = 1.2;
const MODULE_PEER = path.join(import.meta.dirname, "lib/module-peer.mjs");
const SCRIPTS = path.join(import.meta.dirname, "world");
/** Of 75 MB: the largest that test/world runs. */
const LARGE = PROGRAMS.find(({ module }) => module === "gen/llvm.core.wasm")!;

type Command = readonly [program: string, ...args: string[]];

/** Its time in ms, and what it prints, in a folder of its own. */
async function ran(
  [program, ...args]: Command,
  folder: string,
  files: Readonly<Record<string, string>> = {},
): Promise<{ ms: number; stdout: string }> {
  const cwd = await mkdtemp(path.join(folder, "work-"));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(cwd, name), text);
  const begun = performance.now();
  const { stdout } = await promisify(execFile)(program, args, { cwd, env: { ...process.env, XENO_HOME: path.join(folder, "home") } });
  return { ms: performance.now() - begun, stdout };
}

interface Least {
  ours: number;
  peers: number;
}

async function least(ours: Command, peers: Command, folder: string, files: Readonly<Record<string, string>> = {}): Promise<Least> {
  const times: Least = { ours: Number.POSITIVE_INFINITY, peers: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round++) {
    const [one, other] = [await ran(ours, folder, files), await ran(peers, folder, files)];
    if (one.stdout !== other.stdout || one.stdout === "") throw new Error(`${ours.join(" ")} prints something else than its peer`);
    times.ours = Math.min(times.ours, one.ms);
    times.peers = Math.min(times.peers, other.ms);
  }
  return times;
}

const row = (what: string, { ours, peers }: Least, bar: number): Figure =>
  report(what, ours, "ms", { peer: "fresh node with node:wasi", peerValue: peers }, bar);

/** One that fails is said and missed, and those after it are measured. */
const measured = async (what: string, bar: number, times: () => Promise<Least>): Promise<Figure[]> => {
  if (!isAsked(what)) return [];
  const came = await times().then(
    (all) => row(what, all, bar),
    (error: unknown) => broken(what, error),
  );
  return [came];
};

/** Each script, and all of them together where each ran. */
async function daily(xeno: Command, module: string, folder: string): Promise<Figure[]> {
  const support = await placeSupport(path.join(folder, "support"));
  const all: Least[] = [];
  const figures: Figure[] = [];
  const names = (await readdir(SCRIPTS)).filter((each) => each.endsWith(".py")).sort();
  for (const name of names) {
    const script = path.join(SCRIPTS, name);
    const times = (): Promise<Least> => least([...xeno, script], scriptPeer(module, script, support), folder);
    figures.push(...(await measured(`${name}, the whole command`, BAR, async () => all[all.push(await times()) - 1]!)));
  }
  const together = async (): Promise<Least> => {
    if (all.length < names.length) throw new Error("not all of them ran");
    const sum = (of: keyof Least): number => all.reduce((so, each) => so + each[of], 0);
    return { ours: sum("ours"), peers: sum("peers") };
  };
  return [...figures, ...(await measured("ten daily scripts in Python together", BAR, together))];
}

/** What has run before is not made ready again. */
const largeModule = (xeno: Command, folder: string): Promise<Figure[]> =>
  measured(`a module of 75 MB, its second run and later ones (${LARGE.args[0]})`, MODULE_BAR, async () => {
    const module = path.join(packed(LARGE.package, folder), LARGE.module);
    const ours: Command = [...xeno, "--mem", "1G", "--dir", ".", module, ...LARGE.args];
    const peers: Command = [process.execPath, "--no-warnings", MODULE_PEER, module, path.basename(module), ...LARGE.args];
    await ran(ours, folder, LARGE.files);
    return least(ours, peers, folder, LARGE.files);
  });

const hello = (xeno: Command, module: string, folder: string): Promise<Figure[]> =>
  measured("hello in Python, the whole command", HELLO_BAR, async () => {
    const script = path.join(folder, "hello/hello.py");
    await mkdir(path.dirname(script));
    await writeFile(script, "print('hello')\n");
    // Python is made ready once on a machine, in the first run, and its machine code in the second
    for (let run = 0; run < 2; run++) await ran([...xeno, script], folder);
    return least([...xeno, script], scriptPeer(module, script, null), folder);
  });

export async function world(): Promise<Figure[]> {
  const { command, remove } = await publish();
  const xeno: Command = [...command, "run", "--local", "-q"];
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-world-"));
  try {
    const { file } = await pythonRuntime();
    return [...(await hello(xeno, file, folder)), ...(await daily(xeno, file, folder)), ...(await largeModule(xeno, folder))];
  } finally {
    await rm(folder, { recursive: true, force: true });
    await remove();
  }
}
