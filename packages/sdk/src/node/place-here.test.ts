import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { placeProblem } from "./place-here.ts";

const isRoot = process.getuid?.() === 0;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-place-"));
  await mkdir(path.join(folder, "kept"));
  await writeFile(path.join(folder, "kept/file"), "");
  await symlink("nothing", path.join(folder, "dangling"));
  await symlink("round", path.join(folder, "round"));
  await symlink("kept", path.join(folder, "led"));
  await mkdir(path.join(folder, "closed"));
  await chmod(path.join(folder, "closed"), 0o500);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each([
  ["", null],
  ["kept", null],
  ["led", null],
  ["led/new", null],
  ["new/and/deeper", null],
  ["kept/file", "/kept/file: it is no folder"],
  ["kept/file/below/it", "/kept/file: it is no folder"],
  ["dangling", "/dangling: it is a link to nothing"],
  ["dangling/below", "/dangling: it is a link to nothing"],
  ["round", "/round: it is a link that leads round in a circle"],
  ["n".repeat(300), `/${"n".repeat(300)}: its name is longer than any may be`],
  ["a\0b", "it is no name of a folder"],
])("of %j: %j", async (at, problem) => {
  const before = await readdir(folder, { recursive: true });
  expect((await placeProblem(`${folder}/${at}`))?.replace(folder, "") ?? null).toBe(problem);
  expect(await readdir(folder, { recursive: true })).toEqual(before);
});

it("is told by the kernel itself where a path says nothing of it", async () => {
  expect(await placeProblem("/proc/self/new")).toMatch(/^\/proc\/self: nothing can be made there/);
  if (!isRoot) expect(await placeProblem(`${folder}/closed/new`)).toBe(`${folder}/closed: it may not be written by this user`);
});

it("of a drive that Windows has not: that it is not there", async () => {
  expect(await placeProblem("Q:\\results\\new", path.win32)).toBe("Q:\\: it is not there");
  expect(await placeProblem("\\\\nobody\\share\\new", path.win32)).toBe("\\\\nobody\\share\\: it is not there");
});
