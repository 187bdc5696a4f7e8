/** Programs and files of an image's guest for its customer: streams, terminals, signals, users; folders in and out, and what a copy that was cut leaves. */
import { execFile, spawn, spawnSync } from "node:child_process";
import { chmod, link, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { randomBytes } from "node:crypto";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until, type TestMarket } from "../process/market.ts";
import { busyboxLayout, cliHome, machines, vmMarket } from "./support.ts";

const MIB = 1024 * 1024;
const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");

machines("a machine's shell", () => {
  let market: TestMarket;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  let folder: string;
  let lease: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-shell-test-"));
    const layout = await busyboxLayout(folder);
    market = await vmMarket();
    cli = await cliHome(market);
    const words = ["--accel", "any", "--mem", "256M", "--disk", "512M", "--max-time", "1h", "--detach", "-q"];
    const ran = await cli.xeno("run", ...words, `oci:${layout}:box`, "--", "sh", "-c", "echo begun; sleep 100000");
    if (ran.code !== 0) throw new Error(ran.stderr);
    lease = ran.stdout.trim();
    await until(async () => (await cli.xeno("logs", lease)).stdout.includes("begun"));
  });
  afterAll(async () => {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });
  const env = () => ({ ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" });
  const exec = (...words: string[]) => cli.xeno("exec", ...words.slice(0, -1), lease, "--", "sh", "-c", words.at(-1)!);
  /** With standard input. */
  const fed = (input: string | Buffer, ...words: string[]) => typed(input, "exec", "-i", ...words);
  const typed = (input: string | Buffer, ...words: string[]) =>
    new Promise<{ code: number | null; stdout: Buffer; stderr: string }>((resolve) => {
      const child = execFile(
        process.execPath,
        [program, ...words],
        { env: env(), encoding: "buffer", maxBuffer: 256 * MIB },
        (error, stdout, stderr) =>
          resolve({ code: error ? Number(error.code ?? -1) : 0, stdout: Buffer.from(stdout), stderr: stderr.toString() }),
      );
      child.stdin!.on("error", () => {}).end(input); // who reads no more of it may be gone
    });

  it("runs a program as the image's user in its folder, each stream by itself, with its exit code", async () => {
    const ran = await exec("id -u; pwd; echo $FROM_IMAGE; echo err >&2; exit 4");
    expect(ran).toMatchObject({ code: 4, stdout: "33\n/srv\nyes\n", stderr: expect.stringContaining("err") as string });
    expect(await exec("-u", "root", "-w", "/data", "-e", "MORE=of it", "id -u; pwd; echo $MORE")).toMatchObject({
      code: 0,
      stdout: "0\n/data\nof it\n",
    });
    // as its image's own program has them
    expect((await exec("[ $HOSTNAME = $(hostname) ] && echo $TERM $container")).stdout).toBe("xterm oci\n");
    expect((await exec("-e", "TERM=dumb", "-e", "container=", "echo $TERM,$container")).stdout).toBe("dumb,\n");
    // a name alone is this side's own, and none where it has none
    expect((await exec("-e", "NO_COLOR", "-e", "NOT_SET_ANYWHERE", "env | grep -E '^NO'")).stdout).toBe("NO_COLOR=1\n");
    expect(await exec("-e", "=x", "true")).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("--env '=x' names nothing") as string,
    });
    expect(await cli.xeno("exec", lease, "--", "no-such-program")).toMatchObject({
      code: 127,
      stderr: expect.stringContaining("not found") as string,
    });
    for (const words of [
      ["-u", "nobody-here"],
      ["-u", "root:no-group"],
      ["-w", "/nowhere"],
    ])
      expect((await exec(...words, "true")).code).toBe(126);
  });

  it("sends standard input to its end and gets every byte back", async () => {
    const bytes = randomBytes(8 * MIB);
    const ran = await fed(bytes, lease, "--", "cat");
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout.equals(bytes)).toBe(true);
    expect((await fed("", lease, "--", "cat")).stdout.length).toBe(0);
    // one that reads no more of it is not waited for
    expect((await fed(bytes, lease, "--", "head", "-c", "3")).stdout.equals(bytes.subarray(0, 3))).toBe(true);
  });

  it("shows what a program prints while it runs, and ends it with its customer's side", async () => {
    const child = spawn(process.execPath, [program, "exec", lease, "--", "sh", "-c", "echo $$; exec sleep 100001"], {
      env: env(),
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<string>((resolve) => child.stdout.once("data", (bytes: Buffer) => resolve(bytes.toString().trim())));
    expect(pid).toMatch(/^\d+$/);
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    expect(await ended).toBe(128 + 15);
    await until(async () => !(await exec("-u", "root", "cat /proc/*/cmdline 2>/dev/null")).stdout.includes("100001"));
  });

  it("has a terminal of a size, whose other end is where programs look for it", async () => {
    const ran = await cli.xeno(
      "exec",
      "-t",
      lease,
      "--",
      "sh",
      "-c",
      "test -t 0 && test -t 1 && test -t 2 && echo a terminal; ls -l /proc/self/fd/0",
    );
    expect(ran.stdout.replaceAll("\r", "")).toMatch(/a terminal\n.*\/dev\/pts\/\d+\n/);
  });

  it("runs four at once, says of a fifth that it waits, and is free again", async () => {
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, [program, "exec", "-i", lease, "--", "sh", "-c", "echo on; cat"], {
        env: env(),
        stdio: ["pipe", "pipe", "ignore"],
      }),
    );
    await Promise.all(children.map((child) => new Promise((resolve) => child.stdout.once("data", resolve))));
    // as many again wait for them: without input and with it, of which nothing is gone, and copies
    const archive = spawnSync("tar", ["-c", "-C", "/etc", "hostname"]).stdout;
    const waiting = [
      { words: ["exec", lease, "--", "echo", "fifth"], input: null },
      { words: ["cp", `${lease}:/etc/passwd`, path.join(folder, "passwd")], input: null },
      { words: ["exec", "-i", lease, "--", "cat"], input: "piped in" },
      { words: ["cp", "-", `${lease}:/tmp`], input: archive },
    ].map(({ words, input }) => {
      const child = spawn(process.execPath, [program, ...words], { env: env(), stdio: ["pipe", "pipe", "pipe"] });
      child.stdin.end(input ?? "");
      return child;
    });
    const ends = waiting.map(async (child) => {
      const [stdout, code] = await Promise.all([text(child.stdout), new Promise((resolve) => child.once("close", resolve))]);
      return { stdout, code };
    });
    await Promise.all(
      waiting.map(
        (child) =>
          new Promise<void>((resolve) => child.stderr.on("data", (bytes: Buffer) => void (`${bytes}`.includes("at most 4") && resolve()))),
      ),
    );
    await Promise.all(
      children.map((child) => {
        child.stdin.end();
        return new Promise((resolve) => child.once("close", resolve));
      }),
    );
    expect(await Promise.all(ends)).toEqual([
      { stdout: "fifth\n", code: 0 },
      { stdout: "", code: 0 },
      { stdout: "piped in", code: 0 },
      { stdout: "", code: 0 },
    ]);
    expect((await exec("cat /tmp/hostname")).stdout).toBe(await readFile("/etc/hostname", "utf8"));
    expect((await exec("echo free")).stdout).toBe("free\n");
  });

  it("copies a folder in and out with modes, times, links and empty folders", async () => {
    const from = path.join(folder, "from");
    await mkdir(path.join(from, "deep/er"), { recursive: true });
    await mkdir(path.join(from, "empty"));
    await writeFile(path.join(from, "deep/er/file ü\n"), "odd name");
    await writeFile(path.join(from, "program"), "#!/bin/sh\n");
    await chmod(path.join(from, "program"), 0o751);
    await utimes(path.join(from, "program"), 1_000_000_000, 1_000_000_000);
    await writeFile(path.join(from, "big"), randomBytes(3 * MIB + 1));
    await symlink("program", path.join(from, "link"));
    for (let i = 0; i < 300; i++) await writeFile(path.join(from, `deep/${i}`), String(i));
    const put = await cli.xeno("cp", from, `${lease}:/tmp`);
    expect(put.code, put.stderr).toBe(0);
    expect((await exec("-u", "root", "ls -ln /tmp/from/program; cat /tmp/from/deep/299; ls /tmp/from/deep | wc -l")).stdout).toMatch(
      /^-rwxr-x--x +1 0 +0 .*2001.*\n299301\n$/,
    );
    const back = path.join(folder, "back");
    const got = await cli.xeno("cp", `${lease}:/tmp/from`, back);
    expect(got.code).toBe(1);
    expect(got.stderr).toContain("left out  deep/er/file ü");
    const names = async (at: string) => (await readdir(at, { recursive: true })).filter((name) => !name.includes("ü")).sort();
    expect(await names(back)).toEqual(await names(from));
    expect((await readFile(path.join(back, "big"))).equals(await readFile(path.join(from, "big")))).toBe(true);
    expect(await readlink(path.join(back, "link"))).toBe("program");
    const stats = await lstat(path.join(back, "program"));
    expect([stats.mode & 0o7777, stats.mtimeMs]).toEqual([0o751, 1_000_000_000_000]);
  });

  it("takes an archive from standard input, and gives one on standard output, as tar has them", async () => {
    const from = path.join(folder, "archived");
    await mkdir(path.join(from, "deep/er"), { recursive: true });
    await writeFile(path.join(from, "deep/er/new\nline"), "odd name");
    await writeFile(path.join(from, "big"), randomBytes(3 * MIB + 1));
    await chmod(path.join(from, "big"), 0o640);
    await link(path.join(from, "big"), path.join(from, "again"));
    await symlink("/nowhere", path.join(from, "outside"));
    const packed = spawnSync("tar", ["-cz", "-C", folder, "archived"], { maxBuffer: 64 * MIB }).stdout;
    const put = await typed(packed, "cp", "-", `${lease}:/tmp`);
    expect(put).toMatchObject({ code: 0, stderr: "" });
    expect((await exec("-u", "root", "cd /tmp/archived; test big -ef again && readlink outside && stat -c %a:%u big")).stdout).toBe(
      "/nowhere\n640:0\n",
    );
    const got = await typed("", "cp", `${lease}:/tmp/archived`, "-");
    expect([got.code, got.stderr]).toEqual([0, ""]);
    const back = await mkdtemp(path.join(folder, "unpacked-"));
    expect(spawnSync("tar", ["-xp", "-C", back], { input: got.stdout }).status).toBe(0);
    expect((await readdir(path.join(back, "archived"), { recursive: true })).sort()).toEqual(
      (await readdir(from, { recursive: true })).sort(),
    );
    expect((await readFile(path.join(back, "archived/again"))).equals(await readFile(path.join(from, "big")))).toBe(true);
    expect(await readlink(path.join(back, "archived/outside"))).toBe("/nowhere");
    const none = await typed("no archive at all", "cp", "-", `${lease}:/tmp`);
    expect([none.code, none.stderr]).toEqual([125, expect.stringContaining("what is piped in is no tar archive")]);
  });

  it("says what is wrong: no such file, a folder in the way, a link that leads outside", async () => {
    const says = async (...words: string[]) => (await cli.xeno("cp", ...words)).stderr;
    expect(await says(`${lease}:/no/such`, folder)).toContain("No such file");
    expect(await says(path.join(folder, "from/program"), `${lease}:/no/such/`)).toContain("is no folder");
    expect(await says(path.join(folder, "from/program"), `${lease}:/no/such/one`)).toContain("No such file");
    await exec("-u", "root", "mkdir -p /tmp/out; ln -s /etc/passwd /tmp/out/outside; ln -s ../../.. /tmp/out/up; echo 1 > /tmp/out/one");
    const out = path.join(folder, "out");
    expect(await says(`${lease}:/tmp/out`, out)).toMatch(/left out {2}(outside|up): a link that points outside/);
    expect((await readdir(out)).sort()).toEqual(["one"]);
  });

  it("leaves folders that are there as they are: everybody's, and those behind a link", async () => {
    const more = path.join(folder, "more");
    await mkdir(path.join(more, "sub"), { recursive: true });
    await writeFile(path.join(more, "tool"), "#!/bin/sh\necho tool\n", { mode: 0o755 });
    await exec("-u", "root", "mkdir /tmp/usr; busybox ln -s usr /tmp/bin; busybox chmod 1777 /tmp");
    for (const words of [
      [`${more}/.`, `${lease}:/tmp`],
      [path.join(more, "tool"), `${lease}:/tmp/bin`],
    ]) {
      const put = await cli.xeno("cp", ...words);
      expect(put.code, put.stderr).toBe(0);
    }
    expect((await exec("-u", "root", "busybox stat -c %a /tmp; readlink /tmp/bin; /tmp/usr/tool; /tmp/tool")).stdout).toBe(
      "1777\nusr\ntool\ntool\n",
    );
    const back = path.join(folder, "kept");
    await mkdir(back, { mode: 0o700 });
    await exec("-u", "root", "busybox chmod 777 /tmp/usr");
    expect((await cli.xeno("cp", `${lease}:/tmp/usr/.`, back)).code).toBe(0);
    expect((await lstat(back)).mode & 0o777).toBe(0o700);
  });

  it("leaves no part of what there is no room for, and no file where a device was", async () => {
    const large = path.join(folder, "too-large");
    await writeFile(large, randomBytes(4 * MIB));
    const mounted = await exec("-u", "root", "mkdir /tmp/small; busybox mount -t tmpfs -o size=1m none /tmp/small");
    expect(mounted.code, mounted.stderr).toBe(0);
    const full = await cli.xeno("cp", large, `${lease}:/tmp/small/large`);
    expect(full.code).toBe(125);
    expect(full.stderr).toMatch(/small\/large: No space left on device\n {2}the machine's disk is full/);
    expect((await exec("-u", "root", "ls -A /tmp/small")).stdout).toBe("");
    expect((await cli.xeno("cp", large, `${lease}:/dev/null`)).stderr).toContain("/dev/null is a device or the like, and no file");
    expect((await exec("test -c /dev/null")).code).toBe(0);
  });

  it("goes on with a file that was cut off where it was, and leaves nothing half under its name", async () => {
    const file = path.join(folder, "large");
    await writeFile(file, randomBytes(32 * MIB));
    const child = spawn(process.execPath, [program, "cp", file, `${lease}:/tmp/large`], { env: env(), stdio: "ignore" });
    const partial = async () => Number((await exec("-u", "root", "cat /tmp/.xeno-part-* 2>/dev/null | wc -c")).stdout.trim());
    const exited = new Promise((resolve) => child.once("exit", resolve));
    // a fast machine is done before anybody looks: less is proved then, and nothing false
    await until(async () => child.exitCode !== null || (await partial()) > 0);
    child.kill("SIGKILL");
    await exited;
    expect(["", String(32 * MIB)]).toContain((await exec("-u", "root", "wc -c < /tmp/large 2>/dev/null")).stdout.trim());
    expect((await cli.xeno("cp", file, `${lease}:/tmp/large`)).code).toBe(0);
    const back = path.join(folder, "large.back");
    expect((await cli.xeno("cp", `${lease}:/tmp/large`, back)).code).toBe(0);
    expect((await readFile(back)).equals(await readFile(file))).toBe(true);
    expect(await partial()).toBe(0);
  });
});
