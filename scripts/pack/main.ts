/**
 * `npm run pack [-- --out FOLDER] [--machine x64|arm64|none]`: what would be published, in one version: a file for each npm package, a folder
 * for each machine that runs without npm, and `provenance.json`: the commit, and the digest of each file. The folder is new or empty.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { refuse, typed } from "../typed.ts";
import { assemble, manifestAt } from "./assemble.ts";
import { MACHINES, type Machine } from "./packages.ts";
import { packMachine } from "./machine.ts";

const run = promisify(execFile);
const NODE_MIN = "22";
const root = path.resolve(import.meta.dirname, "../..");

const USAGE = `npm run pack [-- --out FOLDER] [--machine ${[...MACHINES, "none"].join("|")}]\nbuilds what would be published, into build or another new or empty folder`;
const { values } = typed(USAGE, { out: { type: "string", default: "build" }, machine: { type: "string", multiple: true } });

function machinesOf(words: readonly string[] | undefined): readonly Machine[] {
  if (words === undefined) return MACHINES;
  return words
    .filter((word) => word !== "none")
    .map((word) => MACHINES.find((machine) => machine === word) ?? fail(`--machine '${word}' is none of ${MACHINES.join(", ")}, none`));
}

const fail = (why: string): never => refuse(why, `usage: ${USAGE}`);

async function git(...args: string[]): Promise<string> {
  return (await run("git", ["-C", root, ...args])).stdout.trim();
}

async function sha256(file: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(file))
    .digest("hex");
}

const machines = machinesOf(values.machine);
const out = path.resolve(values.out);
await mkdir(out, { recursive: true });
if ((await readdir(out)).length > 0) fail(`${out} is not empty; name another folder with --out, or empty it`);

const own = await manifestAt(root);
const [gitHead, changed] = [await git("rev-parse", "HEAD"), await git("status", "--porcelain")];
if (changed !== "") console.error("the tree has changes that are in no commit: provenance.json says so");

const work = await mkdtemp(path.join(tmpdir(), "xeno-pack-"));
try {
  const release = { version: own.version, description: own.description ?? "", gitHead, nodeMin: NODE_MIN };
  const packed = await assemble(root, work, release, own.optionalDependencies ?? {});
  const words = ["pack", ...packed.values(), "--pack-destination", out, "--json", "--ignore-scripts"];
  const { stdout } = await run("npm", words, { maxBuffer: 64 * 1024 * 1024 });
  const files = (JSON.parse(stdout) as { filename: string }[]).map(({ filename }) => filename);
  for (const [i, name] of [...packed.keys()].entries()) console.log(`${name} ${own.version}  ${files[i]}`);
  const command = path.join(out, files.at(-1)!);
  for (const machine of machines) {
    const file = await packMachine(machine, command, work, out);
    files.push(file);
    console.log(`linux ${machine}  ${file}`);
  }
  const digests = Object.fromEntries(await Promise.all(files.map(async (file) => [file, await sha256(path.join(out, file))])));
  const provenance = { version: own.version, commit: gitHead, clean: changed === "", node: process.versions.node, sha256: digests };
  await writeFile(path.join(out, "provenance.json"), `${JSON.stringify(provenance, null, 2)}\n`);
} finally {
  await rm(work, { recursive: true, force: true });
}
