/** Python's library as its documentation's examples and people's scripts use it, module by module: what they print is what the machine's own Python prints. */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";

const XENO = path.resolve("node_modules/.bin/xeno");
const FOLDER = path.resolve("test/world/library");
const scripts = (await readdir(FOLDER)).filter((name) => name.endsWith(".py")).sort();
const isHere = !spawnSync("python3", ["--version"]).error;
if (!isHere) console.warn("SKIPPED: the examples of Python's library need python3");

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-library-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Its standard output, with lines to read on standard input, in a folder of its own. */
async function printed(program: string, ...args: string[]): Promise<string> {
  const cwd = await mkdtemp(path.join(folder, "work-"));
  const running = promisify(execFile)(program, args, { cwd, env: { ...process.env, TZ: "UTC" } });
  running.child.stdin?.end("Bob\nétude\nlast");
  return (await running).stdout;
}

it("are of fifty parts of it", () => expect(scripts.length).toBeGreaterThan(50));

it.skipIf(!isHere).each(scripts)("%s prints what it prints on this machine's own Python", async (name) => {
  const script = path.join(FOLDER, name);
  const expected = await printed("python3", script);
  expect(expected.length).toBeGreaterThan(10);
  expect(await printed(XENO, "run", "--local", "-q", "-i", script)).toBe(expected);
});
