/**
 * What container engines promise a program, kept in a machine: its processes, its user, its streams, a terminal, how it is asked to end. What is
 * expected of users is what podman 4.3 said to the same image.
 */
import { createHash, randomBytes } from "node:crypto";
import { copyFile, lstat, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { USUAL_PROCESS, type VmProcess, type VmSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../process/market.ts";
import { BUSYBOX, openEnds, type Came, type EndsBench, type Wanted } from "./machine-ends.ts";
import { debianInits, machines, run } from "./support.ts";

const TREE_OF_OUT: InputTree = { entries: [], mounts: [{ path: "/out", writable: true, keep: true }] };
const PASSWD = "root:x:0:0::/root:/bin/sh\nweb:x:33:44:Web:/srv/web:/bin/sh\n7:x:8:9::/seven:\nshort:x:61\n";
const GROUP = "root:x:0:\nweb:x:44:\nlog:x:50:web,other\ntty:x:5:\naudio:x:29:web\n9:x:77:\n";
/** So long nothing that is waited for here takes, however slow the machine is: what it bounds ends by its own doing. */
const AMPLE_MS = 600_000;

machines("an image's program", () => {
  let bench: EndsBench;
  let base: string;
  beforeAll(async () => {
    bench = await openEnds();
    base = await bench.layer(
      `${BUSYBOX}; printf '${PASSWD}' > etc/passwd; printf '${GROUP}' > etc/group; mkdir -p srv/web; chmod 755 srv/web`,
    );
  });
  afterAll(() => bench.close());

  type Over = Partial<Extract<VmSpec["vm"], { kind: "oci" }>>;
  const held = (over: Partial<VmProcess>): Over => ({ process: { ...USUAL_PROCESS, ...over } });
  const sh = (script: string, over: Over = {}, wanted: Partial<Wanted> = {}): Promise<Came> =>
    bench.run({ vm: bench.image([base], ["sh", "-c", script], over), tree: TREE_OF_OUT, ...wanted });
  const ended = (reason: "completed" | "stopped", exitCode: number) => ({ ended: { kind: "result", reason, exitCode } });

  it("is the first process of its own namespaces, in a root and with devices of its own", async () => {
    const came = await sh(
      [
        "echo $$; set -- /proc/[0-9]*; echo $#; hostname; echo $HOSTNAME; grep -c rented /etc/hosts; echo $HOME $container",
        "echo $(ls /dev); cat /proc/self/cgroup; mkdir /sys/fs/cgroup/inner && echo inner",
        "unshare -U true && echo a user namespace; touch /sys/x 2>/dev/null || echo no writing there; hostname other; hostname",
        "echo > /dev/stdout; kill -9 $$; echo a first process is not killed from within",
      ].join("\n"),
      { hostname: "rented" },
    );
    expect(came).toMatchObject({
      ...ended("completed", 0),
      stdout: [
        ...["1", "1", "rented", "rented", "1", "/root oci"],
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero",
        ...["0::/", "inner", "a user namespace", "no writing there", "other", "", "a first process is not killed from within", ""],
      ].join("\n"),
    });
  });

  it("writes to its streams, its folder and /out without being root", async () => {
    const script =
      "id; pwd; ls -ld . | cut -d' ' -f1; echo to stdout > /dev/stdout; echo to stderr > /proc/self/fd/2; touch here /out/a; mkdir /out/d; exit 3";
    const came = await sh(script, { user: "web", workdir: "/new/work" });
    expect(came).toMatchObject({
      ...ended("completed", 3),
      stdout: "uid=33(web) gid=44(web) groups=29(audio),44(web),50(log)\n/new/work\ndrwxr-xr-x\nto stdout\n",
      stderr: "to stderr\n",
      files: { "out/a": "" },
    });
  });

  it("finds what its image has in /out, and hands back what it writes and changes there, whole, and no more", async () => {
    const owned = await bench.layer(
      [
        "mkdir -p out/d out/e etc/ssh; printf '#!/bin/sh\\nexec sh -c \"$1\"\\n' > out/app; chmod 755 out/app; echo kept > out/kept; echo of the image > out/d/a",
        "head -c 200000 /dev/zero > out/d/long; echo moved > out/e/m; ln out/kept out/same; echo a key > etc/ssh/ssh_host_rsa_key",
        "chown 33:44 out; chmod 1777 out",
      ].join("\n"),
    );
    const script = [
      "stat -c '%a %u:%g' .; cat kept d/a /etc/ssh/ssh_host_rsa_key; ls -1; echo more >> d/a; chmod 700 d/long; mv e/m e/n; mv e f; rm kept; echo new > d/b",
      "ls -1; cat same f/n; test -e kept || echo gone",
    ].join("\n");
    const came = await bench.run({ vm: bench.image([base, owned], ["/out/app", script], { workdir: "/out" }), tree: TREE_OF_OUT });
    expect(came).toMatchObject({
      ...ended("completed", 0),
      stdout: "1777 33:44\nkept\nof the image\na key\napp\nd\ne\nkept\nsame\napp\nd\nf\nsame\nkept\nmoved\ngone\n",
      stderr: "",
    });
    expect("files" in came && came.files).toEqual({
      ...{ "out/d/a": "of the image\nmore\n", "out/d/b": "new\n", "out/f/n": "moved\n" },
      "out/d/long": "\0".repeat(1_000),
    });
    const over = { user: "7:8" };
    const own = await bench.run({
      vm: bench.image([base, owned], ["/out/app", "stat -c '%a %u:%g' /out; touch /out/a"], over),
      tree: TREE_OF_OUT,
    });
    expect(own).toMatchObject({ ...ended("completed", 0), stdout: "1777 7:8\n", stderr: "", files: { "out/a": "" } });
  });

  it("has what its image calls /out and is no folder, and is told that nothing comes back", async () => {
    const layer = await bench.layer("printf 'of the image' > file; ln -s file out");
    const came = await bench.run({ vm: bench.image([base, layer], ["sh", "-c", "cat /out; echo more >> /file"]), tree: TREE_OF_OUT });
    expect(came).toMatchObject({ ...ended("completed", 0), stdout: "of the image", files: {} });
    expect("ended" in came && came.ended).toMatchObject({ detail: "nothing comes back: /out in this image is no folder" });
    const entries = [{ path: "out/a", kind: "directory" as const }];
    const brought = await bench.run({ vm: bench.image([base, layer], ["true"]), tree: { ...TREE_OF_OUT, entries } });
    expect(brought).toMatchObject({ refused: "job-refused", words: expect.stringContaining("/file in the image is no folder") });
  });

  it.each([
    ["run/dev", "run/dev"],
    ["/var/dev", "var/dev"],
    ["../../to/./it/", "to/it"],
  ])("has devices and a terminal where its image's /dev leads, to %s", async (target, folder) => {
    const layer = await bench.layer(`echo no folder > tmp; mkdir -p ${folder}; ln -s ${target} dev`);
    const script = [
      "readlink /dev; tty; stty size; test -c /dev/console && echo a console; ls /sys/fs/cgroup >/dev/null && echo groups",
      "echo to stdout > /dev/stdout; stat -c '%F' /dev/null /dev/mqueue; cat /tmp",
    ].join("\n");
    const vm = bench.image([base, layer], ["sh", "-c", script], { ...held({ terminal: { rows: 10, columns: 20 } }), user: "web" });
    const lines = [
      target,
      "/dev/pts/0",
      "10 20",
      "a console",
      "groups",
      "to stdout",
      "character special file",
      "directory",
      "no folder",
      "",
    ];
    expect(await bench.run({ vm })).toMatchObject({ ...ended("completed", 0), stdout: lines.join("\r\n") });
  });

  it("has the folders that its image calls volumes and its folder, where the image has none or links to nothing, and is known by name", async () => {
    const links = await bench.layer(
      "mkdir -p etc var srv/web own; echo root:x:0:0::/root:/bin/sh > etc/passwd; chown 7:8 own; ln -s ../run var/run; ln -s /var/lib/work work",
    );
    const script =
      "pwd; stat -c '%n %a %u:%g' /new /new/volume /run /run/v /own . /var/lib; echo x > /new/volume/f && cat /new/volume/f; touch a; whoami; id -gn; echo $HOME; df / | wc -l; readlink /etc/mtab";
    const came = await bench.run({
      vm: bench.image([base, links], ["sh", "-c", script], {
        ...{ volumes: ["/new/volume/", "/var/run/v", "/own"], workdir: "/work/", user: "1234:78" },
      }),
    });
    expect(came).toMatchObject({
      ...ended("completed", 0),
      stdout: [
        ...["/var/lib/work", "/new 755 0:0", "/new/volume 755 1234:78", "/run 755 0:0", "/run/v 755 1234:78", "/own 755 7:8"],
        ...[". 755 1234:78", "/var/lib 755 0:0", "x", "1234", "78", "/", "2", "/proc/mounts", ""],
      ].join("\n"),
      stderr: "",
    });
  });

  it("ignores and blocks no signal, and may open as many files as under container engines", async () => {
    const vm = bench.image([base], ["cat", "/proc/self/status", "/proc/self/limits"], { user: "web" });
    const came = await bench.run({ vm, tree: TREE_OF_OUT });
    if (!("stdout" in came)) throw new Error(JSON.stringify(came));
    const words = came.stdout.split("\n").map((line) => line.split(/\s{2,}|\t/));
    const said = (name: string) => words.find(([first]) => first === name)?.slice(1, 3);
    expect([said("SigBlk:"), said("SigIgn:")]).toEqual([["0".repeat(16)], ["0".repeat(16)]]);
    expect([said("Max open files"), said("Max processes")]).toEqual([
      ["1024", "524288"],
      ["unlimited", "unlimited"],
    ]);
  });

  describe("as whom it runs", () => {
    const INIT = path.resolve(import.meta.dirname, "../../packages/guests/src/qemu/init/container.pl");
    let root: string;
    beforeAll(async () => {
      root = path.join(bench.folder, "users");
      await mkdir(path.join(root, "etc"), { recursive: true });
      await run("sh", ["-c", `printf '${PASSWD}' > etc/passwd; printf '${GROUP}' > etc/group`], { cwd: root });
    });
    const asked = async (spec: string, at = root): Promise<string> => {
      const says =
        'sub fail { die @_ } do $ARGV[0]; my %who = user(@ARGV[1, 2]); print "$who{uid}:$who{gid}:$who{groups} $who{home} $who{problem}"';
      return (await run("perl", ["-e", says, INIT, at, spec])).stdout.trim();
    };
    it.each([
      ["", "0:0: /root"],
      ["web", "33:44:50 29 /srv/web"],
      ["web:log", "33:50: /srv/web"],
      ["33", "33:44:50 29 /srv/web"],
      ["33:50", "33:50: /srv/web"],
      ["1234", "1234:0: /"],
      ["1234:77", "1234:77: /"],
      ["root:web", "0:44: /root"],
      ["web:", "33:44: /srv/web"],
      ["web:log:more", "33:50: /srv/web"],
      ["+33", "33:44:50 29 /srv/web"],
      ["0033:050", "33:50: /srv/web"],
      ["7", "7:0: /"],
      ["0:9", "0:9: /root"],
      ["short", "61:0: /"],
      ["nobody", expect.stringContaining("user nobody is not in the image's /etc/passwd")],
      ["4294967295", expect.stringContaining("4294967295 is no number of a user or group")],
      ["web:4294967296", expect.stringContaining("4294967296 is no number of a user or group")],
      ["web:nogroup", expect.stringContaining("group nogroup is not in the image's /etc/group")],
      ["99999999999", expect.stringContaining("user 99999999999 is not in")],
    ])("user '%s'", async (spec, who) => {
      expect(await asked(spec)).toEqual(who);
    });

    it.each([
      // image's passwd, image's group, uid, gid: the lines that are new
      ["root:x:0:0::/root:/bin/sh\n", "root:x:0:\n", 1234, 0, "1234:*:1234:0:container user:/:/bin/sh", ""],
      ["root:x:0:0::/root:/bin/sh", "root:x:0:", 1234, 77, "1234:*:1234:77:container user:/:/bin/sh", "77:x:77:1234"],
      ["root:x:0:0::/root:/bin/sh\r\nweb:x:33:44::/srv:/bin/sh\r\n", "web:x:44:\r\n", 33, 44, "", ""],
      [null, null, 1234, 0, "1234:*:1234:0:container user:/:/bin/sh", "0:x:0:1234"],
    ])("files %j and %j know %i:%i afterwards", async (passwd, group, uid, gid, newUser, newGroup) => {
      const at = await mkdtemp(path.join(bench.folder, "enrolled-"));
      await mkdir(path.join(at, "etc"));
      const files = [path.join(at, "etc/passwd"), path.join(at, "etc/group")] as const;
      for (const [i, text] of [passwd, group].entries()) if (text !== null) await writeFile(files[i]!, text);
      const says = "do $ARGV[0]; chroot $ARGV[1]; enrolled({ uid => $ARGV[2], gid => $ARGV[3], home => '/' })";
      await run("perl", ["-e", says, INIT, at, String(uid), String(gid)]);
      const came = await Promise.all(files.map((each) => readFile(each, "utf8")));
      const also = (text: string | null, line: string): string =>
        line === "" ? (text ?? "") : `${text ?? ""}${!text || text.endsWith("\n") ? "" : "\n"}${line}\n`;
      expect(came).toEqual([also(passwd, newUser), also(group, newGroup)]);
      for (const each of files) expect((await stat(each)).mode & 0o777).toBe(0o644);
    });

    it("is looked up behind links, also such as begin at the image's root (containerd 12683)", async () => {
      const at = path.join(bench.folder, "linked");
      const script = `mkdir -p etc nix/store; printf '${PASSWD}' > nix/store/passwd; printf '${GROUP}' > nix/store/group; ln -s /nix/store/passwd etc; ln -s ../../nix/store/group etc`;
      await mkdir(at);
      await run("sh", ["-c", script], { cwd: at });
      expect(await asked("web", at)).toBe("33:44:50 29 /srv/web");
      expect(await asked("7:log", at)).toBe("7:50: /");
    });

    it("gives no line to what is no file", async () => {
      const at = await mkdtemp(path.join(bench.folder, "enrolled-"));
      await run("sh", ["-c", "mkdir etc; mkfifo etc/passwd; ln -s /etc/none/group etc/group"], { cwd: at });
      await run("perl", ["-e", "do $ARGV[0]; chroot $ARGV[1]; enrolled({ uid => 1234, gid => 5, home => '/' })", INIT, at]);
      expect((await lstat(path.join(at, "etc/passwd"))).isFIFO()).toBe(true);
    });

    it("is told where the files that would say it are none", async () => {
      const script = "rm etc/passwd etc/group; ln -s /etc/passwd etc/passwd; mkfifo etc/group";
      await run("sh", ["-c", script], { cwd: root });
      expect(await asked("web")).toContain("user web is not in the image's /etc/passwd");
    });
  });

  it.each([
    ["/new/a", "/new/a 1"],
    ["own", "/own 0"],
    ["/own/../own/./b/", "/own/b 1"],
    ["/to-nothing", "/var/lib/nothing 1"],
    ["/below/x/y", "/var/x/y 1"],
    ["/", " 0"],
    ["/..//.", " 0"],
    ["/loop/x", " in the image it leads from link to link without end"],
    ["/file", " /file in the image is no folder"],
    ["/file/x", " /file in the image is no folder"],
    ["/own/below/../../..", " 0"],
    ["/new/..", " 0"],
  ])("its folder %s is found or made inside of its image", async (asked, expected) => {
    const at = await mkdtemp(path.join(bench.folder, "places-"));
    const script =
      "mkdir own var var/lib; ln -s /var/lib/nothing to-nothing; ln -s ../../var below; ln -s /loop loop; echo > file; ln -s ../var/lib/.. own/below";
    await run("sh", ["-c", script], { cwd: at });
    const init = path.resolve(import.meta.dirname, "../../packages/guests/src/qemu/init/container.pl");
    const says =
      'do $ARGV[0]; my ($at, $made) = place($ARGV[1], $ARGV[2]); $at =~ s/^\\Q$ARGV[1]\\E// if defined $at; print join " ", $at // "", $made // ""';
    expect((await run("perl", ["-e", says, init, at, asked])).stdout).toBe(expected);
  });

  it("reads what its customer sends while it runs, no faster than it wants, to its end", async () => {
    const bytes = Buffer.concat([randomBytes(1_500_000), Buffer.alloc(50_000, 0x7e), Buffer.alloc(50_000, 0x7d)]);
    const most = { at: 0 };
    const came = await sh("read a; echo got $a; sleep 1; sha256sum; cat; echo over", held({ stdin: true }), {
      async meanwhile({ says, controls: { stdin } }) {
        if (!stdin) throw new Error("nothing is read");
        await until(async () => stdin.taken === 0);
        expect(await stdin.receive(0, Buffer.from("first\n"), false)).toBeNull();
        await says("got first");
        expect(await stdin.receive(7, Buffer.from("x"), false)).toContain("out of its order");
        expect(await stdin.receive(6, Buffer.alloc(1_000_000), false)).toContain("more input was sent than was asked for");
        for (let at = 0; at < bytes.length;) {
          const part = bytes.subarray(at, at + 32_768);
          most.at = Math.max(most.at, 6 + at - (stdin.taken ?? 0));
          if (6 + at + part.length - (stdin.taken ?? 0) > 512 * 1_024) {
            const { promise, resolve } = Promise.withResolvers<void>();
            stdin.onTaken(resolve);
            if (6 + at + part.length - (stdin.taken ?? 0) > 512 * 1_024) await promise;
            continue;
          }
          // as after a lost link: what was sent before is passed over
          expect(await stdin.receive(Math.max(6, 6 + at - 100), bytes.subarray(Math.max(0, at - 100), at + part.length), false)).toBeNull();
          at += part.length;
        }
        expect(await stdin.receive(6 + bytes.length, Buffer.alloc(0), true)).toBeNull();
        await until(async () => stdin.taken === 6 + bytes.length);
      },
    });
    expect(most.at).toBeGreaterThan(400_000);
    expect(came).toMatchObject({
      ...ended("completed", 0),
      stdout: `got first\n${createHash("sha256").update(bytes).digest("hex")}  -\nover\n`,
    });
  });

  it("does not stand in the way of a program that reads nothing", async () => {
    const came = await sh("exec <&-; echo closed; sleep 1000 & wait", held({ stdin: true }), {
      async meanwhile({ says, controls: { stdin }, stop }) {
        await says("closed");
        for (let at = 0; at < 4; at++) await stdin?.receive(at * 100_000, Buffer.alloc(100_000), at === 3);
        await until(async () => stdin?.taken === 400_000);
        await stop();
      },
    });
    expect(came).toMatchObject({ ended: { kind: "result", reason: "stopped" } });
  });

  it("has a terminal: of the size of its customer's, with its keys", async () => {
    const script =
      "trap 'echo resized $(stty size)' WINCH; trap 'echo interrupted' INT; tty; stty size; until [ \"$line\" = over ]; do line=; read line && echo line $line; done; read more || echo and no more";
    const came = await sh(
      script,
      { ...held({ stdin: true, terminal: { rows: 40, columns: 132 } }), user: "web" },
      {
        async meanwhile({ says, controls }) {
          const { stdin } = controls;
          let at = 0;
          const type = async (text: string): Promise<void> => {
            await until(async () => stdin?.taken === at);
            expect(await stdin?.receive(at, Buffer.from(text), false)).toBeNull();
            at += text.length;
          };
          await says("40 132");
          await type("hello\r");
          await says("line hello");
          controls.resize({ rows: 20, columns: 60 });
          await type("\r"); // traps run when a read is over, at the latest
          await says("resized 20 60");
          await type("\x03");
          await type("\r");
          await says("interrupted");
          await type("over\r");
          await says("line over");
          await type("\x04");
        },
      },
    );
    expect(came).toMatchObject(ended("completed", 0));
    expect("stdout" in came && came.stdout).toMatch(/^\/dev\/pts\/0\r\n40 132\r\nhello\r\n[^]*and no more\r\n$/);
  });

  it("hears the end of its input also where it takes the terminal over after it was typed, as a shell's line editor does", async () => {
    const came = await sh("sleep 1; exec sh -i", held({ stdin: true, terminal: { rows: 24, columns: 80 } }), {
      async meanwhile({ controls: { stdin } }) {
        await until(async () => stdin?.taken === 0);
        expect(await stdin?.receive(0, Buffer.alloc(0), true)).toBeNull();
      },
    });
    expect(came).toMatchObject(ended("completed", 0));
  });

  describe("is asked to end", () => {
    const loop = "while :; do sleep 0.1; done";
    const asked = (script: string, over: Over = {}, wanted: Partial<Wanted> = {}, withinMs = AMPLE_MS): Promise<Came> =>
      sh(script, over, {
        ...wanted,
        async meanwhile({ says, stop }) {
          await says("begun");
          await stop(withinMs);
        },
      });

    it("by the image's own signal, and hands back what it then leaves, with its own exit code", async () => {
      const script = `trap '' TERM; trap 'echo kept > /out/a; echo bye; exit 7' USR2; echo begun; ${loop}`;
      const came = await asked(script, held({ stopSignal: 12, stopGraceMs: 60_000 }));
      expect(came).toMatchObject({ ...ended("stopped", 7), stdout: "begun\nbye\n", files: { "out/a": "kept\n" } });
    });

    it("and is killed when its grace is over; what it left comes back all the same", async () => {
      const came = await asked(`trap '' TERM; echo kept > /out/a; echo begun; ${loop}`, held({ stopGraceMs: 500 }));
      expect(came).toMatchObject({ ...ended("stopped", 137), stdout: "begun\n", files: { "out/a": "kept\n" } });
    });

    it("at once where no time is left to it", async () => {
      expect(await asked(`trap 'exit 7' TERM; echo begun; ${loop}`, {}, {}, 0)).toMatchObject({
        ended: { kind: "result", reason: "stopped", exitCode: null },
      });
    });
  });

  describe("may be an init", () => {
    let debian: string;
    beforeAll(async () => {
      const tar = await debianInits();
      const copy = path.join(bench.folder, "inits.tar");
      await copyFile(tar, copy);
      debian = await bench.blob(copy);
      await rm(copy);
    });
    const init = (args: string[], over: Over, wanted: Partial<Wanted>): Promise<Came> =>
      bench.run({ vm: bench.image([debian], args, over), diskMib: 1_024, memoryMib: 512, outputMibMax: 4, ...wanted });
    const trapped = "trap 'echo bye; exit 7' TERM; echo begun; while :; do sleep 0.1; done";
    const stopped = (text: string, then: Partial<Wanted> = {}): Partial<Wanted> => ({
      async meanwhile({ says, stop }) {
        await says(text);
        await stop(AMPLE_MS);
      },
      ...then,
    });

    it.each([
      ["tini", ["tini", "--", "sh", "-c", trapped], 7],
      ["dumb-init", ["dumb-init", "sh", "-c", trapped], 7],
      [
        "s6-svscan",
        [
          "sh",
          "-c",
          "mkdir -p /run/service/a; printf '#!/bin/sh\\ntrap \"echo bye; exit 0\" TERM; echo begun; while :; do sleep 0.1; done\\n' > /run/service/a/run; chmod 755 /run/service/a/run; exec s6-svscan /run/service",
        ],
        0,
      ],
    ])("%s", async (_, args, exitCode) => {
      const came = await init(args, held({ stopGraceMs: 60_000 }), stopped("begun"));
      expect(came).toMatchObject({ ...ended("stopped", exitCode), stdout: expect.stringContaining("bye") });
    });

    it("runit and busybox init, too", async () => {
      const service = "printf '#!/bin/sh\\necho begun as $PPID; exec sleep 1000\\n' > /etc/service/a/run; chmod 755 /etc/service/a/run";
      const runit = await init(
        ["sh", "-c", `mkdir -p /etc/service/a; ${service}; exec runsvdir /etc/service`],
        held({ stopSignal: 1, stopGraceMs: 60_000 }),
        stopped("begun as"),
      );
      expect(runit).toMatchObject(ended("stopped", 111));
      const table = "echo '::sysinit:/bin/echo begun' > /etc/inittab; echo '::shutdown:/bin/echo bye' >> /etc/inittab; exec busybox init";
      const busybox = await init(
        ["sh", "-c", table],
        { ...held({ stopSignal: 12, stopGraceMs: 60_000, terminal: { rows: 24, columns: 80 } }) },
        stopped("begun"),
      );
      expect(busybox).toMatchObject({ ended: { kind: "result", reason: "stopped" }, stdout: expect.stringContaining("bye") });
    });

    it("systemd, with its units, halted by its own signal", async () => {
      const unit =
        '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/sh -c "echo unit $(cat /proc/1/comm) > /dev/console"\\nExecStop=/bin/sh -c "echo unit ends > /dev/console"\\n[Install]\\nWantedBy=multi-user.target\\n';
      const script = `printf '${unit}' > /etc/systemd/system/a.service; systemctl -q enable a; exec /sbin/init`;
      const came = await init(
        ["sh", "-c", script],
        held({ stopSignal: 37, stopGraceMs: 300_000, terminal: { rows: 24, columns: 80 } }),
        stopped("unit systemd"),
      );
      expect(came).toMatchObject(ended("stopped", 130));
      expect("stdout" in came && came.stdout).toContain("unit ends");
    });
  });
});
