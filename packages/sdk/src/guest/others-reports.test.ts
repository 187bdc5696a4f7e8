/**
 * What people reported of `docker exec` and `cp`, `kubectl cp`, `incus file push` and `multipass transfer`, tried through the shell that
 * guests run. Tests name the reports.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmod, link, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { copyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import { GuestRefusal, type GuestFiles } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";
import type { ProgramEnd, ProgramWanted } from "./program.ts";

const OPTIONS = { owners: false };

async function text(from: Readable): Promise<string> {
  let all = "";
  for await (const part of from) all += String(part);
  return all;
}

describe.skipIf(!hasPerl)("others' reports", () => {
  let folder: string;
  let here: ShellHere;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-reports-"));
    here = new ShellHere();
  });
  afterEach(async () => {
    here.end();
    await rm(folder, { recursive: true, force: true });
  });
  const at = (name: string): string => path.join(folder, name);
  const modeOf = async (file: string): Promise<number> => (await lstat(file)).mode & 0o7777;

  describe("of programs", () => {
    async function ran(script: string, more: Partial<ProgramWanted> = {}): Promise<ProgramEnd & { stdout: string; stderr: string }> {
      const program = await here.start({ args: ["sh", "-c", script], ...more });
      const [stdout, stderr] = await Promise.all([text(program.stdout), text(program.stderr)]);
      return { ...(await program.ended), stdout, stderr };
    }
    const terminal = { columns: 80, rows: 24 };

    it("what goes on and holds the output open keeps nobody waiting (moby#33039, moby#41052)", async () => {
      expect(await ran(`sleep 1000 & echo $! > ${at("pid")}; echo hi`)).toMatchObject({ exitCode: 0, stdout: "hi\n" });
      process.kill(Number(await readFile(at("pid"), "utf8")));
    });

    it("nor does what goes on and never stops writing, to a pipe or a terminal", async () => {
      // so many that there is always more than is read
      const floods = "trap '' HUP; for i in 1 2 3 4 5 6 7 8; do yes 2>/dev/null & done; echo begun; exit 3";
      for (const more of [{}, { terminal }]) {
        const { exitCode, stdout } = await ran(floods, more);
        expect(exitCode).toBe(3);
        expect(stdout).toContain("begun");
      }
    });

    it("a terminal's last bytes come, though its program has ended (moby#12258, compose#1130)", async () => {
      const { stdout } = await ran("seq 1 20000; printf last", { terminal });
      expect(stdout.replaceAll("\r", "").split("\n").slice(-2)).toEqual(["20000", "last"]);
    });

    it("a terminal has its size before its program looks (moby#35407, docker/cli#3554)", async () => {
      expect((await ran("stty size", { terminal: { columns: 212, rows: 68 } })).stdout).toBe("68 212\r\n");
    });

    it("126 is not executable, 127 is not there, with a terminal, too (podman#367, podman#26600)", async () => {
      await writeFile(at("text"), "words");
      await writeFile(at("no-format"), "words", { mode: 0o755 });
      for (const more of [{}, { terminal }]) {
        const code = async (program: string, workdir?: string) =>
          (await ran("", { args: [program], ...(workdir === undefined ? {} : { workdir }), ...more })).exitCode;
        expect([await code("/etc"), await code(at("text")), await code(at("no-format"))]).toEqual([126, 126, 126]);
        expect([await code("no-such"), await code("/no/such"), await code(`${at("text")}/below`)]).toEqual([127, 127, 127]);
        expect(await code("true", "/no/such")).toBe(126);
      }
    });

    it("every signal is as the kernel gives it, none ignored or blocked (Perl itself ignores SIGFPE)", async () => {
      const { stdout } = await ran("grep -E '^Sig(Blk|Ign)' /proc/self/status");
      expect(stdout).toBe(`SigBlk:\t${"0".repeat(16)}\nSigIgn:\t${"0".repeat(16)}\n`);
      expect((await ran("yes | head -n 1 > /dev/null; kill -PIPE $$")).exitCode).toBe(128 + 13);
    });

    it("bytes that are no text, lone carriage returns and half lines come as they are (moby#43860)", async () => {
      const program = await here.start({ args: ["printf", "a\\rb\\377\\000c"] });
      const parts: Buffer[] = [];
      for await (const part of program.stdout) parts.push(part as Buffer);
      expect(Buffer.concat(parts)).toEqual(Buffer.from([0x61, 0x0d, 0x62, 0xff, 0x00, 0x63]));
    });
  });

  describe("of programs that are told or read by halves", () => {
    const terminal = { columns: 80, rows: 24 };

    it("Ctrl-C in a terminal is the program's end, and 130 its code (lxd#9602)", async () => {
      const program = await here.start({ args: ["sh", "-c", "echo on; exec sleep 1000"], terminal });
      program.stdout.on("data", () => program.stdin.write("\u0003"));
      expect(await program.ended).toEqual({ exitCode: 130, why: null });
    });

    it("a terminal that closes here is told to what ran in it (podman#20003), and each signal ends in its own code", async () => {
      for (const more of [{}, { terminal }]) {
        const script = `trap 'echo put away >> ${at("away")}; exit 7' HUP; echo on; while :; do sleep 0.1; done`;
        const program = await here.start({ args: ["sh", "-c", script], ...more });
        program.stdout.once("data", () => program.signal(1)).resume();
        expect(await program.ended).toEqual({ exitCode: 7, why: null });
      }
      expect(await readFile(at("away"), "utf8")).toBe("put away\nput away\n");
      for (const number of [1, 2, 3, 9, 10, 12, 15]) {
        const program = await here.start({ args: ["sh", "-c", "ulimit -c 0; echo on; exec sleep 1000"] });
        program.stdout.once("data", () => program.signal(number)).resume();
        expect(await program.ended).toEqual({ exitCode: 128 + number, why: null });
      }
    });

    it("a window that changes is what its program sees, with the signal (lxc#3099, matchlock#85)", async () => {
      const script = "trap 'stty size; exit 0' WINCH; echo on; while :; do sleep 0.1; done";
      const program = await here.start({ args: ["sh", "-c", script], terminal });
      program.stdout.once("data", () => program.resize({ columns: 131, rows: 43 }));
      expect((await text(program.stdout)).replaceAll("\r", "")).toBe("on\n43 131\n");
    });

    it("a large input of which only the first line is read is no failure (docker/for-linux#245)", async () => {
      const program = await here.start({ args: ["head", "-n", "1"] });
      program.stdin.write(Buffer.from(`first\n${"x".repeat(4_000_000)}`));
      program.stdin.end();
      expect(await text(program.stdout)).toBe("first\n");
      expect(await program.ended).toEqual({ exitCode: 0, why: null });
    });

    it("who begins to read late loses nothing (moby#45689)", async () => {
      const program = await here.start({ args: ["head", "-c", "8388608", "/dev/zero"] });
      let isOver = false;
      void program.ended.then(() => (isOver = true));
      // it has written what it can, and waits
      await until(async () => program.stdout.readableLength > 0);
      let size = 0;
      for await (const bytes of program.stdout) size += (bytes as Buffer).length;
      expect([size, await program.ended, isOver]).toEqual([8_388_608, { exitCode: 0, why: null }, true]);
    });
  });

  describe("of copies", () => {
    const into = (from: string, to: string) => here.withFiles((files) => copyIn(files, from, to, OPTIONS));
    const out = (from: string, to: string) => here.withFiles((files) => copyOut(files, from, to, OPTIONS));
    const ways = [
      ["into a guest", into],
      ["out of it", out],
    ] as const;

    it.each(ways)("%s a folder that was there keeps its mode and time (incus#1291: /tmp lost its sticky bit)", async (_, copy) => {
      await mkdir(at("from/sub"), { recursive: true });
      await mkdir(at("to/sub"), { recursive: true });
      await writeFile(at("from/sub/one"), "1");
      await Promise.all([chmod(at("from"), 0o777), chmod(at("from/sub"), 0o755)]);
      await Promise.all([chmod(at("to"), 0o1770), chmod(at("to/sub"), 0o700)]);
      await copy(`${at("from")}/.`, at("to"));
      expect([await modeOf(at("to")), await modeOf(at("to/sub"))]).toEqual([0o1770, 0o700]);
      expect(await readFile(at("to/sub/one"), "utf8")).toBe("1");
    });

    it.each(ways)(
      "%s folders have their modes when all of them is there, those that nobody may write, too (multipass#2750)",
      async (_, copy) => {
        await mkdir(at("from/closed"), { recursive: true });
        await writeFile(at("from/closed/one"), "1");
        await Promise.all([chmod(at("from/closed"), 0o555), utimes(at("from/closed"), 1_000_000_000, 1_000_000_000)]);
        await chmod(at("from"), 0o750);
        await copy(at("from"), at("to"));
        const { mode, mtimeMs } = await lstat(at("to/closed"));
        expect([await modeOf(at("to")), mode & 0o7777, mtimeMs]).toEqual([0o750, 0o555, 1_000_000_000_000]);
      },
    );

    it.each(ways)("%s a folder does not take the place of a file, and says so (moby#16186)", async (_, copy) => {
      await mkdir(at("from"));
      await writeFile(at("from/one"), "1");
      await writeFile(at("to"), "a file");
      await expect(copy(at("from"), at("to"))).rejects.toThrow("is there, and no folder");
      expect(await readFile(at("to"), "utf8")).toBe("a file");
    });

    it.each(ways)("%s what a named link leads to is what is meant; links below stay links (kubernetes#58049)", async (_, copy) => {
      await mkdir(at("from"));
      await writeFile(at("from/one"), "1");
      await symlink("one", at("from/link"));
      await symlink("from", at("whole"));
      await mkdir(at("to"));
      await copy(at("from/link"), at("to"));
      await copy(at("whole"), at("to"));
      expect((await lstat(at("to/link"))).isFile()).toBe(true);
      expect(await readlink(at("to/whole/link"))).toBe("one");
    });

    it.each(ways)("%s a file goes into the folder behind a link, and the link stays (/bin of Debian, /var/run)", async (_, copy) => {
      await mkdir(at("usr"));
      await symlink("usr", at("bin"));
      await writeFile(at("tool"), "1");
      await copy(at("tool"), at("bin"));
      expect([await readlink(at("bin")), await readFile(at("usr/tool"), "utf8")]).toEqual(["usr", "1"]);
    });

    it.each(ways)("%s a link takes the place of a file, as a file does of a link (multipass#234)", async (_, copy) => {
      await mkdir(at("from"));
      await mkdir(at("to"));
      await writeFile(at("from/a"), "a");
      await symlink("a", at("from/b"));
      await writeFile(at("to/b"), "was a file");
      await symlink("/etc/passwd", at("to/a"));
      await copy(`${at("from")}/.`, at("to"));
      expect(await readlink(at("to/b"))).toBe("a");
      expect((await lstat(at("to/a"))).isFile()).toBe(true);
      await copy(`${at("from")}/.`, at("to"));
    });

    it.each(ways)("%s names with a leading dash, a dot or spaces, and empty files (multipass#2421)", async (_, copy) => {
      await mkdir(at("from"));
      for (const name of ["-rf", ".hidden", " a b ", "*", "$(id)"]) await writeFile(path.join(at("from"), name), "");
      await copy(at("from"), at("to"));
      expect((await readdir(at("to"))).sort()).toEqual((await readdir(at("from"))).sort());
    });

    it("what is here stays where a link of the same name cannot be made", async () => {
      await mkdir(at("source"));
      await symlink("elsewhere", at("source/l"));
      await mkdir(at("target"));
      await writeFile(at("target/l"), "mine");
      const makeLink = async (): Promise<never> => {
        throw Object.assign(new Error("EPERM"), { code: "EPERM" });
      };
      const copied = await here.withFiles((files) => copyOut(files, `${at("source")}/.`, at("target"), { ...OPTIONS, makeLink }));
      expect(copied).toEqual(["l: a link, of which this file system has none"]);
      expect([await readFile(at("target/l"), "utf8"), await readdir(at("target"))]).toEqual(["mine", ["l"]]);
      await out(`${at("source")}/.`, at("target"));
      expect([await readlink(at("target/l")), await readdir(at("target"))]).toEqual(["elsewhere", ["l"]]);
    });

    it("into a guest no file comes empty that was not", async () => {
      await expect(into("/proc/self/status", at("status"))).rejects.toThrow("has no size and is not empty");
      await out("/proc/self/status", at("back"));
      expect(await readFile(at("back"), "utf8")).toContain("SigIgn");
      expect((await readdir(folder)).sort()).toEqual(["back"]);
    });

    it.each(ways)(
      "%s what is being written comes as long as it was, and not without an end (docker desktop-linux#146)",
      async (_, copy) => {
        await writeFile(at("log"), "begun\n".repeat(500_000));
        const writer = spawn("sh", ["-c", "while :; do head -c 1000000 /dev/zero; done >> log"], { cwd: folder });
        try {
          await until(async () => (await lstat(at("log"))).size > 4_000_000);
          await copy(at("log"), at("copy"));
        } finally {
          writer.kill("SIGKILL");
          await once(writer, "exit");
        }
        const bytes = await readFile(at("copy"));
        expect(bytes.length).toBeGreaterThan(4_000_000);
        expect(bytes.subarray(0, 3_000_000).toString()).toBe("begun\n".repeat(500_000));
      },
    );

    it.each(ways)("%s files that are one by two names come each, also where the target is not there (moby#30249)", async (_, copy) => {
      await mkdir(at("from"));
      await writeFile(at("from/a"), "hi\n");
      await link(at("from/a"), at("from/b"));
      await copy(at("from"), at("to"));
      expect([await readFile(at("to/a"), "utf8"), await readFile(at("to/b"), "utf8")]).toEqual(["hi\n", "hi\n"]);
    });

    it("into a guest a file of several names stays one, and is several where the guest's file system has no such names", async () => {
      await mkdir(at("from/sub"), { recursive: true });
      await writeFile(at("from/a"), "x".repeat(2_000_000));
      await writeFile(at("from/z"), "alone");
      for (const name of ["from/b", "from/sub/c", "outside"]) await link(at("from/a"), at(name));
      await mkdir(at("to/sub"), { recursive: true });
      await writeFile(at("to/sub/c"), "was another");
      await into(`${at("from")}/.`, at("to"));
      const numbers = await Promise.all(["to/a", "to/b", "to/sub/c"].map(async (name) => (await lstat(at(name))).ino));
      expect([new Set(numbers).size, (await lstat(at("to/z"))).nlink, (await lstat(at("from/a"))).nlink]).toEqual([1, 1, 4]);
      const noNames = (files: GuestFiles): GuestFiles =>
        new Proxy(files, {
          get: (of, name) =>
            name === "name" ? async () => Promise.reject(new GuestRefusal("Invalid cross-device link")) : of[name as "put"].bind(of),
        });
      await here.withFiles((files) => copyIn(noNames(files), at("from"), at("several"), OPTIONS));
      const sizes = await Promise.all(["a", "b", "sub/c", "z"].map(async (name) => (await lstat(at(`several/${name}`))).size));
      expect([sizes, (await lstat(at("several/b"))).nlink]).toEqual([[2_000_000, 2_000_000, 2_000_000, 5], 1]);
    });

    it.each(ways)("%s a link to a folder, to itself or to nothing is no reason to stop (lxd#2970, moby#13157)", async (_, copy) => {
      await mkdir(at("from/real"), { recursive: true });
      await writeFile(at("from/real/one"), "1");
      await symlink("real", at("from/folder"));
      await symlink("loop", at("from/loop"));
      await symlink("-1", at("from/nothing"));
      await symlink("..", at("from/real/up"));
      const leftOut = await copy(at("from"), at("to"));
      // a guest's link that leads nowhere at all is not made here
      expect(leftOut).toEqual(copy === into ? [] : [expect.stringMatching(/^loop: /)]);
      const targets = await Promise.all(["folder", "nothing", "real/up"].map((name) => readlink(at(`to/${name}`))));
      expect(targets).toEqual(["real", "-1", ".."]);
      expect(await readFile(at("to/folder/one"), "utf8")).toBe("1");
    });

    it.each(ways)("%s a file that nobody may write is replaced where its folder lets that, as scp cannot (cpx2#53)", async (_, copy) => {
      await writeFile(at("one"), "new");
      await writeFile(at("to"), "old", { mode: 0o400 });
      await copy(at("one"), at("to"));
      expect(await readFile(at("to"), "utf8")).toBe("new");
    });

    it.each(ways)(
      "%s names with colons (docker/cli#1125, apple/container#1969), of 255 bytes and long paths (moby#31353)",
      async (_, copy) => {
        const names = ["test:111.json", "app-2026-07-20T10:30:00.log", "C:\\x", "n".repeat(255), "é".repeat(127)];
        const deep = `${"d".repeat(150)}/`.repeat(8);
        await mkdir(at(`from/${deep}`), { recursive: true });
        for (const name of names) await writeFile(path.join(at("from"), deep, name), name);
        const leftOut = await copy(at("from"), at("to"));
        expect(leftOut).toEqual([]);
        expect((await readdir(path.join(at("to"), deep))).sort()).toEqual(names.sort());
      },
    );

    it.each(ways)("%s a file does not take the place of a folder, and says so (podman#7790)", async (_, copy) => {
      await mkdir(at("from"));
      await writeFile(at("from/abc"), "1");
      await mkdir(at("to/abc"), { recursive: true });
      for (const from of [at("from/abc"), `${at("from")}/.`]) await expect(copy(from, at("to"))).rejects.toThrow(/to\/abc is a folder/);
      expect(await readdir(at("to"))).toEqual(["abc"]);
      expect(await readdir(at("to/abc"))).toEqual([]);
    });

    it.each(ways)("%s no folder is made where a link with a slash behind it leads to none (podman#3894)", async (_, copy) => {
      await writeFile(at("one"), "1");
      await symlink("nonesuch", at("x"));
      await expect(copy(at("one"), `${at("x")}/`)).rejects.toThrow(/no folder/);
      expect((await readdir(folder)).sort()).toEqual(["one", "x"]);
    });

    it.each(ways)(
      "%s a folder goes into one that is there, and takes the name of one that is not (lima#4468, lima#5500)",
      async (_, copy) => {
        await mkdir(at("foo/bar"), { recursive: true });
        await copy(at("foo"), at("to"));
        expect(await readdir(at("to"))).toEqual(["bar"]);
        await copy(at("foo"), at("to"));
        await copy(`${at("foo")}/`, at("to"));
        await copy(at("foo"), `${at("to")}/`);
        expect((await readdir(at("to"))).sort()).toEqual(["bar", "foo"]);
      },
    );

    it.each(ways)("%s sockets and pipes are left out by name, and set-user-id bits stay a guest's own (storage#2117)", async (_, copy) => {
      await mkdir(at("from"));
      spawnSync("mkfifo", [at("from/pipe")]);
      const { status } = spawnSync("perl", [
        "-MIO::Socket::UNIX",
        "-e",
        "IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die",
        at("from/socket"),
      ]);
      expect(status).toBe(0);
      await writeFile(at("from/tool"), "1");
      await chmod(at("from/tool"), 0o6755);
      expect(await copy(at("from"), at("to"))).toEqual(["pipe", "socket"].map((name) => `${name}: it is no file, folder or link`));
      expect(await modeOf(at("to/tool"))).toBe(copy === into ? 0o6755 : 0o755);
    });

    it("into a guest a folder in which nothing can be made is no folder that is not there", async () => {
      await writeFile(at("one"), "1");
      await expect(into(at("one"), "/sys/one")).rejects.toThrow(
        /^\/sys\/one: (Permission denied|Read-only file system|Operation not permitted)$/,
      );
    });

    it.each(ways)("%s a target that cannot be written is named with the reason", async (_, copy) => {
      await writeFile(at("one"), "1");
      await expect(copy(at("one"), "/proc/no-such-file")).rejects.toThrow(/\/proc.*(No such file|ENOENT|not permitted)|ENOENT|EPERM/);
      expect(spawnSync("ls", ["-A", folder]).stdout.toString()).toBe("one\n");
    });
  });
});
