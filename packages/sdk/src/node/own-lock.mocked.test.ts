import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { dropLock, takeLock } from "./own-lock.ts";

/** Called as a holder is asked, before its answer counts. */
const seen = vi.hoisted(() => ({ asks: async (_text: string): Promise<void> => {} }));
vi.mock("./lock-holder.ts", async (original) => {
  const own = await original<typeof import("./lock-holder.ts")>();
  return {
    ...own,
    async whoIsThere(text: string, folder: string) {
      const who = await own.whoIsThere(text, folder);
      await seen.asks(text);
      return who;
    },
  };
});

/** Of no process: above what any kernel gives. */
const DEAD = "4194304999";
const NOBODYS = "0123456789abcdef";
const MODULE = new URL("own-lock.ts", import.meta.url).href;
let folder: string;
let lock: string;
const started: ChildProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-lock-"));
  lock = path.join(folder, "lock");
});
afterEach(async () => {
  seen.asks = async () => {};
  for (const child of started.splice(0)) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

const us = `process ${process.pid}`;

it("is one process's, and the next one's once it is let go, of which nothing stays", async () => {
  expect(await takeLock(lock)).toBeNull();
  expect(await takeLock(lock)).toBe(us);
  await dropLock(lock);
  expect(await readdir(folder)).toEqual([]);
  expect(await takeLock(lock)).toBeNull();
});

it("is one's of many that ask at once", async () => {
  const asked = await Promise.all(Array.from({ length: 20 }, () => takeLock(lock)));
  expect(asked.filter((owner) => owner === null)).toHaveLength(1);
  expect(new Set(asked)).toEqual(new Set([null, us]));
});

it("that a program left which was killed is taken over, also while it cleared another's", async () => {
  for (const each of [lock, `${lock}.clearing`]) await writeFile(each, DEAD);
  expect(await takeLock(lock)).toBeNull();
  expect(await readFile(lock, "utf8")).toMatch(new RegExp(`^${process.pid} [0-9a-f]{16} socket `));
  expect((await readdir(folder)).filter((name) => !name.startsWith("lock-"))).toEqual(["lock"]);
});

it("of an earlier version is its process's, and nobody's where it has this one's id and is not its own", async () => {
  await writeFile(lock, String(process.ppid));
  expect(await takeLock(lock)).toBe(`process ${process.ppid}`);
  await writeFile(lock, String(process.pid));
  expect(await takeLock(lock)).toBeNull();
});

it("is taken from nobody who is just writing who it is, where a file is there before its bytes", async () => {
  await writeFile(lock, "");
  const { mtimeMs } = await stat(lock);
  let looks = 0;
  const looksAgain = Promise.withResolvers<string>();
  const clock = vi.spyOn(Date, "now").mockImplementation(() => {
    if (++looks === 2) looksAgain.resolve("it looks again");
    return mtimeMs;
  });
  const taken = takeLock(lock).finally(() => clock.mockRestore());
  expect(await Promise.race([looksAgain.promise, taken])).toBe("it looks again");
  expect(await readFile(lock, "utf8")).toBe("");
  await writeFile(lock, String(process.ppid));
  expect(await taken).toBe(`process ${process.ppid}`);
});

it("in which nothing stands for long is nobody's", async () => {
  await writeFile(lock, "");
  await utimes(lock, 1_000_000_000, 1_000_000_000);
  expect(await takeLock(lock)).toBeNull();
});

it("of a host before it was started again is nobody's, though its process's id is somebody's now", async () => {
  await writeFile(lock, `${process.ppid} ${NOBODYS} pid of-earlier ${hostname()}`);
  expect(await takeLock(lock)).toBeNull();
});

it.runIf(process.platform === "linux")("of another machine on the same disk stays its own: nobody knows here", async () => {
  for (const its of ["its-boot", "-"]) {
    await writeFile(lock, `12 ${NOBODYS} socket ${its} other-host`);
    expect(await takeLock(lock)).toBe("process 12 of other-host");
  }
});

it("that its holder let go of while it was asked is the next one's, and stays it", async () => {
  const [dead, next] = [`12 ${NOBODYS} socket - ${hostname()}`, String(process.ppid)];
  await writeFile(lock, dead);
  let asked = 0;
  seen.asks = async (text) => {
    if (text === dead && ++asked === 2) await writeFile(lock, next);
  };
  expect(await takeLock(lock)).toBe(`process ${process.ppid}`);
  expect([asked, await readFile(lock, "utf8")]).toEqual([2, next]);
});

it.runIf(process.platform === "linux")("holds in a folder whose name is longer than a socket's may be", async () => {
  const deep = path.join(folder, "d".repeat(120), "lock");
  await mkdir(path.dirname(deep));
  expect(await takeLock(deep)).toBeNull();
  expect(await readFile(deep, "utf8")).toContain(" socket ");
  expect(await takeLock(deep)).toBe(us);
  await dropLock(deep);
  expect(await readdir(path.dirname(deep))).toEqual([]);
});

it.runIf(process.platform === "linux")("is asked for by its process's id where this system takes no socket's name so long", async () => {
  const deep = path.join(folder, "d".repeat(120), "lock");
  await mkdir(path.dirname(deep));
  await writeFile(deep, `${process.ppid} ${NOBODYS} socket - ${hostname()}`);
  const platform = Object.getOwnPropertyDescriptor(process, "platform")!;
  Object.defineProperty(process, "platform", { ...platform, value: "darwin" });
  try {
    expect(await takeLock(deep)).toBe(`process ${process.ppid}`);
  } finally {
    Object.defineProperty(process, "platform", platform);
  }
});

const HOLDS = `
  const { takeLock } = await import(process.argv[1]);
  console.log(JSON.stringify([process.pid, await takeLock(process.argv[2])]));
  process.stdin.resume();
`;
/** As in containers that share a folder: processes are counted anew. */
const APART = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];

/** A program in a container of its own that asks for the lock and stays; its id there, and whose the lock is. */
async function inContainer(): Promise<{ child: ChildProcess; pid: number; owner: string | null }> {
  const child = spawn("unshare", [...APART, process.execPath, "--input-type=module", "-e", HOLDS, MODULE, lock], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  started.push(child);
  for await (const line of createInterface(child.stdout!)) {
    const [pid, owner] = JSON.parse(line) as [number, string | null];
    return { child, pid, owner };
  }
  throw new Error("it ended before it said anything");
}

const hasContainers = await promisify(execFile)("unshare", [...APART, "true"]).then(
  () => true,
  () => false,
);

it.runIf(hasContainers)(
  "is one container's of several whose processes have the same id, and the next one's once that is killed",
  async () => {
    const first = await inContainer();
    expect([first.pid, first.owner]).toEqual([1, null]);
    const second = await inContainer();
    expect([second.pid, second.owner]).toEqual([1, "process 1"]);
    expect(await takeLock(lock)).toBe("process 1");
    const gone = new Promise((resolve) => first.child.once("close", resolve));
    first.child.kill("SIGKILL");
    await gone;
    const third = await inContainer();
    expect([third.pid, third.owner]).toEqual([1, null]);
    expect((await readdir(folder)).filter((name) => name.startsWith("lock-"))).toHaveLength(1);
  },
);
