/** An unmodified Debian from its disk image: GRUB, systemd, cloud-init's seed, SSH, the guest agent; snapshots and forks; a daemon that is killed. */
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { isRight, still } from "./clocks.ts";
import { cliHome, debianDisk, machines, qemus, run, vmMarket } from "./support.ts";

/** Connections that are reset with what was said in them. */
const AT_ONCE = 10;
/** How wrong a guest's time of day may be. */
const CLOCK_MS = 1_000;

machines("a Debian from its disk image", () => {
  let market: TestMarket;
  let cli: Awaited<ReturnType<typeof cliHome>>;
  let folder: string;
  let lease: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-disk-test-"));
    const image = await debianDisk();
    market = await vmMarket();
    cli = await cliHome(market);
    await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", path.join(folder, "key")]);
    const words = [
      "--ssh-key",
      path.join(folder, "key.pub"),
      "--user",
      "carl",
      "--hostname",
      "rented",
      "--mem",
      "512M",
      "--max-time",
      "1h",
    ];
    const ran = await cli.xeno("run", "--vm", image, "--accel", "any", "--detach", "-q", ...words);
    if (ran.code !== 0) throw new Error(ran.stderr);
    lease = ran.stdout.trim();
    await until(async () => (await ssh("true")).code === 0);
  });
  afterAll(async () => {
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });
  const ssh = (command: string) => cli.xeno("ssh", lease, "-l", "carl", "-i", path.join(folder, "key"), command);

  it("was booted by GRUB, unmodified, with the seed's name, user and key", async () => {
    const { stdout } = await cli.xeno("logs", lease);
    expect(stdout).toMatch(/GRUB|grub/);
    expect((await ssh("hostname; id -un")).stdout).toBe("rented\ncarl\n");
    const key = ["-l", "carl", "-i", path.join(folder, "key")];
    // what follows -- is ssh's, and counts in place of what is usual here
    const told = await cli.xeno("ssh", lease, ...key, "--", "-o", "LogLevel=INFO", "-p", "22", "exit 42");
    expect(told).toMatchObject({ code: 42, stderr: expect.stringContaining("Permanently added") as string });
    // as rsync, git, scp and sftp ask for it: options before the machine, and its user with it
    expect(await cli.xeno("ssh", ...key.slice(2), "-o", "LogLevel=ERROR", "--", `carl@${lease}`, "id -un")).toMatchObject({
      code: 0,
      stdout: "carl\n",
    });
    const hostKey = createHash("sha256")
      .update((await ssh("cat /etc/ssh/ssh_host_ed25519_key.pub")).stdout)
      .digest("hex");
    expect(hostKey).toMatch(/^[0-9a-f]{64}$/);
  });

  it("runs programs and copies files with the shell that its guest agent is handed", async () => {
    const ran = await cli.xeno("exec", lease, "--", "sh", "-c", "echo out; echo err >&2; exit 4");
    expect(ran).toMatchObject({ code: 4, stdout: "out\n" });
    expect(ran.stderr).toContain("err");
    expect(await cli.xeno("exec", lease, "--", "no-such-program")).toMatchObject({
      code: 127,
      stderr: expect.stringContaining("not found") as string,
    });
    const file = path.join(folder, "file");
    await writeFile(file, Buffer.alloc(2_000_001, 9));
    expect((await cli.xeno("cp", file, `${lease}:/tmp/file`)).code).toBe(0);
    const sum = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    expect((await cli.xeno("exec", lease, "--", "sha256sum", "/tmp/file")).stdout).toContain(sum);
    expect((await cli.xeno("cp", `${lease}:/tmp/file`, `${file}.back`)).code).toBe(0);
    expect((await readFile(`${file}.back`)).equals(await readFile(file))).toBe(true);
    expect((await cli.xeno("cp", `${lease}:/no/such`, file)).stderr).toContain("No such file");
    const typed = await cli.xeno("exec", "-t", lease, "--", "sh", "-c", "tty; stty size");
    expect(typed.stdout.replaceAll("\r", "")).toMatch(/^\/dev\/pts\/\d+\n24 80\n$/);
  });

  it("has its agent alone where it has no Perl: programs without input, files one by one", async () => {
    const root = (command: string) => cli.xeno("exec", lease, "--", "sh", "-c", command);
    // what serves programs there is ended by one of them
    const cut = await root("mv /usr/bin/perl /usr/bin/perl.away; pkill -f xeno.shell0; sleep 1000");
    expect(cut.stderr).toContain("the link went down");
    const ran = await root("echo out; echo err >&2; exit 4");
    expect(ran).toMatchObject({ code: 4, stdout: "out\n", stderr: expect.stringContaining("err") as string });
    const file = path.join(folder, "file");
    expect((await cli.xeno("cp", file, `${lease}:/tmp/by-agent`)).code).toBe(0);
    expect((await cli.xeno("cp", `${lease}:/tmp/by-agent`, `${file}.agent`)).code).toBe(0);
    expect((await readFile(`${file}.agent`)).equals(await readFile(file))).toBe(true);
    expect((await cli.xeno("cp", folder, `${lease}:/tmp`)).stderr).toContain("no Perl");
    expect((await cli.xeno("exec", "-t", lease)).stderr).toContain("no Perl");
    await root("mv /usr/bin/perl.away /usr/bin/perl");
    expect((await root("echo again")).stdout).toBe("again\n");
  });

  it("forwards a port of this machine to one of the guest's", async () => {
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const port = await freePort();
    const forward = spawn(process.execPath, [program, "forward", lease, `${port}:22`], {
      env: { ...process.env, XENO_HOME: cli.home },
      stdio: "ignore",
    });
    try {
      await until(
        async () =>
          (await run("bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; head -c 7 <&3`]).catch(() => ({ stdout: "" }))).stdout ===
          "SSH-2.0",
      );
    } finally {
      forward.kill("SIGINT");
    }
  });

  it("hands over what a guest's port answers to a program that has said all", async () => {
    const server = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 7777, Listen => 5) or die; exit if fork;
      close STDOUT; close STDERR; while (my $c = $s->accept) { local $/; my $d = <$c>; print $c length($d) . " heard"; close $c }`;
    expect(await cli.xeno("exec", lease, "--", "perl", "-e", server)).toMatchObject({ code: 0 });
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const env = { ...process.env, XENO_HOME: cli.home };
    const asked = spawn(process.execPath, [program, "forward", lease, "stdio:7777"], { env, stdio: ["pipe", "pipe", "inherit"] });
    asked.stdin.end(Buffer.alloc(300_000));
    const [answer] = await Promise.all([text(asked.stdout), once(asked, "exit")]);
    expect(answer).toBe("300000 heard");
  });

  it("says that a guest's connection was reset, which is no end of it", async () => {
    // what it leaves unread makes a reset of its close
    const server = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 7778, Listen => 5) or die; exit if fork;
      close STDOUT; close STDERR; while (my $c = $s->accept) { sysread $c, my $d, 1; close $c }`;
    expect(await cli.xeno("exec", lease, "--", "perl", "-e", server)).toMatchObject({ code: 0 });
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const env = { ...process.env, XENO_HOME: cli.home, NO_COLOR: "1" };
    const asked = spawn(process.execPath, [program, "forward", lease, "stdio:7778"], { env, stdio: ["pipe", "ignore", "pipe"] });
    asked.stdin.write("more than is read"); // and it goes on
    const [says, [code]] = await Promise.all([text(asked.stderr), once(asked, "exit")]);
    expect(says).toMatch(/^error: .*(reset|ECONNRESET)/);
    expect(code).toBe(125);
  });

  it("tells the guest of a connection that was reset here, which is no end of it, and of one that ended", async () => {
    const server = `use IO::Socket::INET; my $s = IO::Socket::INET->new(LocalPort => 7779, Listen => 5) or die; exit if fork;
      close STDOUT; close STDERR; open my $log, ">", "/tmp/came"; $log->autoflush;
      while (my $c = $s->accept) { my $n; do { $n = sysread $c, my $d, 100; print $log "$d\n" if $n } while $n;
      print $log defined $n ? "end\n" : "$!\n"; close $c }`;
    expect(await cli.xeno("exec", lease, "--", "perl", "-e", server)).toMatchObject({ code: 0 });
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const env = { ...process.env, XENO_HOME: cli.home };
    const port = await freePort();
    const forward = spawn(process.execPath, [program, "forward", lease, `${port}:7779`], { env, stdio: "ignore" });
    const came = async (): Promise<string> => (await cli.xeno("exec", lease, "--", "cat", "/tmp/came")).stdout;
    const joined = async (): Promise<Socket> => {
      let socket = new Socket();
      await until(() => {
        socket = connect(port, "127.0.0.1");
        return once(socket, "connect").then(
          () => true,
          () => false,
        );
      });
      return socket;
    };
    try {
      (await joined()).end("all that there is");
      const whole = "all that there is\nend\n";
      await until(async () => (await came()) === whole);
      const reset = await joined();
      reset.write("a part");
      // it is in the guest: one that is reset sooner may never have been there
      await until(async () => (await came()) === `${whole}a part\n`);
      reset.resetAndDestroy();
      await until(async () => (await came()) !== `${whole}a part\n`);
      expect(await came()).toBe(`${whole}a part\nConnection reset by peer\n`);
      // both at once: whatever of it came, and whether it came at all, it did not end; the program has one after the other
      for (let i = 0; i < AT_ONCE; i++) {
        const together = await joined();
        together.write("of it");
        await until(() => together.writableLength === 0);
        together.resetAndDestroy();
        (await joined()).end(`next ${i}`);
        await until(async () => (await came()).includes(`next ${i}\nend\n`));
      }
      expect((await came()).split("\n").filter((line) => line === "end")).toHaveLength(1 + AT_ONCE);
    } finally {
      forward.kill("SIGINT");
    }
  });

  it("is left with no file behind when ssh is told to end", async () => {
    const program = path.resolve(import.meta.dirname, "../../packages/cli/bin/xeno.js");
    const temporary = path.join(folder, "temporary");
    await mkdir(temporary);
    const words = ["ssh", lease, "-l", "carl", "-i", path.join(folder, "key"), "echo is there; sleep 1000"];
    const child = spawn(process.execPath, [program, ...words], {
      env: { ...process.env, XENO_HOME: cli.home, TMPDIR: temporary },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    await once(child.stdout, "data");
    const scratch = async (): Promise<string[]> => (await readdir(temporary)).filter((name) => name.startsWith("xeno-"));
    expect(await scratch()).toEqual([expect.stringMatching(/^xeno-ssh-/)]);
    child.kill("SIGTERM");
    expect(await ended).toEqual([255, null]);
    expect(await scratch()).toEqual([]);
  });

  it("goes on in forks from one moment, each by itself", async () => {
    await ssh("echo before > /tmp/mark; sync");
    const forked = await cli.xeno("lease", "fork", lease, "1", "--json");
    expect(forked.code, forked.stdout + forked.stderr).toBe(0);
    const { leases } = JSON.parse(forked.stdout) as { leases: string[] };
    const [fork] = leases;
    expect((await cli.xeno("exec", fork!, "--", "cat", "/tmp/mark")).stdout).toBe("before\n");
    await cli.xeno("exec", fork!, "--", "sh", "-c", "echo fork > /tmp/mark");
    expect((await ssh("cat /tmp/mark")).stdout).toBe("before\n");
    const stopped = await cli.xeno("lease", "stop", fork!);
    expect(stopped.stdout).toContain("customer-stop");
  });

  it("has the right time of day after a pause, in a fork and after a reboot", async () => {
    const clockIsRight = (machine: string): Promise<void> =>
      until(async () => {
        const before = Date.now();
        const { stdout } = await cli.xeno("exec", machine, "--", "date", "+%s%3N");
        return isRight(Number(stdout), before, CLOCK_MS);
      });
    await clockIsRight(lease);
    await cli.xeno("lease", "pause", lease);
    for (const words of [
      ["exec", lease, "--", "true"],
      ["ssh", lease],
    ])
      expect((await cli.xeno(...words)).stderr).toContain("its customer paused it");
    await still();
    await cli.xeno("lease", "resume", lease);
    await clockIsRight(lease);
    const forked = await cli.xeno("lease", "fork", lease, "1", "--json");
    const { leases } = JSON.parse(forked.stdout) as { leases: string[] };
    await clockIsRight(leases[0]!);
    await cli.xeno("lease", "stop", leases[0]!);
    await clockIsRight(lease); // it stood still while it was kept
    await cli.xeno("exec", lease, "--", "sh", "-c", "touch /run/before");
    await cli.xeno("lease", "reboot", lease);
    await until(async () => (await cli.xeno("exec", lease, "--", "test", "!", "-e", "/run/before")).code === 0);
    await clockIsRight(lease);
  });

  it("lives on when its daemon goes, and is found again", async () => {
    await ssh("echo before > /tmp/mark");
    const [before] = await qemus(market.folder);
    await market.daemon.close(); // guests run on, as after kill -9
    expect(await qemus(market.folder)).toEqual([before]);
    market.daemon = await market.startServer();
    expect((await ssh("cat /tmp/mark")).stdout).toBe("before\n");
  });

  it("pays for what was used, and nobody is blamed, when it is gone while no daemon ran", async () => {
    await market.daemon.close();
    for (const pid of await qemus(market.folder)) process.kill(-pid, "SIGKILL");
    market.daemon = await market.startServer();
    await until(async () => (await cli.client.read("lease", { params: { id: lease } })).end !== null);
    const { end } = await cli.client.read("lease", { params: { id: lease } });
    expect(end).toMatchObject({ reason: "vm-crashed", blame: "nobody" });
    expect(BigInt(end!.dueNanos)).toBeGreaterThan(0n);
  });
});
