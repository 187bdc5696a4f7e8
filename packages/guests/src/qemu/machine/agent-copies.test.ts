/** What a customer asks of a copy, and what a guest makes of it that means harm or is slow. The guest's own script runs in test/vm, too. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, readdir, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Duplex } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { until } from "../../../../../test/until.ts";
import { AgentCopies } from "./agent-copies.ts";

const b64 = (text: string): string => Buffer.from(text).toString("base64");

/** `takes`: of what is written, before it takes no more; `end`: how its shell ends then, or when all is there. */
function guest({ isReady = true, takes = Number.POSITIVE_INFINITY, end = { exitcode: 0, "err-data": "" } } = {}) {
  const heard: string[] = [];
  let [given, bytesWanted, bytes, isOver, isKnown] = [0, 0, 0, false, true];
  const socket = new Duplex({
    read: () => {},
    write(part: Buffer, _, done) {
      if (bytes + part.length > takes) return; // nobody reads it
      heard.push(part.toString());
      if (heard.length > 1) bytes += part.length;
      if (bytes >= bytesWanted) isOver = true;
      done();
    },
  });
  const ask = async (command: string, args: Record<string, unknown> | (() => Record<string, unknown>)): Promise<unknown> => {
    if (!isKnown) throw new Error("PID 7 does not exist");
    if (command === "guest-exec-status") return isOver ? { exited: true, ...end } : { exited: false };
    const [, , , name, token, size] = (args as { arg: string[] }).arg;
    expect(name).toBe("xeno.shell0");
    bytesWanted = Number(size);
    if (isReady) socket.push(`stale bytes of another ${token}\n`);
    else isOver = true;
    return { pid: 7 };
  };
  const give = (): void => {
    given++;
    socket.destroy();
  };
  const copies = new AgentCopies({ ask }, async () => ({ name: "xeno.shell0", socket, give }), 200);
  const say = (name: string, args: Record<string, unknown>): Promise<unknown> => copies.command(`guest-copy-${name}`)!(args);
  return { say, copies, heard, given: () => given, socket, over: () => (isOver = true), forget: () => (isKnown = false) };
}
const WHOLE = { path: "/x", bytes: 6, mode: "644" };

it("goes as it is behind the word that the guest waits for, and the port is free again", async () => {
  const { say, heard, given } = guest();
  const copy = await say("open", WHOLE);
  await Promise.all([say("write", { copy, "buf-b64": b64("abc") }), say("write", { copy, "buf-b64": b64("def") })]);
  await say("close", { copy });
  expect(heard.slice(1)).toEqual(["abc", "def"]);
  expect(heard[0]).toMatch(/^[0-9a-f]{32}\n$/);
  expect(given()).toBe(1);
  await expect(say("write", { copy, "buf-b64": b64("g") })).rejects.toThrow("no such copy");
});

it("is none of fewer bytes than were said, nor of more, and gives its port back", async () => {
  const { say, given } = guest();
  const copy = await say("open", WHOLE);
  await expect(say("write", { copy, "buf-b64": b64("abcdefg") })).rejects.toThrow("more bytes than were said");
  await say("write", { copy, "buf-b64": b64("abc") });
  await expect(say("close", { copy })).rejects.toThrow("fewer bytes than were said");
  expect(given()).toBe(1);
});

it.each([
  { ...WHOLE, path: "x" },
  { ...WHOLE, path: "/a\0b" },
  { ...WHOLE, path: `/${"x".repeat(5000)}` },
  { ...WHOLE, mode: "u+s" },
  { ...WHOLE, bytes: -1 },
  { ...WHOLE, bytes: "6; reboot" },
  {},
])("of nonsense is refused before the guest hears of it: %j", async (wanted) => {
  const { say, given } = guest();
  await expect(say("open", wanted)).rejects.toThrow("that is no copy");
  expect(given()).toBe(0);
});

it("is refused by what the guest's shell says, for whoever asked to take another way", async () => {
  const { say, given } = guest({ isReady: false, end: { exitcode: 1, "err-data": b64("no head\n") } });
  await expect(say("open", WHOLE)).rejects.toThrow(/^no head$/);
  expect(given()).toBe(1);
});

it("into a guest that takes no more ends by itself", async () => {
  const { say, given } = guest({ takes: 40 });
  const copy = await say("open", { ...WHOLE, bytes: 100 });
  await say("write", { copy, "buf-b64": b64("abc") });
  await expect(say("write", { copy, "buf-b64": b64("d".repeat(90)) })).rejects.toThrow("takes nothing for 200 ms");
  expect(given()).toBe(1);
});

it("says why where the guest shuts its end half-way, as one whose disk is full does", async () => {
  const { say, socket, over } = guest({ end: { exitcode: 1, "err-data": b64("head: No space left on device\n") } });
  const copy = await say("open", WHOLE);
  await say("write", { copy, "buf-b64": b64("abc") });
  over();
  socket.destroy();
  await expect(say("write", { copy, "buf-b64": b64("de") })).rejects.toThrow("No space left on device");
});

it("whose agent began anew half-way is refused in its words, and gives its port back", async () => {
  const { say, socket, forget, given } = guest();
  const copy = await say("open", WHOLE);
  await say("write", { copy, "buf-b64": b64("abc") });
  forget();
  socket.destroy();
  await expect(say("write", { copy, "buf-b64": b64("de") })).rejects.toThrow("PID 7 does not exist");
  expect(given()).toBe(1);
});

it("reads nothing more of a guest that has said its word, nor of one that says much and not the word", async () => {
  const { say, socket } = guest();
  await say("open", WHOLE);
  socket.push("more of it");
  expect([socket.isPaused(), socket.readableLength]).toEqual([true, 10]);
  const loud = guest({ isReady: false });
  const [piece, pieces] = [Buffer.alloc(1024 * 1024, "x"), 80];
  for (let i = 0; i < pieces; i++) loud.socket.push(piece);
  await expect(loud.say("open", WHOLE)).rejects.toThrow("does not take it");
  expect([loud.socket.isPaused(), loud.socket.readableLength > 0]).toEqual([true, true]);
});

it("warns nobody where a customer has as many pieces under way as it may", async () => {
  const warned: string[] = [];
  const hear = ({ name }: Error): void => void warned.push(name);
  process.on("warning", hear);
  onTestFinished(() => void process.off("warning", hear));
  const { say } = guest();
  const copy = await say("open", { ...WHOLE, bytes: 16 });
  await Promise.all(Array.from({ length: 16 }, () => say("write", { copy, "buf-b64": b64("a") })));
  await new Promise((resolve) => setImmediate(resolve));
  expect(warned).toEqual([]);
});

/** The guest's script by this machine's shell, with a pipe in the port's place, a file for its word, and no program but those that it asks for. */
async function script(bytes: number) {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-copy-script-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [ports, dev, bin, there] = ["ports/vport0p1", "dev", "bin", "there"].map((name) => path.join(folder, name));
  for (const each of [ports, dev, bin, there]) await mkdir(each!, { recursive: true });
  await writeFile(path.join(ports!, "name"), "xeno.shell0\n");
  execFileSync("mkfifo", [path.join(dev!, "vport0p1")]);
  for (const each of ["head", "ls", "mv", "chmod", "rm"])
    await symlink(execFileSync("sh", ["-c", `command -v ${each}`], { encoding: "utf8" }).trim(), path.join(bin!, each));
  let words: string[] = [];
  const ask = async (_: string, args: Record<string, unknown> | (() => Record<string, unknown>)): Promise<unknown> => {
    words = (args as { arg: string[] }).arg;
    throw new Error("heard");
  };
  const socket = new Duplex({ read: () => {} });
  const copies = new AgentCopies({ ask }, async () => ({ name: "xeno.shell0", socket, give: () => {} }));
  const file = path.join(there!, "a file");
  await expect(copies.command("guest-copy-open")!({ path: file, bytes, mode: "640" })).rejects.toThrow("heard");
  const said = path.join(folder, "said");
  words[1] = words[1]!
    .replaceAll("/sys/class/virtio-ports", path.dirname(ports!))
    .replaceAll("=/dev/", `=${dev}/`)
    .replace('echo "$2" >&3', `echo "$2" >'${said}'`);
  const shell = spawn("/bin/sh", words, { env: { PATH: bin! }, stdio: ["ignore", "ignore", "pipe"], detached: true });
  onTestFinished(() => void shell.kill("SIGKILL"));
  const ended = once(shell, "exit");
  let why = "";
  shell.stderr.on("data", (part: Buffer) => (why += part.toString()));
  await until(() => shell.exitCode !== null || (existsSync(said) && readFileSync(said).length > 0));
  if (shell.exitCode !== null) throw new Error(why);
  return { shell, ended, file, there: there!, port: path.join(dev!, "vport0p1"), token: words[4]! };
}

it("is counted in the guest without being read again, gets its mode and its name", async () => {
  const { ended, file, there, port, token } = await script(70_000);
  const pipe = await open(port, "r+");
  await pipe.writeFile(`left of others\n${token}\n${"y".repeat(70_000)}`);
  expect(await ended).toEqual([0, null]);
  await pipe.close();
  expect((await readFile(file)).equals(Buffer.alloc(70_000, "y"))).toBe(true);
  expect([(await stat(file)).mode & 0o777, await readdir(there)]).toEqual([0o640, ["a file"]]);
});

it("leaves nothing in a guest that is shut down half-way", async () => {
  const { shell, ended, there } = await script(70_000);
  process.kill(-shell.pid!, "SIGTERM");
  await ended;
  expect(await readdir(there)).toEqual([]);
});

it("ends with the machine", async () => {
  const { say, copies, given } = guest();
  const copy = await say("open", WHOLE);
  copies.close();
  expect(given()).toBe(1);
  await expect(say("close", { copy })).rejects.toThrow("no such copy");
});

it("has no word in what the agent itself is asked", () => {
  const { copies } = guest();
  expect(copies.command("guest-file-write")).toBeNull();
  expect(copies.command("guest-ping")).toBeNull();
});
