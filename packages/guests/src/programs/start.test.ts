import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { until } from "../../../../test/until.ts";
import type { ToStarter } from "./messages.ts";
import { isAlive, startTicksOf } from "./process-id.ts";
import type { Program } from "./program.ts";
import { run, start, starterPid } from "./start.ts";
import { StarterLink } from "./starter-link.ts";
import { PATIENCE } from "./starter-pulse.ts";
import { useStarter } from "./use-starter.ts";

const SOON_MS = 20;

let folder = "";
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-start-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

/** All that comes, once it is at its end. */
async function allOf(program: Program, at: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of program.stdio[at]!) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const shell = (script: string, stdio: Parameters<typeof start>[2]["stdio"], more: object = {}): Promise<Program> =>
  start("sh", ["-c", script], { stdio, ...more });

/** What a file says once it is there. */
async function written(file: string): Promise<string> {
  await until(() => existsSync(file));
  return readFile(file, "utf8");
}

const faultOf = (work: Promise<unknown>): Promise<NodeJS.ErrnoException & Record<string, unknown>> =>
  work.then(
    () => Promise.reject(new Error("nothing was thrown")),
    (error: NodeJS.ErrnoException & Record<string, unknown>) => error,
  );

describe.each(["this process", "a starter"])("programs that %s starts", (who) => {
  let close: (() => Promise<void>) | null = null;
  const said: string[] = [];
  beforeAll(async () => {
    if (who === "this process") return expect(await starterPid()).toBeNull();
    ({ close } = useStarter((why) => said.push(why)));
    expect(await starterPid()).not.toBe(process.pid);
  });
  afterAll(async () => {
    await close?.();
    expect(said).toEqual([]);
  });

  it("are its children", async () => {
    const { stdout } = await run("sh", ["-c", "echo $PPID"]);
    expect(Number(stdout)).toBe((await starterPid()) ?? process.pid);
  });

  it("say what they print, and how they end", async () => {
    expect(await run("sh", ["-c", "echo out; echo err >&2"])).toEqual({ stdout: "out\n", stderr: "err\n" });
    expect(await faultOf(run("sh", ["-c", "echo out; echo err >&2; exit 3"]))).toMatchObject({
      ...{
        code: 3,
        killed: false,
        signal: null,
        stdout: "out\n",
        stderr: "err\n",
        message: expect.stringContaining("Command failed: sh -c"),
      },
    });
    expect(await faultOf(run("sh", ["-c", "kill -9 $$"]))).toMatchObject({ code: null, signal: "SIGKILL" });
  });

  it("read nothing where nobody writes to them", async () => {
    expect(await run("cat")).toEqual({ stdout: "", stderr: "" });
  });

  it("are bounded in time and in what they print, and can be called off", async () => {
    const late = await faultOf(run("sleep", ["600"], { timeout: SOON_MS, killSignal: "SIGKILL" }));
    expect(late).toMatchObject({ killed: true, signal: "SIGKILL" });
    const much = await faultOf(run("yes", [], { maxBuffer: 1_000 }));
    expect(much).toMatchObject({ code: "ERR_CHILD_PROCESS_STDIO_MAXBUFFER", message: "stdout maxBuffer length exceeded" });
    expect(much["stdout"]).toHaveLength(1_000);
    const off = new AbortController();
    const pidFile = path.join(folder, `pid-${randomBytes(4).toString("hex")}`);
    const going = faultOf(
      run("sh", ["-c", `echo $$ > ${pidFile}.part; mv ${pidFile}.part ${pidFile}; exec sleep 600`], { signal: off.signal }),
    );
    const pid = Number(await written(pidFile));
    off.abort(new Error("not wanted"));
    expect(await going).toMatchObject({ name: "AbortError", code: "ABORT_ERR", cause: new Error("not wanted") });
    await until(async () => (await startTicksOf(pid)) === null);
    expect(await faultOf(run("true", [], { signal: off.signal }))).toMatchObject({ name: "AbortError" });
  });

  it("print as much as they may, several at once", async () => {
    const printing = (millions: number): Promise<number> =>
      run("head", ["-c", `${millions}000000`, "/dev/zero"], { maxBuffer: 64 * 1024 * 1024 }).then(({ stdout }) => stdout.length);
    expect(await printing(60)).toBe(60_000_000);
    expect(await Promise.all(Array.from({ length: 16 }, () => printing(1)))).toEqual(Array(16).fill(1_000_000));
  });

  it("fail to start as node:child_process says it", async () => {
    const file = path.join(folder, "no-program");
    await writeFile(file, "", { mode: 0o600 });
    const facts = { syscall: "spawn no-such-program", path: "no-such-program", spawnargs: ["a"] };
    for (const each of [run("no-such-program", ["a"]), start("no-such-program", ["a"], { stdio: [] })])
      expect(await faultOf(each)).toMatchObject({ code: "ENOENT", errno: -2, message: "spawn no-such-program ENOENT", ...facts });
    for (const each of [run(file), start(file, [], { stdio: ["pipe"] })]) expect(await faultOf(each)).toMatchObject({ code: "EACCES" });
    for (const length of [200_000, 10_000_000])
      for (const each of [run("true", ["x".repeat(length)]), start("true", ["x".repeat(length)], { stdio: ["pipe"] })])
        expect(await faultOf(each)).toMatchObject({ code: "E2BIG", message: "spawn E2BIG" });
    expect(await faultOf(start("true", [], { stdio: [], cwd: path.join(folder, "nowhere") }))).toMatchObject({ code: "ENOENT" });
    expect(await faultOf(start("true", [], { stdio: ["pipe", { file: folder, flags: "w" }] }))).toMatchObject({ code: "EISDIR" });
  });

  it("have the folder, the variables, the name, the user and the group that they are given", async () => {
    const env = { PATH: "/usr/bin:/bin", A: "1 \u00e9\n" };
    expect(
      (await run("sh", ["-c", 'pwd; printf %s "$A"; env | sort | grep -v ^_= | grep -v PWD | wc -l'], { cwd: "/", env })).stdout,
    ).toMatch(/^\/\n1 \u00e9\n *3\n$/);
    expect((await run("sh", ["-c", 'echo "$HOME"'])).stdout.trim()).toBe(process.env["HOME"] ?? "");
    const another = await shell("tr '\\0' ' ' < /proc/$$/cmdline", ["ignore", "pipe"], { argv0: "another" });
    expect((await allOf(another, 1)).toString()).toMatch(/^another -c/);
    if (process.getuid?.() === 0) expect((await run("id", ["-u"], { uid: 12_345, gid: 12_345 })).stdout).toBe("12345\n");
    const groupOf = async (detached: boolean): Promise<[pid: number, group: number]> => {
      const program = await shell("ps -o pgid= -p $$; exit 7", ["ignore", "pipe"], { detached });
      const group = Number((await allOf(program, 1)).toString());
      expect(await program.exited).toEqual({ code: 7, signal: null });
      return [program.pid, group];
    };
    const [leader, own] = await groupOf(true);
    expect(own).toBe(leader);
    expect((await groupOf(false))[1]).toBe(Number((await run("ps", ["-o", "pgid=", "-p", String(process.pid)])).stdout));
  });

  it("lose nothing of what comes at once, nor of ten million bytes both ways", async () => {
    const at = await shell("printf at-once", ["ignore", "pipe"]);
    expect((await allOf(at, 1)).toString()).toBe("at-once");
    const sent = randomBytes(10_000_000);
    const cat = await start("cat", [], { stdio: ["pipe", "pipe", "ignore"] });
    cat.stdio[0]!.end(sent);
    expect((await allOf(cat, 1)).equals(sent)).toBe(true);
    expect(await cat.exited).toEqual({ code: 0, signal: null });
  });

  it("wait for what they write where nobody reads yet, at any descriptor, and for what they read", async () => {
    const program = await shell("head -c 3000000 /dev/zero >&3; cat <&4 >&5", ["ignore", "ignore", "ignore", "pipe", "pipe", "pipe"]);
    expect((await once(program.stdio[3]!, "readable").then(() => program.stdio[3]!.readableLength)) > 0).toBe(true);
    let read = 0;
    while (read < 3_000_000) read += ((program.stdio[3]!.read() ?? (await once(program.stdio[3]!, "readable"), "")) as Buffer).length;
    expect(read).toBe(3_000_000);
    program.stdio[4]!.end("typed");
    expect((await allOf(program, 5)).toString()).toBe("typed");
    expect(await program.exited).toEqual({ code: 0, signal: null });
  });

  it("write to files that were opened for them, one of them at two descriptors", async () => {
    const log = { file: path.join(folder, `${who}.log`), flags: "w", mode: 0o600 };
    const { exited } = await shell("echo one; echo two >&2; echo three", ["ignore", log, log]);
    await exited;
    expect(await readFile(log.file, "utf8")).toBe("one\ntwo\nthree\n");
    expect(await faultOf(shell("true", ["ignore", { ...log, flags: "wx" }]))).toMatchObject({ code: "EEXIST" });
  });

  it("have nothing open but what they are given", async () => {
    const { stdout } = await run("sh", ["-c", "ls /proc/$$/fd"]);
    expect(
      stdout
        .trim()
        .split("\n")
        .filter((fd) => Number(fd) < 10),
    ).toEqual(["0", "1", "2"]);
    const program = await shell("ls /proc/$$/fd", ["ignore", "pipe", "ignore"]);
    expect(
      (await allOf(program, 1))
        .toString()
        .trim()
        .split("\n")
        .filter((fd) => Number(fd) < 10),
    ).toEqual(["0", "1", "2"]);
  });

  it("are ended by a signal, alone or with their group, and by none once they have ended", async () => {
    const alone = await start("sleep", ["600"], { stdio: [] });
    alone.kill("SIGTERM");
    expect(await alone.exited).toEqual({ code: null, signal: "SIGTERM" });
    alone.kill("SIGKILL");
    const group = await shell("sleep 600 & echo $!; wait", ["ignore", "pipe"], { detached: true });
    const [bytes] = (await once(group.stdio[1]!, "data")) as [Buffer];
    group.kill("SIGKILL", true);
    expect(await group.exited).toEqual({ code: null, signal: "SIGKILL" });
    await until(async () => (await startTicksOf(Number(bytes.toString()))) === null);
  });

  it("start 200 at a time, each with what is its own", async () => {
    const each = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const program = await start("cat", [], { stdio: ["pipe", "pipe", "pipe"] });
        program.stdio[0]!.end(String(i));
        const came = (await allOf(program, 1)).toString();
        return [came, (await program.exited).code];
      }),
    );
    expect(each).toEqual(Array.from({ length: 200 }, (_, i) => [String(i), 0]));
    const ran = await Promise.all(Array.from({ length: 50 }, (_, i) => run("echo", [String(i)])));
    expect(ran.map(({ stdout }) => Number(stdout))).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });
});

describe("a starter that is killed", () => {
  let close: () => Promise<void>;
  beforeAll(() => void ({ close } = useStarter((why) => expect(why).toBe(""))));
  afterAll(() => close());

  async function killed(): Promise<number> {
    const pid = await starterPid();
    expect(pid).not.toBeNull();
    process.kill(pid!, "SIGKILL");
    return pid!;
  }

  it("has the next program started by another, and leaves no folder", async () => {
    const words = (await readFile(`/proc/${await starterPid()}/cmdline`, "utf8")).split("\0").filter((word) => word !== "");
    const own = path.dirname(words.at(-1)!);
    expect(existsSync(own)).toBe(true);
    const before = await killed();
    await until(() => !existsSync(own));
    await until(async () => (await starterPid()) !== before);
    expect((await run("sh", ["-c", "echo $PPID"])).stdout.trim()).toBe(String(await starterPid()));
  });

  it("leaves programs that go on: they are heard, told and ended as before, and their end becomes known", async () => {
    const program = await start("cat", [], { stdio: ["pipe", "pipe"], detached: true });
    const other = await start("sleep", ["600"], { stdio: [], detached: true });
    const before = await killed();
    await until(async () => (await starterPid()) !== before);
    program.stdio[0]!.end("said late");
    expect((await allOf(program, 1)).toString()).toBe("said late");
    expect(await program.exited).toEqual({ code: null, signal: null });
    other.kill("SIGKILL");
    expect(await other.exited).toEqual({ code: null, signal: null });
  });

  it("has what it was asked and did not answer fail, whatever that was to be connected with", async () => {
    const pid = await starterPid();
    process.kill(pid!, "SIGSTOP");
    const asked = [start("cat", [], { stdio: ["pipe", "pipe"] }), run("true")].map(faultOf);
    // the next is asked once these were
    await new Promise(setImmediate);
    process.kill(pid!, "SIGKILL");
    for (const each of asked) expect((await each).message).toBe("the process that starts programs for this server was ended");
    expect((await run("echo", ["on"])).stdout).toBe("on\n");
  });

  it("ends what was to run to its end, and says so", async () => {
    const file = path.join(folder, "running");
    const going = faultOf(run("sh", ["-c", `echo $$ > ${file}.part; mv ${file}.part ${file}; exec sleep 600`]));
    const pid = Number(await written(file));
    await killed();
    expect((await going).message).toBe("the process that starts programs for this server was ended");
    await until(async () => (await startTicksOf(pid)) === null);
  });
});

describe("a starter that says nothing", () => {
  const leftIn = async (): Promise<string[]> => (await readdir(folder)).filter((name) => name.startsWith("xeno-starter-"));
  beforeAll(() => void vi.stubEnv("TMPDIR", folder));
  afterAll(() => void vi.unstubAllEnvs());

  it("is ended as one that was killed, where somebody waits for it", async () => {
    // one that goes on may be as slow as it likes
    const patience = { ...PATIENCE, everyMs: SOON_MS, missedMax: Number.POSITIVE_INFINITY };
    const link = await StarterLink.open(patience);
    const stays = await link.start("sleep", ["600"], { stdio: [], detached: true });
    process.kill(link.pid, "SIGSTOP");
    patience.missedMax = PATIENCE.missedMax;
    const asked = [link.start("cat", [], { stdio: ["pipe", "pipe"] }), link.run("true", [], {})].map(faultOf);
    for (const each of asked) expect((await each).message).toBe("the process that starts programs for this server was ended");
    expect(link.isLost).toBe(true);
    stays.kill("SIGKILL");
    expect(await stays.exited).toEqual({ code: null, signal: null });
    await until(async () => (await leftIn()).length === 0);
  });

  it("is none where its first word does not come, and leaves nothing", async () => {
    expect((await faultOf(StarterLink.open({ ...PATIENCE, readyMs: 0 }))).message).toBe("it said nothing within 0 s");
    expect(await leftIn()).toEqual([]);
  });

  it("cannot be started, and is waited for no longer", async () => {
    const [before, timers] = [process.execPath, vi.spyOn(globalThis, "clearTimeout")];
    process.execPath = path.join(folder, "no-node");
    try {
      expect((await faultOf(StarterLink.open())).code).toBe("ENOENT");
      expect(timers).toHaveBeenCalled();
    } finally {
      process.execPath = before;
      timers.mockRestore();
    }
    expect(await leftIn()).toEqual([]);
  });

  it("keeps no server from its own end", async () => {
    const link = await StarterLink.open({ ...PATIENCE, closeMs: SOON_MS });
    process.kill(link.pid, "SIGSTOP");
    await link.close();
    await until(async () => (await startTicksOf(link.pid)) === null);
  });
});

describe("a server that a starter cannot reach", () => {
  it("starts programs itself, and says so once", async () => {
    const said: string[] = [];
    const { close } = useStarter((why) => said.push(why));
    const words = (await readFile(`/proc/${await starterPid()}/cmdline`, "utf8")).split("\0").filter((word) => word !== "");
    await rm(words.at(-1)!);
    for (const each of ["one", "other"])
      expect((await allOf(await shell(`echo ${each} $PPID`, ["ignore", "pipe"]), 1)).toString()).toBe(`${each} ${process.pid}\n`);
    expect(said).toEqual([expect.stringContaining("connect ENOENT")]);
    await close();
  });

  it("for it has no descriptor left, has that start fail and goes on", async () => {
    const program = path.join(import.meta.dirname, "full.fixture.ts");
    const { stdout } = await run("prlimit", ["--nofile=256", process.execPath, "--no-warnings", program]);
    expect(JSON.parse(stdout)).toEqual(["heard", "EMFILE", expect.stringMatching(/not asked|its pipes did not come/), "heard"]);
  });
});

describe("a starter that is let go of", () => {
  it("is so once for each who had it", async () => {
    const [one, other] = [useStarter((why) => expect(why).toBe("")), useStarter((why) => expect(why).toBe(""))];
    await one.close();
    await one.close();
    expect(await starterPid()).not.toBeNull();
    await other.close();
    expect(await starterPid()).toBeNull();
  });

  it("leaves nothing by which its server would not come to its own end, or come to it too early", async () => {
    const file = path.join(folder, "closed");
    const program = path.join(import.meta.dirname, "close.fixture.ts");
    const ending = run(process.execPath, ["--no-warnings", program, file]);
    const pid = Number(await written(file));
    try {
      expect((await ending).stdout).toBe("closed\n");
    } finally {
      process.kill(pid, "SIGKILL");
    }
  });
});

describe("a starter whose server is gone", () => {
  it("removes its folder, though it has something to tell of what it was asked before", async () => {
    const own = await mkdtemp(path.join(folder, "own-"));
    const starter = spawn(process.execPath, ["--no-warnings", path.join(import.meta.dirname, "starter.ts"), path.join(own, "s")], {
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    await once(starter, "message");
    starter.kill("SIGSTOP");
    const asked = { kind: "run", id: 1, program: "true", args: [], options: {} } satisfies ToStarter;
    await new Promise<void>((resolve, reject) => starter.send(asked, (error) => (error ? reject(error) : resolve())));
    starter.disconnect();
    starter.kill("SIGCONT");
    expect(await once(starter, "exit")).toEqual([0, null]);
    expect(existsSync(own)).toBe(false);
  });
});

describe("a server that is killed", () => {
  it("takes its starter along, and what asked to end with who started it; others live on", async () => {
    const file = path.join(folder, "told.json");
    const program = path.join(import.meta.dirname, "start.fixture.ts");
    const server = await start(process.execPath, ["--no-warnings", program, file], { stdio: [] });
    const { starter, bound, free, socket } = JSON.parse(await written(file)) as Record<string, number> & { socket: string };
    const id = { pid: free!, startTicks: (await startTicksOf(free!))! };
    await until(async () => (await readlink(`/proc/${bound}/exe`)).includes("sleep"));
    server.kill("SIGKILL");
    await until(async () => (await startTicksOf(starter!)) === null);
    await until(async () => (await startTicksOf(bound!)) === null);
    await until(() => !existsSync(socket));
    expect(await isAlive(id)).toBe(true);
    process.kill(id.pid, "SIGKILL");
  });
});
