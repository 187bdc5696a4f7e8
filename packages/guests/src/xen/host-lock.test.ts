/** One server for one host: the lock goes with who has it, however that ends. */
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { lockHost } from "./host-lock.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-lock-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it("is had by one, and by the next when that one lets go", async () => {
  const file = path.join(folder, "lock");
  const lock = await lockHost(file, 0);
  await expect(lockHost(file, 0)).rejects.toThrow("another xenoserver leases this host's domains");
  await lock.release();
  await (await lockHost(file, 0)).release();
});

it("goes with a daemon that is killed", async () => {
  const file = path.join(folder, "lock");
  const script = `const { lockHost } = await import(${JSON.stringify(path.join(import.meta.dirname, "host-lock.ts"))});
    await lockHost(${JSON.stringify(file)}, 0); console.log("locked"); process.stdin.resume();`;
  const daemon = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => daemon.stdout.once("data", resolve));
  await expect(lockHost(file, 0)).rejects.toThrow("another xenoserver");
  daemon.kill("SIGKILL");
  await (await lockHost(file, 60)).release();
});

it("is not had where it cannot be made", async () => {
  await expect(lockHost(path.join(folder, "nowhere", "lock"), 0)).rejects.toThrow("cannot be locked");
});
