/**
 * Code that broke out of QEMU, played by a program in its place: the same box, the same user id, QEMU's own filter of calls as a running
 * QEMU has it. What it reaches of its host stands in docs/threat-model.md, beside what a WebAssembly guest's reaches.
 */
import { execFile, spawn } from "node:child_process";
import { chmod, copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { OWN_BOX, boxed, innermostOf, isRoot, uidOf } from "../../packages/guests/src/qemu/machine/box.ts";
import { inOwnBox } from "../../packages/guests/src/qemu/machine/own-box.ts";
import { planVm } from "../../packages/guests/src/qemu/machine/plan.ts";
import { boxFolder, boxPath, giveToBox, launchVm, makeVmFolder, type Vm } from "../../packages/guests/src/qemu/machine/vm.ts";
import { hostLimits, removeCgroup, wasOutOfMemory, type Cgroup } from "../../packages/guests/src/cgroup.ts";
import { machine, machines } from "./support.ts";

const run = promisify(execFile);
const NAME = "0000000a";
const PROGRAM = path.join(import.meta.dirname, "../escaped/in-box.pl");
const limits = await hostLimits();

/** Prints in hex the filter that a process has put on last (ptrace(2), PTRACE_SECCOMP_GET_FILTER). */
const FILTER_OF = `
my $pid = $ARGV[0] + 0;
syscall(101, 16, $pid, 0, 0) == 0 or die "attach: $!";
waitpid($pid, 0x40000000);
my ($last, $length) = (-1, 0);
while ((my $next = syscall(101, 0x420c, $pid, $last + 1, 0)) > 0) { $last++; $length = $next; }
my $filter = "\\0" x (8 * $length);
syscall(101, 0x420c, $pid, $last, $filter) == $length or die "the filter: $!";
syscall(101, 17, $pid, 0, 0);
print unpack("H*", $filter);
`;

machines("code that broke out of QEMU", () => {
  let folder: string;
  let filter: Buffer;
  let made = 0;

  beforeAll(async () => {
    process.umask(0o077); // as the unit of `xeno serve --install` has it
    folder = await mkdtemp(path.join(tmpdir(), "xeno-out-of-qemu-"));
    const at = path.join(folder, "qemu");
    await makeVmFolder(at);
    const { spec } = await machine({ vm: { kind: "disk", image: null, iso: null, seed: [] }, diskMib: 0 });
    const plan = { spec, accel: "tcg", files: {}, diskIopsMax: 0, diskBytesPerSecondMax: 0, restore: null, sharedMemory: null } as const;
    const args = planVm({ ...plan, deterministic: false });
    const vm: Vm = await launchVm({ ...OWN_BOX, folder: at, name: NAME, args, files: [], fileMibMax: 64, outputMibMax: 1 });
    try {
      const { stdout } = await run("perl", ["-e", FILTER_OF, String(await innermostOf(vm.handle.id.pid))]);
      filter = Buffer.from(stdout, "hex");
    } finally {
      await vm.dispose();
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  interface Came {
    said: string;
    /** Null where it was ended by a signal. */
    code: number | null;
  }

  async function escaped(script: string, cgroup: Cgroup | null = null): Promise<Came> {
    const at = path.join(folder, `guest-${++made}`);
    await makeVmFolder(at);
    const uid = uidOf(NAME);
    await giveToBox(boxFolder(at), uid);
    for (const [name, bytes] of [
      ["filter", filter],
      ["script.pl", script],
    ] as const) {
      await writeFile(boxPath(at, name), bytes);
      await chmod(boxPath(at, name), 0o444);
    }
    await copyFile(PROGRAM, boxPath(at, "program.pl"));
    await chmod(boxPath(at, "program.pl"), 0o444);
    const [command, ...args] = await boxed({ ...OWN_BOX, folder: boxFolder(at), fileMibMax: 1, uid, cgroup }, ["perl", "/w/program.pl"]);
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" }, cwd: "/" });
    let said = "";
    child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
    const code = await new Promise<number | null>((resolve) =>
      child.once("close", (status, signal) => resolve(signal === null ? status : null)),
    );
    return { said: said.trim(), code };
  }
  /** What a call came to: its error, or `did`. */
  const tried = (number: number, args: string, before = ""): string => `${before}syscall(${number}, ${args}) == -1 ? "$!" : "did"`;
  const returned = async (script: string): Promise<string> => {
    const { said, code } = await escaped(script);
    expect(code, said).toBe(0);
    return said;
  };

  it("has its own folder, and goes on where it calls what it may", async () => {
    const written = "open(my $out, '>', '/w/x') or die $!; print $out 'x'; close $out; -s '/w/x'";
    expect(await escaped(written)).toEqual({ said: "1", code: 0 });
    expect(await escaped("die 'a mistake'")).toEqual({ said: expect.stringContaining("the script failed: a mistake"), code: 0 });
  });

  it.each([
    ["makes processes (a fork bomb)", tried(57, "0")],
    ["makes processes by another call", tried(56, "17, 0, 0, 0, 0")],
    ["runs programs", "no warnings; exec('/bin/true'); 'did not'"],
    ["mounts", tried(165, "0, 0, 0, 0, 0")],
    ["makes user namespaces", tried(272, "0x10000000")],
    ["enters namespaces", tried(308, "0, 0")],
    ["changes its user", tried(105, "0")],
    ["calls by the numbers of another machine (x32)", tried(0x40_00_00_00 + 39, "0")],
  ])("is ended where it %s", async (_what, script) => {
    expect(await escaped(script)).toEqual({ said: "", code: null });
  });

  it.each([
    ["signals others", tried(62, "-1, 9"), "No such process"],
    ["changes its root", tried(161, "$root", "my $root = '/usr'; "), "Operation not permitted"],
    ["makes devices", tried(133, "$name, 020666, 0x103", "my $name = '/w/device'; "), "Operation not permitted"],
    ["loads modules into the kernel", tried(175, "$none, 0, $none", "my $none = ''; "), /Operation not permitted|Function not implemented/],
    ...(
      [
        ["looks into what shuts it in (ptrace)", tried(101, "16, 1, 0, 0")],
        ["reads others' memory (process_vm_readv)", tried(310, "1, 0, 0, 0, 0, 0")],
        ["reaches the keyrings", tried(250, "0, -3, 0, 0, 0")],
        ["loads bpf", tried(321, "0, 0, 0")],
        ["watches events of the processor", tried(298, "0, 0, -1, -1, 0")],
        ["handles its own page faults", tried(323, "1")],
        ["makes a ring (io_uring)", tried(425, "8, $ring", "my $ring = 'x' x 120; ")],
        ["enters a ring", tried(426, "0, 0, 0, 0, 0")],
        ["opens files by handle", tried(304, "-100, $handle, 0", "my $handle = pack('L l a8', 8, 1, ''); ")],
        ["makes threads by a call that cannot be looked into (clone3)", tried(435, "0, 88")],
      ] as const
    ).map(([what, script]): [string, string, string] => [what, script, "Function not implemented"]),
  ])("is refused where it %s", async (_what, script, error) => {
    expect(await returned(script)).toMatch(error);
  });

  it("sees no process but its own, and no file of the host but what it may read", async () => {
    const host = path.join(folder, "of-the-host");
    await writeFile(host, "the host's");
    expect(
      await returned(`join ' ', grep { -e } '/etc/passwd', '/sys', '/dev/mem', '/dev/kvm', '/old/etc', '/w/../old/proc', '${host}'`),
    ).toBe("");
    expect(await returned("join ' ', sort glob('/dev/* /proc/[0-9]*')")).toMatch(
      /^\/dev\/null \/dev\/urandom \/dev\/zero \/proc\/1( \/proc\/2)?$/,
    );
    expect(await returned("open(my $out, '>', '/usr/bin/x') ? 'did' : \"$!\"")).toBe("Read-only file system");
  });

  it("reaches no network but its own, where nobody listens", async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const connect = `use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!; connect($s, pack_sockaddr_in(${port}, inet_aton('127.0.0.1'))) ? 'did' : "$!"`;
    expect(await returned(connect)).toBe("Connection refused");
    server.close();
  });

  it.runIf(isRoot())("is nobody on its host, and changes nothing that was put there for it", async () => {
    expect(await returned("join ',', syscall(102), syscall(104)")).toBe(`${uidOf(NAME)},${uidOf(NAME)}`);
    expect(await returned("open(my $out, '>', '/w/script.pl') ? 'did' : \"$!\"")).toBe("Permission denied");
  });

  it("writes no file that is larger than it may be, to the byte", async () => {
    const most = 1024 * 1024;
    const upTo = (bytes: number): string =>
      `$SIG{XFSZ} = 'IGNORE'; open(my $out, '>', '/w/f') or die $!; truncate($out, ${bytes}) ? 'did' : "$!"`;
    expect([await returned(upTo(most)), await returned(upTo(most + 1))]).toEqual(["did", "File too large"]);
  });

  it.runIf(limits.kind !== "process")("takes no more memory than its group has", async () => {
    const cgroup = await limits.create("0000000a-escaped", { vcpu: 1, ceilingUs: null, memoryMib: 64, tasksMax: 32 });
    if (cgroup === null) throw new Error("there is no group");
    expect((await escaped("my $x = 'x' x (256 * 1024 * 1024); length $x", cgroup)).said).toBe("");
    expect(await wasOutOfMemory(cgroup)).toBe(true);
    await removeCgroup(cgroup);
  });

  it.runIf(limits.kind !== "process")("is bounded, too, where the daemon has a program look at an image", async () => {
    const at = path.join(folder, "looked-at");
    await makeVmFolder(at);
    const uid = uidOf(NAME);
    await giveToBox(boxFolder(at), uid);
    const work = { folder: boxFolder(at), fileMibMax: 1, uid, memoryMib: 64 };
    const looked = (mib: number) =>
      inOwnBox(work, ["perl", "-e", `my $x = 'x' x (${mib} * 1024 * 1024); print length $x`], ([program, ...args]) => run(program, args));
    expect((await looked(8)).stdout).toBe(String(8 * 1024 * 1024));
    await expect(looked(256)).rejects.toMatchObject({ fault: "untold", message: expect.stringContaining("64 MiB") });
  });
});
