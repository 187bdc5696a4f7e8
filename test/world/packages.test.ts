/**
 * Packages of Python alone, as Debian has them, brought in as people do: a folder or an archive on PYTHONPATH. What a script of theirs
 * prints is what it prints under the machine's own Python with the same folder.
 */
import { execFile, execFileSync, spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
const PYTHON = "/usr/bin/python3";
const FOLDER = path.resolve("test/world/packages");
const NEEDS = /^# Debian: (.+)\n/;

const SCRIPTS = readdirSync(FOLDER)
  .sort()
  .map((name) => {
    const needs = NEEDS.exec(readFileSync(path.join(FOLDER, name), "utf8"))?.[1]?.split(" ") ?? [];
    return { name, needs };
  });
const known = new Set(spawnSync("apt-cache", ["pkgnames", "python3-"], { encoding: "utf8", maxBuffer: 1 << 24 }).stdout?.split("\n"));
const isHere = spawnSync(PYTHON, ["--version"]).status === 0;
const lacking = (needs: readonly string[]): string[] => [...(isHere ? [] : [PYTHON]), ...needs.filter((name) => !known.has(name))];

let folder: string;
beforeAll(() => void (folder = mkdtempSync(path.join(tmpdir(), "xeno-packages-"))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** In one folder, as they lie in Debian's packages; what is compiled there is for this machine alone, and each does without. */
function brought(needs: readonly string[]): string {
  const work = mkdtempSync(path.join(folder, "work-"));
  const [archives, to] = [path.join(work, "archives"), path.join(work, "packages")];
  mkdirSync(archives);
  execFileSync("apt-get", ["download", "-qq", "-o", "APT::Sandbox::User=root", ...needs], { cwd: archives, stdio: "pipe" });
  for (const name of readdirSync(archives)) execFileSync("dpkg-deb", ["-x", name, "unpacked"], { cwd: archives });
  const isWanted = (file: string): boolean => !file.endsWith(".so");
  cpSync(path.join(archives, "unpacked/usr/lib/python3/dist-packages"), to, { recursive: true, dereference: true, filter: isWanted });
  return work;
}

async function printed(cwd: string, command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const own = { ...process.env, TZ: "UTC", PYTHONDONTWRITEBYTECODE: "1", ...env };
  return (await promisify(execFile)(command, args, { cwd, env: own })).stdout;
}

const ours = (script: string, dir: string, on: string): string[] => [
  "run",
  "--local",
  "-q",
  "--mem",
  "1G",
  "--dir",
  dir,
  "--env",
  `PYTHONPATH=${on}`,
  script,
];

describe.each(SCRIPTS)("$name", ({ name, needs }) => {
  const lacks = lacking(needs);
  if (lacks.length > 0) console.warn(`SKIPPED: ${name} needs ${lacks.join(", ")} of Debian's`);
  it.skipIf(lacks.length > 0)("prints what it prints on this machine's own Python", async () => {
    const work = brought(needs);
    const script = path.join(FOLDER, name);
    const expected = await printed(work, PYTHON, ["-s", script], { PYTHONPATH: "packages" });
    expect(expected.length).toBeGreaterThan(10);
    expect(await printed(work, XENO, ours(script, "packages", "/packages"))).toBe(expected);
  });
});

const ZIPPED = ["python3-jinja2", "python3-markupsafe"];
it.skipIf(lacking(ZIPPED).length > 0)("are found in an archive, too", async () => {
  const work = brought(ZIPPED);
  mkdirSync(path.join(work, "libs"));
  await printed(path.join(work, "packages"), PYTHON, ["-m", "zipfile", "-c", "../libs/all.zip", "jinja2", "markupsafe"]);
  const script = path.join(FOLDER, "templates.py");
  const expected = await printed(work, PYTHON, ["-s", script], { PYTHONPATH: "libs/all.zip" });
  expect(await printed(work, XENO, ours(script, "libs", "/libs/all.zip"))).toBe(expected);
});
