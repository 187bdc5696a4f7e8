/**
 * An escaped guest, played by a program that runs any script in the worker's place: what it reaches of its host. The same table stands in
 * docs/threat-model.md, compared with a machine's box.
 */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostLimits, setShare } from "./cgroup.ts";
import { adopt, createSandbox, type Sandbox } from "./index.ts";
import { spawned, startTicksOf } from "./pool.ts";
import { createGroup } from "./worker-group.ts";

const PROGRAM = path.join(import.meta.dirname, "../../../test/escaped/program.ts");
let folder: string;
let sandbox: Sandbox;
let made = 0;
const limits = await hostLimits();
if (limits.kind === "process") console.warn(`SKIPPED without control groups: memory that is touched (${limits.why})`);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-escaped-"));
  sandbox = await createSandbox(path.join(folder, "sandbox"), new Map(), false, PROGRAM);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Came {
  said: string;
  signal: NodeJS.Signals | null;
}

async function folderWith(script: string): Promise<string> {
  const at = path.join(folder, `guest-${++made}`);
  await mkdir(at);
  await sandbox.own(at);
  await writeFile(path.join(at, "script.js"), script);
  return at;
}

/** What the script returned, or the signal that ended it. */
async function escaped(script: string): Promise<Came> {
  const at = await folderWith(script);
  const [command, ...args] = sandbox.command(at);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], env: {}, cwd: "/" });
  let said = "";
  child.stdout.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const signal = await new Promise<NodeJS.Signals | null>((resolve) => child.once("close", (_code, by) => resolve(by)));
  return { said: said.trim(), signal };
}
const isRoot = process.getuid?.() === 0;
const NUMBERS = process.arch === "arm64" ? 1 : 0;
const number = (x64: number, arm64: number): number => [x64, arm64][NUMBERS] ?? x64;
const tried = (expression: string): string => `try { return JSON.stringify(${expression}) } catch (e) { return e.code ?? e.message }`;

describe("an escaped guest", () => {
  it("is held by a filter of calls on this machine", () => {
    expect(sandbox.beneath).toMatchObject({ namespaces: "", calls: "", user: isRoot ? "" : expect.stringContaining("only root") });
    if (!isRoot) console.warn("SKIPPED without root: a user id of its own for each guest");
  });

  it("runs, and uses its folder", async () => {
    expect(await escaped("fs.writeFileSync('/w/x', 'x'); return fs.readFileSync('/w/x', 'utf8')")).toEqual({ said: "x", signal: null });
  });

  it.each([
    ["makes processes (a fork bomb)", 56, 220, "17, 0, 0, 0, 0"],
    ["runs programs", 59, 221, "0, 0, 0"],
    ["signals others", 62, 129, "-1, 9"],
    ["opens sockets", 41, 198, "2, 1, 0"],
    ["looks into processes (ptrace)", 101, 117, "16, 1, 0, 0"],
    ["reads others' memory (process_vm_readv)", 310, 270, "1, 0, 0, 0, 0"],
    ["mounts", 165, 40, "0, 0, 0, 0, 0"],
    ["makes user namespaces", 272, 97, `${0x10_00_00_00}`],
    ["enters namespaces", 308, 268, "0, 0"],
    ["changes its user", 105, 146, "0"],
    ["changes its root", 161, 51, "0"],
    ["reaches the keyrings", 250, 219, "0, 0, 0, 0, 0"],
    ["loads bpf", 321, 280, "0, 0, 0"],
    ["enters a ring (io_uring)", 426, 426, "0, 0, 0, 0, 0"],
    ["watches events of the processor", 298, 241, "0, 0, -1, -1, 0"],
    ["handles its own page faults", 323, 282, "0"],
    ["loads modules into the kernel", 175, 105, "0, 0, 0"],
    ["opens files by handle", 304, 265, "-100, 0, 0"],
    ["plants links to names", 266, 36, "0, -100, 0"],
    ["plants links to files", 265, 37, "-100, 0, -100, 0, 0"],
    ["plants pipes and devices", 259, 33, "-100, 0, 0, 0"],
    ["makes programs in memory (memfd)", 319, 279, "0, 0"],
  ])("is ended where it %s", async (_what, x64, arm64, args) => {
    expect(await escaped(`call(${number(x64, arm64)}, ${args}); return 'went on'`)).toEqual({ said: "", signal: "SIGSYS" });
  });

  it("goes on where it calls what it may: the program itself ends by no signal, nor does a mistake in its script", async () => {
    expect(await escaped(`return call(${number(39, 172)}) > 0`)).toEqual({ said: "true", signal: null });
    expect(await escaped("return nothing")).toEqual({ said: expect.stringContaining("the script failed"), signal: null });
  });

  it("gets no ring, and no thread by a call that cannot be looked into", async () => {
    const script = `return [call(425, 8, 0, 0, 0, 0, 0), call(435, 0, 88, 0, 0, 0, 0)].join()`;
    expect(await escaped(script)).toEqual({ said: "-1,-1", signal: null });
  });

  it.runIf(isRoot)("is nobody on its host, and changes nothing that the daemon put there for it", async () => {
    const ids = JSON.parse(
      (await escaped(tried(`[${[102, 104].map((x64, i) => `call(${number(x64, [174, 176][i] ?? 0)})`).join()}]`))).said,
    );
    expect(ids).toEqual([expect.any(Number), ids[0]]);
    expect(ids[0]).toBeGreaterThan(2 ** 30);
    expect(await escaped(tried("fs.writeFileSync('/w/script.js', 'x')"))).toEqual({ said: "EACCES", signal: null });
  });

  it("sees no file of the host, and changes none that others run", async () => {
    const neighbour = path.join(folder, "neighbour");
    await writeFile(neighbour, "another guest's");
    const names = [
      "/etc/passwd",
      "/proc/self",
      "/proc/1",
      "/sys",
      "/dev/null",
      "/dev/mem",
      "/tmp",
      "/old/etc",
      "/w/../old/proc",
      neighbour,
    ];
    expect(await escaped(`return ${JSON.stringify(names)}.filter((name) => fs.existsSync(name)).join()`)).toEqual({
      said: "",
      signal: null,
    });
    for (const file of ["/x", "/app/worker/main.js", "/bin/node"])
      expect(await escaped(tried(`fs.writeFileSync("${file}", "x")`))).toEqual({ said: "EROFS", signal: null });
  });

  it.runIf(limits.kind !== "process")("touches no more memory than its group has, and is known for it to any daemon", async () => {
    const touches = "const all = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1))";
    const at = await folderWith(touches);
    const group = await createGroup(sandbox.limits, at);
    if (group === null) throw new Error("there is no group");
    await setShare(group, { vcpu: 1, ceilingUs: null, memoryMib: 256, tasksMax: 72 });
    const [command, ...args] = sandbox.command(at, false, group);
    const child = spawn(command, args, { stdio: "ignore", env: {}, cwd: "/" });
    const pid = await spawned(child);
    const guest = adopt(at, { pid, startTicks: (await startTicksOf(pid)) ?? "gone" }, sandbox.limits);
    expect(await guest.ended).toEqual({ kind: "crashed", detail: "the guest's process took more memory than any job of its size can" });
    await guest.dispose();
  });

  it("has no more memory, files and bytes in a file than it was given", async () => {
    const mapped = `call(${number(9, 222)}, 0, ${2 * 1024 ** 3}, 3, ${0x22}, -1, 0)`; // read, write; private, anonymous
    expect(await escaped(`return ${mapped}`)).toEqual({ said: "-1", signal: null });
    const opened = "let n = 0; try { for (;; n++) fs.openSync('/bin/node') } catch (e) { return e.code + (n < 128) }";
    expect(await escaped(opened)).toEqual({ said: "EMFILEtrue", signal: null });
    const most = 1024 * 1024; // as the program in the worker's place has it
    const filled =
      "const fd = fs.openSync('/w/f', 'w'); let n = 0; try { for (;;) n += fs.writeSync(fd, Buffer.alloc(65535)) } catch (e) { return e.code + n }";
    expect(await escaped(filled)).toEqual({ said: `EFBIG${most}`, signal: null });
    const written = (at: number): string => tried(`fs.writeSync(fs.openSync('/w/f', 'w'), Buffer.alloc(1), 0, 1, ${at})`);
    expect(await escaped(written(most - 1))).toEqual({ said: "1", signal: null });
    expect(await escaped(written(most))).toEqual({ said: "EFBIG", signal: null });
    expect(await escaped(tried(`fs.ftruncateSync(fs.openSync('/w/f', 'w'), ${most + 1})`))).toEqual({ said: "EFBIG", signal: null });
  });
});
