/** Programs that are begun by shells that waited: as if they were begun as they came. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { isAlive, startTicksOf, type ProcessId } from "./process-id.ts";
import type { Printed } from "./program.ts";
import { ReadyShells } from "./ready-shells.ts";
import { useStarter } from "./use-starter.ts";

const [SOON_MS, NEVER_MS] = [1, 600_000];
const BOUNDS = { timeoutMs: NEVER_MS, maxBuffer: 1_024 };
const MIB = 1024 * 1024;

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).toReversed()) await each.close();
});

async function ready(count = 1): Promise<ReadyShells> {
  const shells = new ReadyShells(count, { PATH: process.env["PATH"], SAID: "so" });
  opened.push(shells);
  await shells.fill();
  return shells;
}

/** It is an error of the test's where none waits. */
async function run(shells: ReadyShells, words: readonly string[], bounds: object = {}): Promise<Printed> {
  const going = shells.run(words, { ...BOUNDS, ...bounds });
  expect(going).not.toBeNull();
  return going!;
}

const failed = (work: Promise<unknown>): Promise<Error & Record<string, unknown>> =>
  work.then(
    () => Promise.reject(new Error("nothing was thrown")),
    (error: Error & Record<string, unknown>) => error,
  );

async function processOf(pid: number): Promise<ProcessId> {
  return { pid, startTicks: (await startTicksOf(pid)) ?? "gone" };
}

describe.each(["this process", "a starter"])("a shell that waited, begun by %s,", (who) => {
  const begun = async (count?: number): Promise<ReadyShells> => {
    if (who !== "this process") opened.push(useStarter(() => {}));
    return ready(count);
  };

  it("becomes the program, with its words as they are, nothing to read and no variables but its own", async () => {
    const words = ["", " a  b ", "'\"$(echo no)`", "\\n", "-e", "..", "*"];
    const { stdout, stderr } = await run(await begun(), [
      "sh",
      "-c",
      'printf "<%s>" "$@"; cat; echo "$SAID$HOME" >&2; exit',
      "sh",
      ...words,
    ]);
    expect({ stdout, stderr }).toEqual({ stdout: words.map((word) => `<${word}>`).join(""), stderr: "so\n" });
  });

  it("is told no word that it could not read, and begins nothing of it then", async () => {
    const shells = await begun();
    for (const word of [".", "a\nb", "a\0b"]) expect(shells.run(["echo", word], BOUNDS)).toBeNull();
    expect((await run(shells, ["echo", "still here"])).stdout).toBe("still here\n");
  });

  it("says how it ended, and what it said", async () => {
    const error = await failed(run(await begun(), ["sh", "-c", "echo out; echo why >&2; exit 3"]));
    expect(error).toMatchObject({ code: 3, signal: null, stdout: "out\n", stderr: "why\n" });
    expect(error.message).toContain("Command failed: sh -c");
    expect(await failed(run(await begun(), ["no-such-program"]))).toMatchObject({
      code: 127,
      stderr: expect.stringContaining("no-such-program"),
    });
  });

  it("has that bound of memory, and none where none is said", async () => {
    const shells = await begun(2);
    const words = ["sh", "-c", "ulimit -d; ulimit -H -d"];
    expect((await run(shells, words, { dataBytesMax: 600 * MIB })).stdout).toBe(`${600 * 1024}\n${600 * 1024}\n`);
    expect((await run(shells, words)).stdout).toBe("unlimited\nunlimited\n");
  });

  it("is ended where it takes too long, prints too much or is not wanted any more", async () => {
    const shells = await begun(4);
    const unwanted = new AbortController();
    const asleep = failed(run(shells, ["sleep", "1000"], { signal: unwanted.signal }));
    unwanted.abort(new Error("nobody wants it"));
    expect(await asleep).toMatchObject({ cause: new Error("nobody wants it") });
    expect(await failed(run(shells, ["echo", "never"], { signal: unwanted.signal }))).toMatchObject({ stdout: "" });
    expect((await failed(run(shells, ["sleep", "1000"], { timeoutMs: SOON_MS }))).cause).toMatchObject({
      message: "it took longer than 1 ms",
    });
    expect((await failed(run(shells, ["yes"]))).cause).toMatchObject({ message: "it printed too much" });
  });

  it("is waited for no longer than that where what it began still has its pipes", async () => {
    const shells = await begun(2);
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-ready-"));
    opened.push({ close: () => rm(folder, { recursive: true }) });
    for (const [at, after] of ["exec sleep 1000", "exit"].entries()) {
      const unwanted = new AbortController();
      const file = path.join(folder, String(at));
      const asleep = failed(run(shells, ["sh", "-c", `sleep 1000 & echo $! >"$1"; ${after}`, "sh", file], { signal: unwanted.signal }));
      const said = (): Promise<string> => readFile(file, "utf8").catch(() => "");
      await until(async () => (await said()).endsWith("\n"));
      const left = await processOf(Number(await said()));
      opened.push({ close: () => process.kill(left.pid, "SIGKILL") });
      unwanted.abort(new Error("nobody wants it"));
      expect(await asleep).toMatchObject({ cause: new Error("nobody wants it") });
    }
  });

  it("is followed by another once it was taken, and by none where none is to wait", async () => {
    const shells = await begun();
    await run(shells, ["true"]);
    expect(shells.run(["true"], BOUNDS)).toBeNull();
    await until(() => shells.pids.length === 1);
    expect((await run(shells, ["echo", "again"])).stdout).toBe("again\n");
  });

  it("that was killed is not taken, and those that wait end with who keeps them", async () => {
    const shells = await begun(2);
    const [first, second] = await Promise.all(shells.pids.map(processOf));
    process.kill(first!.pid, "SIGKILL");
    await until(() => shells.pids.length === 1);
    expect(shells.pids).toEqual([second!.pid]);
    shells.close();
    await until(async () => !(await isAlive(second!)));
    expect(shells.run(["true"], BOUNDS)).toBeNull();
  });
});
