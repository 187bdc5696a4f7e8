/** A job of several runs on the driver: what each prints and leaves is what it would as a job of its own, in one process and one result. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import wabtInit from "wabt";
import { afterAll, beforeAll, expect, it } from "vitest";
import { pythonRuntime } from "@xenoservers/guests";
import { RUNS_FILE, canonicalBytes, entriesByRun, parseRunEnds, singleRunsOf, toHex, type JobSpec } from "@xenoservers/protocol";
import type { InputTree } from "@xenoservers/protocol/channel";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { reading } from "../../../../../test/process/jobs.ts";
import { preparedCache } from "../../../../../test/shared.ts";
import type { GuestEnding, GuestToken } from "../driver.ts";
import { createWasmDriver } from "./wasm-driver.ts";
import type { PreparedJob, WasmDriver } from "./wasm-job.ts";

let folder: string;
let driver: WasmDriver;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-several-"));
  driver = await createWasmDriver({ folder, cache: await preparedCache(folder), poolSize: 1, warm: 8, inUse: [] });
});
afterAll(async () => {
  await driver.close();
  await rm(folder, { recursive: true, force: true });
});

const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
async function blob(bytes: Uint8Array | string): Promise<string> {
  await writeFile(path.join(folder, digest(bytes)), bytes);
  return digest(bytes);
}

const OUT = { path: "/out", writable: true, keep: true };
const IN = { path: "/in", writable: false, keep: false };

interface Work {
  args: string[];
  /** By path, with the folder. */
  files: Record<string, string>;
  stdin?: string;
}

async function jobOf(module: string, works: readonly Work[], over: Partial<JobSpec> = {}): Promise<{ spec: JobSpec; inputs: InputTree }> {
  const entries: InputTree["entries"] = [];
  const runs: NonNullable<JobSpec["runs"]> = [];
  for (const [index, { args, files, stdin = "" }] of works.entries()) {
    runs.push({ args, env: [["INDEX", String(index)]], stdin: await blob(stdin), stdinSize: stdin.length });
    for (const [at, text] of Object.entries(files))
      entries.push({ path: `${index}/${at}`, kind: "file", digest: await blob(text), size: text.length });
  }
  const inputs: InputTree = { entries, mounts: [OUT, IN] };
  const preopens: [string, string][] = [
    ["/out", "/out"],
    ["/in", "/in"],
  ];
  const spec = {
    ...{ module, args: [], env: [], stdin: await blob(""), engine: driver.engine, preopens, runs },
    ...{ memoryMibMax: 64, diskMibMax: 16, outputMibMax: 1, fuelMax: "1000000000000", seed: "0a".repeat(32), clockBaseMs: 5 },
    inputs: toHex(nodeCrypto.sha256(canonicalBytes(inputs))),
    ...over,
  };
  return { spec, inputs };
}

type Result = Extract<GuestEnding, { kind: "result" }>;
interface Did {
  end: Result;
  stdout: string;
  stderr: string;
  /** By path. */
  files: Record<string, string>;
}

async function ran(
  job: { spec: JobSpec; inputs: InputTree },
  over: Partial<PreparedJob> = {},
  begun = (_token: GuestToken): void => {},
): Promise<Did> {
  const { spec, inputs } = job;
  const prepared = await driver.prepare({
    ...{ lease: "00".repeat(32), customer: "p_1", spec, inputs, vcpu: 1, fuelMax: BigInt(spec.fuelMax), runMsMax: 600_000 },
    ...{ breakpoints: null, sharedBy: "k", blobFile: (name) => path.join(folder, name), ...over },
  });
  const guest = await prepared.begin();
  begun(guest.token);
  try {
    const end = await guest.ended;
    if (end.kind !== "result") throw new Error(end.detail);
    const text = async (stream: "stdout" | "stderr") => Buffer.from(await guest.readStream(stream, 0)).toString();
    const files: Record<string, string> = {};
    for (const entry of end.tree)
      if (entry.kind === "file") files[entry.path] = Buffer.from(await guest.readOutput(entry.digest, 0, entry.size)).toString();
    return { end, files, stdout: await text("stdout"), stderr: await text("stderr") };
  } finally {
    await guest.dispose();
  }
}

const endsOf = ({ files }: Did) => parseRunEnds(Buffer.from(files[RUNS_FILE] ?? ""))!;
const same = ({ endedMonotonicMs: _, ...end }: Result): object => end;

/** Each as a job of its own, beside what it came to in the one. */
async function beside(job: { spec: JobSpec; inputs: InputTree }, did: Did): Promise<void> {
  const singles = singleRunsOf(nodeCrypto, job.spec, job.inputs)!;
  const ends = endsOf(did);
  const trees = entriesByRun(
    did.end.tree.filter(({ path: at }) => at !== RUNS_FILE),
    singles.length,
  )!;
  const at = { stdout: 0, stderr: 0 };
  for (const [index, single] of singles.entries()) {
    const alone = await ran(single);
    const end = ends[index]!;
    expect([end.exitCode, end.memoryHash, end.stdoutDigest, end.stderrDigest]).toEqual([
      alone.end.exitCode,
      alone.end.memoryHash,
      digest(alone.stdout),
      digest(alone.stderr),
    ]);
    for (const stream of ["stdout", "stderr"] as const) {
      const bytes = stream === "stdout" ? end.stdoutBytes : end.stderrBytes;
      expect(did[stream].slice(at[stream], at[stream] + bytes)).toBe(alone[stream]);
      at[stream] += bytes;
    }
    expect(trees[index]).toEqual(alone.end.tree);
  }
}

it("does each of a module's runs as if it were a job of its own, one that fails too, and the same every time", async () => {
  const module = await blob(await reading());
  const works = ["one\n", "!two\n", "three\n"].map((text, i) => ({ args: ["read.wasm", `/in/${i}`], files: { [`in/${i}`]: text } }));
  const job = await jobOf(module, works);
  const did = await ran(job);
  expect([did.end.reason, did.end.exitCode, did.stdout]).toEqual(["completed", 0, "one\n!two\nthree\n"]);
  expect(endsOf(did).map(({ exitCode }) => exitCode)).toEqual([0, 1, 0]);
  expect(endsOf(did).reduce((sum, { fuel }) => sum + BigInt(fuel), 0n)).toBe(did.end.fuel);
  await beside(job, did);
  const again = await ran(job, { sharedBy: "other" });
  expect([same(again.end), again.files]).toEqual([same(did.end), did.files]);
});

const SCRIPT = `
import os, random, sys
name = sys.argv[1]
os.makedirs("/out/d")
open("/out/d/" + name, "w").write(open("/in/x").read() + str(random.random()))
print(name, os.environ["INDEX"], sys.stdin.read(), os.path.exists("/out/seen"), random.random())
open("/out/seen", "w").close()
print("to stderr", file=sys.stderr)
`;

it("does each of a script's", async () => {
  const { digest: module } = await pythonRuntime();
  const works = Array.from({ length: 12 }, (_, i) => ({
    ...{ args: ["python", "/in/s.py", `n${i}`], files: { "in/x": `x${i}`, "in/s.py": SCRIPT }, stdin: `in ${i}` },
  }));
  const job = await jobOf(module, works, { memoryMibMax: 128 });
  const did = await ran(job);
  expect([did.end.reason, endsOf(did).length]).toEqual(["completed", 12]);
  expect(did.stdout).toMatch(/^n0 0 in 0 False 0\.\d+\nn1 1 in 1 False /);
  await beside(
    { ...job, spec: { ...job.spec, runs: job.spec.runs!.slice(0, 2) }, inputs: { ...job.inputs, entries: job.inputs.entries.slice(0, 4) } },
    {
      ...did,
      end: { ...did.end, tree: did.end.tree.filter((entry) => /^(0|1|runs\.json)(\/|$)/.test(entry.path)) },
    },
  );
});

it("has one limit of fuel for all, and what was not done is not listed; nor is it traced", async () => {
  const module = await blob(await reading());
  const works = ["one\n", "two\n"].map((text, i) => ({ args: ["read.wasm", `/in/${i}`], files: { [`in/${i}`]: text } }));
  const job = await jobOf(module, works);
  const whole = await ran(job);
  const first = BigInt(endsOf(whole)[0]!.fuel);
  const cut = await ran({ ...job, spec: { ...job.spec, fuelMax: (first + 1n).toString() } });
  expect([cut.end.reason, endsOf(cut).length]).toEqual(["fuel-limit", 1]);
  const traced = await ran(job, { breakpoints: { kind: "trace", step: "1000000" } });
  expect([traced.end.roots, traced.end.detail]).toEqual([null, "a job of several runs has no breakpoints"]);
});

it("leaves no more than one job may: what would be more is not done", async () => {
  const { digest: module } = await pythonRuntime();
  const script = `open("/out/big", "wb").write(bytes(700000))`;
  const works = [1, 2, 3].map(() => ({ args: ["python", "/in/s.py"], files: { "in/s.py": script } }));
  const did = await ran(await jobOf(module, works, { diskMibMax: 1, memoryMibMax: 128 }));
  expect([did.end.reason, endsOf(did).length, Object.keys(did.files)]).toEqual(["output-limit", 1, [RUNS_FILE, "0/out/big"]]);
});

/** Takes all the memory that it may have, and writes to each page of it. */
const GREEDY = `(module (memory (export "memory") 1) (func (export "_start") (local $at i32)
  (drop (memory.grow (i32.const 4000)))
  (loop $next
    (i32.store (local.get $at) (i32.const 1))
    (local.set $at (i32.add (local.get $at) (i32.const 4096)))
    (br_if $next (i32.lt_u (local.get $at) (i32.mul (i32.const 4001) (i32.const 65536)))))))`;

it("takes the memory of one run, however many it has", async () => {
  const module = await blob(Buffer.from((await wabtInit()).parseWat("t.wat", GREEDY).toBinary({}).buffer));
  const works = Array.from({ length: 6 }, () => ({ args: ["greedy"], files: {} }));
  let pid = 0;
  const did = await ran(
    await jobOf(module, works, { memoryMibMax: 256 }),
    { customer: "p_2" },
    (token) => void (pid = Number(token["pid"])),
  );
  expect([did.end.reason, did.end.detail, endsOf(did).length]).toEqual(["completed", "", 6]);
  // it waits for another job of its customer's
  const [, most] = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, "utf8")) ?? [];
  expect(Number(most) / 1024).toBeLessThan(2 * 256);
});

it("is refused in words where a file is of none of its runs, or a run does not fit", async () => {
  const module = await blob(await reading());
  const job = await jobOf(module, [
    { args: ["a"], files: { "in/0": "x" } },
    { args: ["b"], files: {} },
  ]);
  const strayed = { ...job, inputs: { ...job.inputs, entries: job.inputs.entries.map((entry) => ({ ...entry, path: "7/in/0" })) } };
  await expect(ran(strayed)).rejects.toThrow("a file that is brought is of none of the runs");
  await expect(ran({ ...job, spec: { ...job.spec, diskMibMax: 0 } })).rejects.toThrow(/--disk/);
  expect(await readFile(path.join(folder, module))).toBeTruthy();
});
