/** A folder that unpacks and runs without npm and without a Node of the host's: the command with everything it starts, for one kind of machine. */
import { execFile } from "node:child_process";
import { cp, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { COMMAND, type Machine } from "./packages.ts";

const run = promisify(execFile);

/** `packed`: the command's npm package. Gives the name of the file it makes in `out`. */
export async function packMachine(machine: Machine, packed: string, work: string, out: string): Promise<string> {
  const name = `xenoservers-linux-${machine}`;
  const folder = path.join(work, name);
  await mkdir(path.join(folder, "bin"), { recursive: true });
  await writeFile(path.join(folder, "package.json"), '{"private":true}\n');
  const words = ["install", packed, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--include=optional"];
  // PostgreSQL's links are made by whoever starts it first: no script of a package runs here
  await run("npm", [...words, "--os=linux", `--cpu=${machine}`, "--libc=glibc", "--ignore-scripts"], { cwd: folder });
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md"]) {
    await cp(path.join(folder, "node_modules", COMMAND.name, name), path.join(folder, name));
  }
  await symlink(`../node_modules/${COMMAND.name}/bin/xeno`, path.join(folder, "bin/xeno"));
  await rm(path.join(folder, "package.json"));
  await run("tar", [
    "-C",
    work,
    "--owner=0",
    "--group=0",
    "--numeric-owner",
    "--sort=name",
    "-czf",
    path.join(out, `${name}.tar.gz`),
    name,
  ]);
  return `${name}.tar.gz`;
}
