/** Programs and files through the shell that guests run (guests/src/qemu/init/shell.pl), here on this machine itself. */
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmod, lstat, mkdir, mkdtemp, readFile, readdir, readlink, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../../../../test/until.ts";
import { frame } from "@xenoservers/protocol/channel";
import type { MachineLink } from "../session/machine-link.ts";
import { copyIn } from "./copy-in.ts";
import { copyOut } from "./copy-out.ts";
import type { GuestFiles } from "./files.ts";
import { ShellHere, hasPerl } from "./guest.fixture.ts";
import { GuestProgram, type ProgramWanted } from "./program.ts";

const MIB = 1024 * 1024;
async function all(from: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of from) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
const text = async (from: Readable): Promise<string> => (await all(from)).toString();
const OPTIONS = { owners: false };

describe.skipIf(!hasPerl)("a guest's shell", () => {
  let folder: string;
  let here: ShellHere;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-shell-"));
    here = new ShellHere();
  });
  afterEach(async () => {
    here.end();
    await rm(folder, { recursive: true, force: true });
  });

  const start = (wanted: ProgramWanted) => here.start(wanted);
  const sh = (script: string, more: Partial<ProgramWanted> = {}) => start({ args: ["sh", "-c", script], ...more });
  const at = (name: string): string => path.join(folder, name);

  it("gives each stream, the exit code, arguments, environment and folder as they are", async () => {
    const program = await sh('printf %s "$1$WORD"; pwd >&2; exit 7', {
      args: ["sh", "-c", 'printf %s "$1$WORD"; pwd >&2; exit 7', "sh", "a b\n"],
      env: [["WORD", "c=d"]],
      workdir: folder,
    });
    program.stdin.end();
    const [out, err] = await Promise.all([text(program.stdout), text(program.stderr)]);
    expect([out, err, await program.ended]).toEqual(["a b\nc=d", `${folder}\n`, { exitCode: 7, why: null }]);
  });

  it("says why a program does not start, as container engines do", async () => {
    const ends = async (wanted: ProgramWanted) => (await start(wanted)).ended;
    await writeFile(at("no-program"), "x");
    expect(await ends({ args: ["no-such-program"] })).toEqual({ exitCode: 127, why: "no-such-program: not found in $PATH" });
    expect(await ends({ args: ["/no/such"] })).toEqual({ exitCode: 127, why: "/no/such: No such file or directory" });
    expect(await ends({ args: [at("no-program")] })).toMatchObject({ exitCode: 126 });
    expect(await ends({ args: ["true"], workdir: "/no/such" })).toMatchObject({ exitCode: 126 });
    expect(await ends({ args: ["true"], user: "no-such-user" })).toMatchObject({
      exitCode: 126,
      why: expect.stringContaining("no-such-user") as string,
    });
    expect(await ends({ args: ["sh", "-c", "kill -9 $$"] })).toEqual({ exitCode: 137, why: null });
    await expect(start({ args: ["echo", "a\0b"] })).rejects.toThrow("zero byte");
    await expect(start({ args: ["echo", "x".repeat(70_000)] })).rejects.toThrow("longer than");
  });

  it("takes standard input to its end, however much, and gives every byte back", async () => {
    const bytes = randomBytes(5 * MIB);
    const program = await start({ args: ["cat"] });
    program.stdin.end(bytes);
    const back = await all(program.stdout);
    expect(back.equals(bytes)).toBe(true);
    expect(await program.ended).toEqual({ exitCode: 0, why: null });
  });

  it("stops a program that nobody reads, and a writer whose program does not read", async () => {
    const program = await sh(`head -c 20000000 /dev/zero; echo all > ${at("n")}`);
    const unread = await start({ args: ["sleep", "1000"] });
    let written = 0;
    const write = (): void =>
      void unread.stdin.write(Buffer.alloc(64 * 1024), (error) => {
        if (error) return;
        written += 64 * 1024;
        write();
      });
    write();
    // when nothing moves any more: looks that are the same with work of this machine's between them
    for (let last = -1, same = 0; same < 5;) {
      same = written === last && written > 0 ? same + 1 : 0;
      last = written;
      await (
        await sh("true")
      ).ended;
    }
    expect(await readdir(folder)).toEqual([]);
    expect(written).toBeLessThan(2 * MIB); // what is sent ahead, and a pipe
    expect((await all(program.stdout)).length).toBe(20_000_000);
    expect(await program.ended).toEqual({ exitCode: 0, why: null });
    unread.kill();
  });

  it("has a terminal: its size, a new one, typed signals, and the end", async () => {
    const program = await sh("trap 'stty size; exit 5' WINCH; stty size; test -t 0 && echo yes; while :; do sleep 0.05; done", {
      terminal: { columns: 100, rows: 40 },
    });
    let out = "";
    const printed = (mark: string) =>
      new Promise<void>((resolve) => program.stdout.on("data", (bytes: Buffer) => ((out += bytes), out.includes(mark) && resolve())));
    await printed("yes");
    expect(out).toContain("40 100");
    program.resize({ columns: 120, rows: 50 });
    await printed("50 120");
    expect((await program.ended).exitCode).toBe(5);
    const cat = await start({ args: ["cat"], terminal: { columns: 80, rows: 24 } });
    cat.stdin.write("\u0003"); // Ctrl-C
    expect((await cat.ended).exitCode).toBe(130);
    const end = await start({ args: ["cat"], terminal: { columns: 80, rows: 24 } });
    end.stdin.end();
    expect((await end.ended).exitCode).toBe(0);
  });

  it("sends signals to all that was started, and kills it when its customer goes", async () => {
    const program = await sh("trap 'exit 9' TERM; echo on; while :; do sleep 0.05; done");
    await new Promise((resolve) => program.stdout.once("data", resolve));
    program.signal(15);
    expect((await program.ended).exitCode).toBe(9);
    const gone = await sh("echo $$; sleep 1000");
    const pid = Number(String(await new Promise((resolve) => gone.stdout.once("data", resolve))));
    gone.kill();
    await expect(gone.ended).rejects.toThrow("link went down");
    // what runs it ends without a word
    const left = await GuestProgram.start({ shell: async (wire: Duplex) => void wire.end() } as unknown as MachineLink, { args: ["true"] });
    await expect(left.ended).rejects.toThrow("link went down");
    const isThere = (): boolean => spawnSync("kill", ["-0", String(pid)]).status === 0;
    await until(() => !isThere());
  });

  it("is clean for who comes next, whatever the one before left half-way", async () => {
    const socket = here.port();
    const heard: Buffer[] = [];
    socket.on("data", (bytes: Buffer) => heard.push(bytes));
    socket.write(frame("R", Buffer.from("arg=sh\0arg=-c\0arg=cat; sleep 1000")));
    socket.write(Buffer.concat([frame("I", Buffer.from("left")), frame("Q"), frame("P", Buffer.from("0123456789abcdef"))]));
    const heardAll = (): string => Buffer.concat(heard).toString("latin1");
    await new Promise<void>((resolve) => socket.on("data", () => heardAll().includes("p0123456789abcdef") && resolve()));
    expect(heardAll()).toContain("x137");
    socket.write(frame("R", Buffer.from("arg=echo\0arg=next")));
    await new Promise<void>((resolve) => socket.on("data", () => heardAll().endsWith("x0") && resolve()));
    expect(heardAll()).toContain("onext\n");
    socket.destroy();
  });

  it("hears the end of its input, too, where it takes the terminal over after it was typed", async () => {
    const program = `
      use POSIX;
      vec(my $ready, 0, 1) = 1;
      select($ready, undef, undef, undef); # the end is there, and not read
      my $mode = POSIX::Termios->new;
      $mode->getattr(0);
      $mode->setlflag($mode->getlflag & ~(ICANON | ECHO));
      $mode->setattr(0, TCSANOW);
      $| = 1;
      print "ready> ";
      while (sysread STDIN, my $key, 1) { exit 7 if $key eq "\x04" }`;
    const taking = await start({ args: ["perl", "-e", program], terminal: { columns: 80, rows: 24 } });
    taking.stdin.end();
    expect(await text(taking.stdout)).toContain("ready> ");
    expect(await taking.ended).toEqual({ exitCode: 7, why: null });
  });

  describe("files", () => {
    const open = () => here.open();
    const both = <T>(use: (files: GuestFiles) => Promise<T>) => here.withFiles(use);
    const into = (from: string, to: string) => both((files) => copyIn(files, from, to, OPTIONS));
    const out = (from: string, to: string) => both((files) => copyOut(files, from, to, OPTIONS));

    async function tree(name: string): Promise<string> {
      const top = at(name);
      await mkdir(path.join(top, "deep/er"), { recursive: true });
      await mkdir(path.join(top, "empty"));
      await writeFile(path.join(top, "program"), "#!/bin/sh\n");
      await chmod(path.join(top, "program"), 0o751);
      await utimes(path.join(top, "program"), 1_000_000_000, 1_000_000_000);
      await writeFile(path.join(top, "deep/er/ü"), "name");
      await writeFile(path.join(top, "big"), randomBytes(2 * MIB + 1));
      await symlink("program", path.join(top, "link"));
      for (let i = 0; i < 100; i++) await writeFile(path.join(top, `deep/${i}`), String(i));
      return top;
    }
    const names = async (of: string): Promise<string[]> => (await readdir(of, { recursive: true })).sort();

    it("leave nobody waiting behind, however many they are", async () => {
      const warned: string[] = [];
      const warn = ({ name }: Error): void => void warned.push(name);
      process.on("warning", warn);
      try {
        await into(await tree("from"), at("guest"));
        await out(at("guest"), at("back"));
        await new Promise((resolve) => setImmediate(resolve)); // a warning is told in a later turn
      } finally {
        process.off("warning", warn);
      }
      expect(warned).toEqual([]);
    });

    it("go in and out as they are: modes, times, links, empty folders", async () => {
      const from = await tree("from");
      await into(from, at("guest"));
      expect(await out(at("guest"), at("back"))).toEqual([]);
      for (const of of [at("guest"), at("back")]) {
        expect(await names(of)).toEqual(await names(from));
        expect((await readFile(path.join(of, "big"))).equals(await readFile(path.join(from, "big")))).toBe(true);
        expect(await readlink(path.join(of, "link"))).toBe("program");
        const { mode, mtimeMs } = await lstat(path.join(of, "program"));
        expect([mode & 0o7777, mtimeMs]).toEqual([0o751, 1_000_000_000_000]);
      }
    });

    it("go where cp would put them", async () => {
      const from = await tree("from");
      await mkdir(at("there"));
      await into(from, at("there"));
      await into(`${from}/.`, at("there"));
      await into(path.join(from, "program"), at("there/renamed"));
      expect((await readdir(at("there"))).sort()).toEqual(["big", "deep", "empty", "from", "link", "program", "renamed"]);
      await into(path.join(from, "big"), at("there/program")); // over what is there
      expect((await lstat(at("there/program"))).size).toBe(2 * MIB + 1);
      await expect(into(path.join(from, "big"), at("there/new/"))).rejects.toThrow("is no folder");
      await expect(into(path.join(from, "big"), at("there/deep"))).resolves.toEqual([]);
      await expect(into(path.join(from, "big"), at("no/such"))).rejects.toThrow("No such file");
      await expect(out(at("no/such"), at("x"))).rejects.toThrow("No such file");
      await expect(out(path.join(from, "big"), at("no-folder/"))).rejects.toThrow("there is no folder");
      await mkdir(at("local"));
      await out(path.join(from, "link"), at("local"));
      expect(await readFile(at("local/link"), "utf8")).toBe("#!/bin/sh\n");
    });

    it("that a link leads to come with their own mode, time and holes", async () => {
      const from = await tree("from");
      await out(path.join(from, "link"), at("program"));
      const { mode, mtimeMs } = await lstat(at("program"));
      expect([mode & 0o7777, mtimeMs]).toEqual([0o751, 1_000_000_000_000]);
      await writeFile(at("thin"), "");
      await truncate(at("thin"), 64 * MIB);
      await symlink(at("thin"), at("to-thin"));
      await symlink("nothing", at("to-nothing"));
      await out(at("to-thin"), at("came"));
      const { size, blocks } = await lstat(at("came"));
      expect([size, blocks]).toEqual([64 * MIB, (await lstat(at("thin"))).blocks]);
      await expect(out(at("to-nothing"), at("none"))).rejects.toThrow("No such file");
      // a shell of an earlier server cannot say it
      await here.withFiles(async (files) => {
        files.can = async () => false;
        await copyOut(files, path.join(from, "link"), at("as-before"), { owners: false });
      });
      expect(await readFile(at("as-before"), "utf8")).toBe("#!/bin/sh\n");
    });

    it("leave out what means nothing elsewhere, by name, and bring the rest", async () => {
      const from = await tree("from");
      const socket = createServer().listen(path.join(from, "deep/soc\nket"));
      await once(socket, "listening");
      try {
        expect(await into(from, at("guest"))).toEqual([expect.stringMatching(/^deep\/soc.+ket: it is no file, folder or link$/)]);
        await expect(into(path.join(from, "deep/soc\nket"), at("alone"))).rejects.toThrow("it cannot be copied");
      } finally {
        socket.close();
      }
      expect(await names(at("guest"))).toEqual(await names(from));
    });

    it("that were cut off go on where they were, and have no name before they are whole", async () => {
      const bytes = randomBytes(8 * MIB);
      await writeFile(at("source"), bytes);
      let told: number[] = [];
      const files = await open();
      const cut = copyIn(files, at("source"), at("target"), {
        owners: false,
        onProgress: ({ bytes: so }) => {
          if (so > 4 * MIB) files.close(); // more than is on its way at once: some of it has been written
        },
      });
      await expect(cut).rejects.toThrow();
      const partial = async () => (await readdir(folder)).filter((name) => name.startsWith(".xeno-part-"));
      const size = async () => (await lstat(at((await partial())[0] ?? "none")).catch(() => null))?.size ?? 0;
      await until(async () => (await size()) > 0);
      here.end();
      const before = Math.min(await size(), MIB);
      await truncate(at((await partial())[0]!), before);
      await both((again) => copyIn(again, at("source"), at("target"), { owners: false, onProgress: (p) => void told.push(p.bytes) }));
      expect(told[0]).toBe(before);
      expect((await readFile(at("target"))).equals(bytes)).toBe(true);
      expect(await partial()).toEqual([]);
      // the other way: what is here already is not sent again
      const first = await open();
      await expect(
        copyOut(first, at("target"), at("back"), { owners: false, onProgress: ({ bytes: so }) => void (so > MIB && first.close()) }),
      ).rejects.toThrow();
      expect((await readdir(folder)).includes("back")).toBe(false);
      told = [];
      await both((again) => copyOut(again, at("target"), at("back"), { owners: false, onProgress: (p) => void told.push(p.bytes) }));
      expect(told[0]).toBeGreaterThan(0);
      expect((await readFile(at("back"))).equals(bytes)).toBe(true);
      expect(await partial()).toEqual([]);
    });

    it("that give more than there is room for leave this machine some, and have no name here", async () => {
      await writeFile(at("much"), randomBytes(3 * MIB));
      const copy = both((files) => copyOut(files, at("much"), at("here"), { owners: false, roomOf: async () => MIB }));
      await expect(copy).rejects.toThrow("no room here");
      const [part] = (await readdir(folder)).filter((name) => name !== "much");
      expect(part).toMatch(/^\.xeno-part-/);
      expect((await lstat(at(part!))).size).toBeLessThanOrEqual(MIB);
    });

    it("take the place of no device, fifo or socket", async () => {
      await writeFile(at("one"), "1");
      spawnSync("mkfifo", [at("fifo")]);
      await expect(both((files) => copyIn(files, at("one"), at("fifo"), OPTIONS))).rejects.toThrow("is a device or the like, and no file");
      expect((await lstat(at("fifo"))).isFIFO()).toBe(true);
      expect((await readdir(folder)).sort()).toEqual(["fifo", "one"]);
    });

    it("that lead outside, or are none, are left out in words; nothing is written through a link that lies here", async () => {
      await mkdir(at("odd/in"), { recursive: true });
      await symlink("/etc/passwd", at("odd/outside"));
      await symlink("../../..", at("odd/in/up"));
      await writeFile(at("odd/one"), "1");
      spawnSync("mkfifo", [at("odd/fifo")]);
      await writeFile(at("odd/bell\u0007"), "x");
      const leftOut = await out(at("odd"), at("back"));
      expect(leftOut.map((each) => each.split(":")[0]).sort()).toEqual(["bell\\u0007", "fifo", "in/up", "outside"].sort());
      expect(await names(at("back"))).toEqual(["in", "one"]);
      await rm(at("back"), { recursive: true });
      await mkdir(at("back"));
      await symlink(folder, at("back/in"));
      await expect(out(`${at("odd")}/.`, at("back"))).rejects.toThrow();
    });
  });
});
