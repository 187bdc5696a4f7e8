import { spawn } from "node:child_process";
import { once } from "node:events";
import { access, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { expect, it } from "vitest";
import { scratch } from "./scratch.ts";

const MODULE = JSON.stringify(path.join(import.meta.dirname, "scratch.ts"));
const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

/** A program that has a folder, says its name and does `then` until it is told to end. */
async function program(then: string) {
  const script = `const { scratch } = await import(${MODULE}); const { folder, remove } = await scratch("test"); console.log(folder); ${then}`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const folder = (await lines.next()).value as string;
  return { child, folder, ended, said: () => lines.next() };
}

it("is gone when it is removed, twice too", async () => {
  const { folder, remove } = await scratch("test");
  await writeFile(path.join(folder, "a"), "");
  await remove();
  await remove();
  expect(await isThere(folder)).toBe(false);
});

it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("is gone when %s ends the program, which ends by that signal", async (signal) => {
  const { child, folder, ended } = await program("process.stdin.resume();");
  expect(await isThere(folder)).toBe(true);
  child.kill(signal);
  expect(await ended).toEqual([null, signal]);
  expect(await isThere(folder)).toBe(false);
});

it("is gone with all others when a signal ends the program", async () => {
  const { child, folder, ended, said } = await program(`console.log((await scratch("other")).folder); process.stdin.resume();`);
  const other = (await said()).value as string;
  child.kill("SIGTERM");
  expect(await ended).toEqual([null, "SIGTERM"]);
  expect([await isThere(folder), await isThere(other)]).toEqual([false, false]);
});

it("is gone when the program exits in the midst of it", async () => {
  const { folder, ended } = await program("process.exit(3);");
  expect(await ended).toEqual([3, null]);
  expect(await isThere(folder)).toBe(false);
});

it("is left to whoever listens to the signal", async () => {
  const { child, ended, said } = await program(
    `const { access } = await import("node:fs/promises"); process.stdin.resume();
     process.on("SIGTERM", () => void access(folder).then(remove).then(() => process.exit(4), () => process.exit(5)));
     console.log("listens");`,
  );
  await said();
  child.kill("SIGTERM");
  expect(await ended).toEqual([4, null]);
});
