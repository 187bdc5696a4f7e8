/** Ten scripts as people have them for a day's work (those of `npm run bench -- world`), beside the machine's own Python. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
const FOLDER = path.resolve("bench/world");
const scripts = (await readdir(FOLDER)).filter((name) => name.endsWith(".py")).sort();
const isHere = !spawnSync("python3", ["--version"]).error;
if (!isHere) console.warn("SKIPPED: the scripts of a day need python3");

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-scripts-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

async function printed(program: string, ...args: string[]): Promise<string> {
  const cwd = await mkdtemp(path.join(folder, "work-"));
  return (await promisify(execFile)(program, args, { cwd })).stdout;
}

it("are ten", () => expect(scripts).toHaveLength(10));

it.skipIf(!isHere).each(scripts)("%s prints what it prints on this machine's own Python", async (name) => {
  const script = path.join(FOLDER, name);
  const expected = await printed("python3", script);
  expect(expected.length).toBeGreaterThan(20);
  expect(await printed(XENO, "run", "--local", "-q", script)).toBe(expected);
});
