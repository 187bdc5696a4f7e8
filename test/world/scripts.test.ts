/**
 * Ten scripts as people have them for a day's work (those of `npm run bench -- world`), beside the machine's own Python, and beside what
 * that bench measures them beside.
 */
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonRuntime } from "@xenoservers/guests";
import { placeSupport, scriptPeer } from "../../bench/lib/script-peer.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
const FOLDER = path.resolve("bench/world");
const scripts = (await readdir(FOLDER)).filter((name) => name.endsWith(".py")).sort();
const isHere = !spawnSync("python3", ["--version"]).error;
if (!isHere) console.warn("SKIPPED: the scripts of a day need python3");

let folder: string;
let support: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-scripts-"));
  support = await placeSupport(path.join(folder, "support"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function printed(program: string, ...args: string[]): Promise<string> {
  const cwd = await mkdtemp(path.join(folder, "work-"));
  return (await promisify(execFile)(program, args, { cwd })).stdout;
}

const ours = (name: string): Promise<string> => printed(XENO, "run", "--local", "-q", path.join(FOLDER, name));

it("are ten", () => expect(scripts).toHaveLength(10));

it.skipIf(!isHere).each(scripts)("%s prints what it prints on this machine's own Python", async (name) => {
  const script = path.join(FOLDER, name);
  const expected = await printed("python3", script);
  expect(expected.length).toBeGreaterThan(20);
  expect(await ours(name)).toBe(expected);
});

it.each(scripts)("%s prints what it prints on the Python that the bench measures it beside", async (name) => {
  const { file } = await pythonRuntime();
  expect(await ours(name)).toBe(await printed(...scriptPeer(file, path.join(FOLDER, name), support)));
});
