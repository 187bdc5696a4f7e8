/**
 * Scripts as people have them, from the command to its end, beside the same Python in a fresh `node` with `node:wasi`. In turns, and the
 * least of each counts: what else runs on the machine only ever adds. The command is built as it is published. Who controls the inputs:
 * this repository.
 */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { pythonRuntime } from "@xenoservers/guests";
import { build } from "../scripts/build.ts";
import { report, type Figure } from "./lib/report.ts";

/** Unless `--count` says otherwise. */
const ROUNDS = 5;
const counted = process.argv.indexOf("--count");
const rounds = counted < 0 ? ROUNDS : Number(process.argv[counted + 1]);
const BAR = 1.3;
const HELLO_BAR = 1;
const ROOT = path.resolve(import.meta.dirname, "..");
const XENO = path.join(ROOT, "packages/cli/bin/xeno");
const PEER = path.join(import.meta.dirname, "lib/script-peer.mjs");
const SCRIPTS = path.join(import.meta.dirname, "world");
const SUPPORT = path.join(ROOT, "packages/sdk/src/node");
const ZONES = "/usr/share/zoneinfo";

type Command = readonly [program: string, ...args: string[]];

/** Its time in ms, and what it prints, in a folder of its own. */
async function ran([program, ...args]: Command, folder: string): Promise<{ ms: number; stdout: string }> {
  const cwd = await mkdtemp(path.join(folder, "work-"));
  const begun = performance.now();
  const { stdout } = await promisify(execFile)(program, args, { cwd, env: { ...process.env, XENO_HOME: path.join(folder, "home") } });
  return { ms: performance.now() - begun, stdout };
}

interface Least {
  ours: number;
  peers: number;
}

async function least(script: string, module: string, folder: string): Promise<Least> {
  const ours: Command = [XENO, "run", "--local", "-q", script];
  const peers: Command = [process.execPath, "--no-warnings", PEER, module, script, SUPPORT, ZONES];
  const times: Least = { ours: Number.POSITIVE_INFINITY, peers: Number.POSITIVE_INFINITY };
  for (let round = 0; round < rounds; round++) {
    const [one, other] = [await ran(ours, folder), await ran(peers, folder)];
    if (one.stdout !== other.stdout || one.stdout === "") throw new Error(`${script} prints something else here than there`);
    times.ours = Math.min(times.ours, one.ms);
    times.peers = Math.min(times.peers, other.ms);
  }
  return times;
}

const row = (what: string, { ours, peers }: Least, bar: number): Figure =>
  report(what, ours, "ms", { peer: "fresh node with node:wasi", peerValue: peers }, bar);

export async function world(): Promise<Figure[]> {
  await build();
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-world-"));
  try {
    const { file } = await pythonRuntime();
    const hello = path.join(folder, "hello/hello.py");
    await mkdir(path.dirname(hello));
    await writeFile(hello, "print('hello')\n");
    await ran([XENO, "run", "--local", "-q", hello], folder); // Python is made ready once on a machine
    const figures = [row("hello in Python, the whole command", await least(hello, file, folder), HELLO_BAR)];
    const all: Least = { ours: 0, peers: 0 };
    for (const name of (await readdir(SCRIPTS)).filter((each) => each.endsWith(".py")).sort()) {
      const times = await least(path.join(SCRIPTS, name), file, folder);
      figures.push(row(`${name}, the whole command`, times, BAR));
      all.ours += times.ours;
      all.peers += times.peers;
    }
    figures.push(row("ten daily scripts in Python together", all, BAR));
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
