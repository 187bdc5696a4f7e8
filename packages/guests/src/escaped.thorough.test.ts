/**
 * An escaped guest, played by a program that runs any script in the worker's place: what it reaches of its host. The same table stands in
 * docs/threat-model.md, compared with a machine's box.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { closeSync } from "node:fs";
import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hostLimits, setShare, type Cgroup } from "./cgroup.ts";
import { openHandIn, setApart } from "./handed-in.ts";
import { adopt, createSandbox, letGuestSee, type Sandbox } from "./index.ts";
import { spawned, startTicksOf } from "./programs/process-id.ts";
import { createGroup } from "./worker-group.ts";
import { HANDED_IN } from "./worker/handing.ts";

const PROGRAM = path.join(import.meta.dirname, "../../../test/escaped/program.ts");
/** As the program in the worker's place has it. */
const FILE_BYTES_MAX = 1024 * 1024;
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
  await letGuestSee(at);
  await writeFile(path.join(at, "script.js"), script);
  return at;
}

/** As the pool starts a worker: with what it hands in open, and nothing else. */
function started(at: string, said: "pipe" | "ignore", group: Cgroup | null = null): ChildProcess {
  const [command, ...args] = sandbox.command(at, false, group);
  const handIn = openHandIn(at);
  const child = spawn(command, args, { stdio: ["ignore", said, "inherit", ...handIn], env: {}, cwd: "/" });
  for (const fd of handIn) closeSync(fd);
  return child;
}

/** What the script returned, or the signal that ended it. */
async function escaped(script: string, at?: string): Promise<Came> {
  const child = started(at ?? (await folderWith(script)), "pipe");
  let said = "";
  child.stdout?.on("data", (bytes: Buffer) => (said += bytes.toString()));
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

  it("runs, reads its folder, and hands in", async () => {
    const script = "fs.writeSync(handedIn[0], 'x'); return fs.readFileSync('/w/script.js', 'utf8')";
    const at = await folderWith(script);
    expect(await escaped("", at)).toEqual({ said: script, signal: null });
    expect(await readFile(path.join(at, "stdout"), "utf8")).toBe("x");
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
    ["opens files by a call that no filter sees into", 437, 437, "-100, 0, 0, 24"],
    ["makes files by their names alone", 85, 34, "0, 0"],
    ["cuts files by their names", 76, 45, "0, 0"],
    ["takes room ahead", 285, 47, "5, 0, 0, 4096"],
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

  it.runIf(isRoot)("is nobody on its host", async () => {
    const ids = JSON.parse(
      (await escaped(tried(`[${[102, 104].map((x64, i) => `call(${number(x64, [174, 176][i] ?? 0)})`).join()}]`))).said,
    );
    expect(ids).toEqual([expect.any(Number), ids[0]]);
    expect(ids[0]).toBeGreaterThan(2 ** 30);
  });

  const MAKING = [
    ["writes a new file", "fs.writeFileSync('/w/x', 'x')"],
    ["appends to a new file", "fs.appendFileSync('/w/x', 'x')"],
    ["makes a file with no name (O_TMPFILE)", "fs.openSync('/w', 0o20200002)"],
    ["makes a file that it only reads", "fs.openSync('/w/x', 0o100)"],
    ["makes a folder", "fs.mkdirSync('/w/x')"],
    ["links a file", "fs.linkSync('/w/script.js', '/w/x')"],
    ["links to a name", "fs.symlinkSync('x', '/w/x')"],
    ["renames a file", "fs.renameSync('/w/script.js', '/w/x')"],
    ["copies a file", "fs.copyFileSync('/w/script.js', '/w/x')"],
    ["removes a file", "fs.unlinkSync('/w/script.js')"],
    ["writes to what the daemon gave it", "fs.openSync('/w/script.js', 'r+')"],
    ["empties what the daemon gave it", "fs.openSync('/w/script.js', 0o1000)"],
    ["writes to what is open for it already, once more", "fs.openSync('/w/stdout', 'a')"],
    ["writes where others run", "fs.openSync('/bin/node', 'r+')"],
  ] as const;
  it.each(MAKING)("is ended where it %s, and its folder is as it was", async (_what, script) => {
    const at = await folderWith(`${script}; return 'went on'`);
    expect(await escaped("", at)).toEqual({ said: "", signal: "SIGSYS" });
    expect((await readdir(at)).sort()).toEqual([...HANDED_IN, "script.js"].sort());
    expect(await readFile(path.join(at, "script.js"), "utf8")).toContain("went on");
  });

  it("leaves no more bytes than its few files may have, as many as it writes", async () => {
    const fill =
      "for (const fd of handedIn) try { for (;;) fs.writeSync(fd, Buffer.alloc(65535)) } catch (e) { if (e.code !== 'EFBIG') throw e } return 'full'";
    const at = await folderWith(fill);
    expect(await escaped("", at)).toEqual({ said: "full", signal: null });
    const sizes = await Promise.all(HANDED_IN.map(async (name) => (await stat(path.join(at, name))).size));
    expect(sizes).toEqual(HANDED_IN.map(() => FILE_BYTES_MAX));
    expect((await readdir(at)).length).toBe(HANDED_IN.length + 1);
  });

  it("reaches nothing of what its process left in earlier jobs, nor of another's process", async () => {
    const at = await folderWith("fs.writeSync(handedIn[0], 'first'); return ''");
    expect(await escaped("", at)).toEqual({ said: "", signal: null });
    const apart = `${at}.1`;
    await setApart(at, apart);
    const other = await folderWith("return ''");
    const names = [apart, other, "/w.1", "/w/../w.1", `/w/../${path.basename(apart)}`, `/w/../${path.basename(other)}`];
    const script = `fs.writeSync(handedIn[0], 'falsified', 0); return ${JSON.stringify(names)}.filter((name) => fs.existsSync(name)).join()`;
    await writeFile(path.join(at, "script.js"), script);
    for (const name of HANDED_IN) await rm(path.join(at, name));
    expect(await escaped("", at)).toEqual({ said: "", signal: null });
    expect(await readFile(path.join(at, "stdout"), "utf8")).toBe("falsified");
    expect(await readFile(path.join(apart, "stdout"), "utf8")).toBe("first");
    await rm(apart, { recursive: true });
  });

  it("sees no file of the host", async () => {
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
  });

  it.runIf(limits.kind !== "process")("touches no more memory than its group has, and is known for it to any daemon", async () => {
    const touches = "const all = []; for (;;) all.push(Buffer.alloc(16 * 1024 * 1024, 1))";
    const at = await folderWith(touches);
    const group = await createGroup(sandbox.limits, at);
    if (group === null) throw new Error("there is no group");
    await setShare(group, { vcpu: 1, ceilingUs: null, memoryMib: 256, tasksMax: 72 }, null);
    const child = started(at, "ignore", group);
    const pid = await spawned(child);
    await writeFile(path.join(at, "progress"), Buffer.alloc(1));
    const guest = (await adopt(at, { pid, startTicks: (await startTicksOf(pid)) ?? "gone" }, sandbox.limits))!;
    expect(await guest.ended).toEqual({ kind: "crashed", detail: "the guest's process took more memory than any job of its size can" });
    await guest.dispose();
  });

  it("has no more memory, files and bytes in a file than it was given", async () => {
    const mapped = `call(${number(9, 222)}, 0, ${2 * 1024 ** 3}, 3, ${0x22}, -1, 0)`; // read, write; private, anonymous
    expect(await escaped(`return ${mapped}`)).toEqual({ said: "-1", signal: null });
    const opened = "let n = 0; try { for (;; n++) fs.openSync('/bin/node') } catch (e) { return e.code + (n < 128) }";
    expect(await escaped(opened)).toEqual({ said: "EMFILEtrue", signal: null });
    const written = (at: number): string => tried(`fs.writeSync(handedIn[0], Buffer.alloc(1), 0, 1, ${at})`);
    expect(await escaped(written(FILE_BYTES_MAX - 1))).toEqual({ said: "1", signal: null });
    expect(await escaped(written(FILE_BYTES_MAX))).toEqual({ said: "EFBIG", signal: null });
    expect(await escaped(tried(`fs.ftruncateSync(handedIn[0], ${FILE_BYTES_MAX + 1})`))).toEqual({ said: "EFBIG", signal: null });
  });
});
