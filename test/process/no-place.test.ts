/** A folder that takes nothing is told at once by whatever program of an owner or operator is to keep something there. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { command } from "./command.ts";

let home: string;
let file: string;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), "xeno-no-place-"));
  file = path.join(home, "file");
  await writeFile(file, "");
});
afterAll(() => rm(home, { recursive: true, force: true }));

/** Node's own way of making a folder never comes back where a folder above is there and takes none. */
const NOWHERE = "/proc/xeno";

it.each([
  [["serve", "--data", NOWHERE, "--enrol", "xeno-enrol-x"]],
  [["serve", "--data", NOWHERE, "--install"]],
  [["broker", "--data", NOWHERE, "--port", "0"]],
  [["broker", "--port", "0", "--archive", NOWHERE]],
])("%j", async (words) => {
  const { code, stderr } = await command(home, ...words);
  expect([code, stderr]).toEqual([
    125,
    expect.stringMatching(/^error: nothing can be kept in \/proc\/xeno \(\/proc: nothing can be made there\)/),
  ]);
});

it.each([
  [["serve", "--enrol", "xeno-enrol-x"], "--data"],
  [["broker", "--port", "0"], "--data"],
])("%j in a file", async (words, option) => {
  const { code, stderr } = await command(home, ...words, option, file);
  expect([code, stderr]).toEqual([125, expect.stringContaining(`nothing can be kept in ${file} (${file}: it is no folder)`)]);
});

it.each([[["serve", "--check"]], [["broker", "--port", "0"]]])("%j with a folder for its settings", async (words) => {
  const { code, stderr } = await command(home, ...words, "--config", home);
  expect([code, stderr]).toEqual([125, expect.stringContaining(`${home} cannot be read: it is a folder: name the file in it`)]);
});

it("a complaint is not answered by the records of a machine that there is not", async () => {
  const { code, stdout, stderr } = await command(home, "abuse", "trace", "203.0.113.7:443", "--data", path.join(home, "elsewhere"));
  expect([code, stdout, stderr]).toEqual([
    125,
    "",
    `error: no xenoserver keeps its data in ${home}/elsewhere: name its folder with --data\n`,
  ]);
});
