/** A job on this machine is nobody's once its command is gone: it ends with it, however that ended. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";

const XENO = path.resolve("packages/cli/bin/xeno.js");
const FOR_EVER = "while True:\n    print('on', flush=True)\n";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-local-ends-"));
  await writeFile(path.join(folder, "on.py"), FOR_EVER);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Processes of guests: each names the folder that its walls lie in. */
async function guests(): Promise<string[]> {
  const words = async (pid: string): Promise<string> => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  const found = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(found.map(async (pid) => ((await words(pid)).includes(path.join(folder, "home/data")) ? [pid] : [])));
  return all.flat();
}

/** One that prints already. */
async function running(): Promise<ChildProcess> {
  const env = { ...process.env, XENO_HOME: path.join(folder, "home") };
  const child = spawn(process.execPath, [XENO, "run", "--local", "-q", path.join(folder, "on.py")], {
    env,
    stdio: ["ignore", "pipe", "ignore"],
  });
  await once(child.stdout!, "data");
  expect(await guests()).not.toEqual([]);
  return child;
}

it.each([
  ["SIGKILL", null],
  ["SIGHUP", null],
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("ends with a command that %s ended", async (signal, code) => {
  const child = await running();
  child.stdout!.resume();
  const gone = once(child, "exit");
  child.kill(signal);
  expect(await gone).toEqual(code === null ? [null, signal] : [code, null]);
  await until(async () => (await guests()).length === 0);
});

it("ends with a command whose reader has had enough", async () => {
  const child = await running();
  const gone = once(child, "exit");
  child.stdout!.destroy();
  expect(await gone).toEqual([141, null]);
  await until(async () => (await guests()).length === 0);
});
