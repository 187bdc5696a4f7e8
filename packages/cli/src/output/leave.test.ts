import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const SOURCE = path.join(import.meta.dirname, "..");
const LEAVE = JSON.stringify(path.join(SOURCE, "output/leave.ts"));
const MAIN = JSON.stringify(path.join(SOURCE, "main.ts"));
const BYTES = 3_000_000;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-leave-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** It says by a message what it has come to. */
function program(source: string, stdout: "pipe" | number = "pipe") {
  const args = ["--no-warnings", "--input-type=module", "-e", source];
  return spawn(process.execPath, args, { env: { ...process.env, XENO_HOME: folder }, stdio: ["ignore", stdout, "pipe", "ipc"] });
}
const ended = async (child: ReturnType<typeof program>): Promise<number | null> => Number((await once(child, "close"))[0]);

describe("output", () => {
  it.each(["stdout", "stderr"] as const)(
    "on %s is all there for a reader that begins when the program has ended its work",
    async (stream) => {
      const child = program(`import { leave } from ${LEAVE};
      process.${stream}.write("x".repeat(${BYTES})); process.exitCode = 3; void leave(); process.send("leaving");`);
      await once(child, "message");
      const end = ended(child);
      expect((await text(child[stream]!)).length).toBe(BYTES);
      expect(await end).toBe(3);
    },
  );

  it("of a job that a caller's error follows is all there, and the error behind it", async () => {
    const child = program(`import { watchOver } from ${LEAVE};
      watchOver(async (error) => (console.error("error:", error.message), 125)); process.stdout.write("x".repeat(${BYTES}));
      setImmediate(() => { process.send("failing"); throw new Error("a bug"); });`);
    await once(child, "message");
    const [out, err, code] = await Promise.all([text(child.stdout!), text(child.stderr!), ended(child)]);
    expect([out.length, code]).toEqual([BYTES, 125]);
    expect(err).toMatch(/^error: a bug\n/);
    expect(err).not.toMatch(/^ +at /m);
  });

  it("that its reader had enough of ends it, quietly, as shells count it", async () => {
    const child = program(`import { watchOver } from ${LEAVE};
      watchOver(async (error) => (console.error("error:", error.message), 125)); process.on("message", () => process.stdout.write("x".repeat(${BYTES}))); process.send("ready");`);
    await once(child, "message");
    child.stdout!.destroy();
    child.send("write");
    expect([await text(child.stderr!), await ended(child)]).toEqual(["", 141]);
  });

  it("that another program wrote in its place is not looked for: its reader may be gone", async () => {
    const child = program(`import { leave, watchOver } from ${LEAVE};
      watchOver(async () => 125); process.on("message", () => void leave()); process.exitCode = 0; process.send("ready");`);
    await once(child, "message");
    child.stdout!.destroy();
    child.send("leave");
    expect([await text(child.stderr!), await ended(child)]).toEqual(["", 0]);
  });

  it("that its reader had enough of is told to who has something to end first, once, and the code is the same", async () => {
    const child = program(`import { watchOver, onReaderGone, leave } from ${LEAVE};
      watchOver(async () => 125); const done = onReaderGone(() => { process.stdout.write("more", () => setImmediate(() => {
        console.error("ended its own"); done(); process.exitCode = 130; void leave(); })); });
      process.on("message", () => process.stdout.write("x".repeat(${BYTES}))); process.send("ready");`);
    await once(child, "message");
    child.stdout!.destroy();
    child.send("write");
    expect([await text(child.stderr!), await ended(child)]).toEqual(["ended its own\n", 141]);
  });

  it.each([
    [
      "is left to who listens for the signal that says so",
      'process.on("SIGHUP", () => (console.error("told"), process.exit(129)));',
      "told\n",
      129,
    ],
    ["ends it where nobody does", "", "error: the output could not be written: write EIO\n", 125],
  ])("on a terminal that has gone %s", async (_, listens, says, code) => {
    const child = program(`import { watchOver } from ${LEAVE};
      watchOver(async (error) => (console.error("error:", error.message), 125)); process.stdout.isTTY = true; ${listens}
      process.stdout.emit("error", Object.assign(new Error("write EIO"), { code: "EIO" }));
      process.on("message", () => process.kill(process.pid, "SIGHUP")); setImmediate(() => process.send("written"));`);
    if (code === 129) void once(child, "message").then(() => child.send("hang up"));
    expect([await text(child.stderr!), await ended(child)]).toEqual([says, code]);
  });

  it("goes on where only the errors' reader went", async () => {
    const child =
      program(`import { watchOver, leave } from ${LEAVE}; watchOver(async (error) => (console.error("error:", error.message), 125)); process.on("message", () => {
      process.stderr.write("x".repeat(${BYTES}), () => { process.stdout.write("all of it"); void leave(); }); }); process.send("ready");`);
    await once(child, "message");
    child.stderr!.destroy();
    child.send("write");
    expect([await text(child.stdout!), await ended(child)]).toEqual(["all of it", 0]);
  });

  it.each(["version", "--version"])("that has no room is an error in words, of %s too", async (word) => {
    const full = await open("/dev/full", "w");
    const child = program(`import { main } from ${MAIN}; await main(["${word}"]);`, full.fd);
    const [said, code] = await Promise.all([text(child.stderr!), ended(child)]).finally(() => full.close());
    expect(said).toMatch(
      /^error: the output could not be written: ENOSPC: no space left on device.*\n {2}look at where standard output goes.*\n$/,
    );
    expect(code).toBe(125);
  });
});

it("nothing but the end of the program ends it", async () => {
  const files = (await readdir(SOURCE, { recursive: true })).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const exits: string[] = [];
  for (const file of files)
    if (/process\s*\.\s*(exit|abort|reallyExit)\(/.test(await readFile(path.join(SOURCE, file), "utf8"))) exits.push(file);
  expect(exits).toEqual(["output/leave.ts"]);
});
