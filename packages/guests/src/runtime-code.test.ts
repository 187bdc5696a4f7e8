/** Machine code of Python that was made ahead: whose it is taken for, and that it computes what Python computes without it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import vm from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { preparedCache } from "../../../test/shared.ts";
import {
  GUEST_NODE_FLAGS,
  WorkerPool,
  createSandbox,
  followTaken,
  preparedRuntime,
  pythonRuntime,
  type Runtime,
  type WorkerResult,
} from "./index.ts";
import { runtimeCode } from "./runtimes.ts";
import { isOfAnEarlierRun } from "./workers.ts";
import { moduleWith } from "./worker/machine-code.ts";

let folder: string;
let python: Runtime;
let prepared: string;
let code: Map<string, string>;
const NAME = "python.wasm.code";
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-code-"));
  python = await pythonRuntime();
  prepared = await preparedRuntime(python, await preparedCache(folder));
  code = await runtimeCode(python, prepared, folder, () => {});
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const kept = (): string => code.get(NAME)!;
const codes = async (): Promise<string[]> => (await readdir(folder)).filter((name) => /\.(code|part)$/.test(name));

/** Whether V8, started so, takes this code for Python's. */
async function isTaken(file: string, flags: readonly string[]): Promise<boolean> {
  const module = JSON.stringify(new URL("worker/machine-code.ts", import.meta.url).href);
  const program = `import { readFileSync } from "node:fs";
    import { moduleWith } from ${module};
    const [code, bytes] = ${JSON.stringify([file, prepared])}.map((file) => new Uint8Array(readFileSync(file)));
    console.log(moduleWith(code, bytes) instanceof WebAssembly.Module);`;
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, "--no-warnings", "--input-type=module", "-e", program]);
  return stdout === "true\n";
}

describe("the code", () => {
  it("is taken by a guest's Node, and by none that compiles in another way", async () => {
    expect(await isTaken(kept(), GUEST_NODE_FLAGS)).toBe(true);
    expect(await isTaken(kept(), GUEST_NODE_FLAGS.slice(0, 2))).toBe(false);
    const damaged = path.join(folder, "damaged");
    await writeFile(damaged, (await readFile(kept())).fill("x", 0, 16));
    expect(await isTaken(damaged, GUEST_NODE_FLAGS)).toBe(false);
    await writeFile(damaged, "");
    expect(await isTaken(damaged, GUEST_NODE_FLAGS)).toBe(false);
  });

  it("is made once, and what is a month old goes", async () => {
    const before = await stat(kept());
    let made = 0;
    const onMaking = (): void => void made++;
    expect(await runtimeCode(python, prepared, folder, onMaking)).toEqual(code);
    expect((await stat(kept())).ino).toBe(before.ino);
    const older = path.join(folder, "of-another-node.code");
    await copyFile(kept(), older);
    const other = path.join(folder, "of-another-machine.code");
    await copyFile(kept(), other);
    const begun = `${older}.left.part`;
    await copyFile(kept(), begun);
    const monthAgo = new Date(Date.now() - 31 * 24 * 3_600_000);
    for (const file of [older, begun]) await utimes(file, monthAgo, monthAgo);
    await rm(kept());
    expect([await runtimeCode(python, prepared, folder, onMaking), made]).toEqual([code, 1]);
    expect((await codes()).toSorted()).toEqual([path.basename(kept()), path.basename(other)].toSorted());
    await rm(other);
  });

  it("that was cut off or changed is made anew, and one that was merely moved is taken", async () => {
    const before = await readFile(kept());
    const again = async (): Promise<boolean> => {
      let isMade = false;
      await runtimeCode(python, prepared, folder, () => (isMade = true));
      return isMade;
    };
    await writeFile(kept(), before.subarray(0, before.length / 2));
    expect(await runtimeCode(python, prepared, folder, null)).toEqual(new Map());
    expect(await again()).toBe(true);
    expect(await isTaken(kept(), GUEST_NODE_FLAGS)).toBe(true);
    await copyFile(kept(), `${kept()}.part`);
    await rename(`${kept()}.part`, kept());
    expect(await again()).toBe(false);
    expect(await again()).toBe(false);
  });

  it("is none where it cannot be made, and is not tried again", async () => {
    const cache = await mkdtemp(path.join(folder, "none-"));
    // a module's run makes none, and takes what is there
    expect([await runtimeCode(python, prepared, cache, null), await runtimeCode(python, prepared, folder, null)]).toEqual([
      new Map(),
      code,
    ]);
    const file = (await runtimeCode(python, path.join(cache, "no.wasm"), cache, () => {})).get(NAME)!;
    expect([(await readdir(cache)).sort(), (await stat(file)).size]).toEqual([[path.basename(file), `${path.basename(file)}.json`], 0]);
    expect(await isTaken(file, GUEST_NODE_FLAGS)).toBe(false);
    const { ino } = await stat(file);
    await runtimeCode(python, prepared, cache, () => {});
    expect((await stat(file)).ino).toBe(ino);
  });

  it("is taken where no note of it can be written, and is none where nothing can", async () => {
    const note = `${kept()}.json`;
    const text = await readFile(note, "utf8");
    // as on a disk where nothing can be written: a folder is in the way
    const inTheWay = async (file: string, then: () => Promise<void>): Promise<void> => {
      await rm(file, { force: true });
      await mkdir(path.join(file, "full"), { recursive: true });
      await then().finally(() => rm(file, { recursive: true }));
    };
    await inTheWay(note, async () => expect(await runtimeCode(python, prepared, folder, () => {})).toEqual(code));
    await writeFile(note, text);
    const cache = await mkdtemp(path.join(folder, "full-"));
    const target = path.join(cache, path.basename(kept()));
    await inTheWay(target, async () => expect(await runtimeCode(python, prepared, cache, () => {})).toEqual(new Map()));
    expect(await readdir(cache)).toEqual([]);
  });

  it("is made by a later run than the one that made Python ready", async () => {
    const file = path.join(folder, "ready");
    await writeFile(file, "");
    expect(await isOfAnEarlierRun(file)).toBe(false);
    await utimes(file, new Date(), new Date(performance.timeOrigin - 1_000));
    expect(await isOfAnEarlierRun(file)).toBe(true);
  });

  it("leaves V8's own syntax closed", () => {
    expect(moduleWith(new Uint8Array(64), new Uint8Array(8))).toBe(null);
    expect(() => new vm.Script("(function () { return %GetOptimizationStatus })")).toThrow(SyntaxError);
  });
});

const SCRIPT = `import re, json, hashlib, sys
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(16), json.dumps(re.findall(r"\\d+", "a1b22")), hashlib.sha256(b"x").hexdigest(), 0.1 + 0.2)
sys.exit(3)`;
const digest = (bytes: string): string => createHash("sha256").update(bytes).digest("hex");

/** What a guest in a root with these files hands in of the script, and what it printed. */
async function ran(name: string, files: ReadonlyMap<string, string>, unjudged = false): Promise<[Partial<WorkerResult>, string]> {
  const sandbox = await createSandbox(path.join(folder, `sandbox-${name}`), files);
  const pool = new WorkerPool(sandbox, path.join(folder, `pool-${name}`), 0);
  await pool.open();
  pool.expect({ path: sandbox.runtimePath(python.name) });
  await pool.startOne();
  const worker = await pool.take();
  const guest = followTaken(worker);
  try {
    for (const blob of ["", SCRIPT]) await writeFile(path.join(worker.folder, "blobs", digest(blob)), blob);
    await worker.hand(
      {
        ...{ module: "python", modulePath: sandbox.runtimePath(python.name), prepared: true, comesWithEngine: true },
        ...{ args: ["python", "/app/main.py"], env: [], stdin: digest(""), seed: "00".repeat(32), clockBaseMs: 0 },
        inputs: [{ path: "app/main.py", kind: "file", digest: digest(SCRIPT), size: SCRIPT.length }],
        mounts: [{ path: "/app", writable: false, keep: false }],
        preopens: [["/app", "/app"]],
        ...{ memoryMibMax: 256, diskMibMax: 64, outputMibMax: 1, fuelMax: "1000000000000", runMsMax: 3_600_000 },
        ...{ breakpoints: null, keepPrepared: false, unjudged },
      },
      1,
    );
    const end = await guest.ended;
    if (end.kind !== "finished") throw new Error(JSON.stringify(end));
    const { endedMonotonicMs: _, ...result } = end.result;
    return [result, await readFile(path.join(guest.folder, "stdout"), "utf8")];
  } finally {
    await guest.dispose();
    await pool.close();
  }
}

it("a guest with it comes to the same output, fuel and memory as one without", async () => {
  const without = new Map([[python.name, prepared]]);
  const [result, printed] = await ran("with", new Map([...without, ...code]));
  expect(result).toMatchObject({ ending: "exit", exitCode: 3 });
  expect(result.memoryHash).toMatch(/^[0-9a-f]{64}$/);
  expect([result, printed]).toEqual(await ran("without", without));
  // whose result nobody compares
  expect(await ran("unjudged", new Map([...without, ...code]), true)).toEqual([{ ...result, memoryHash: null }, printed]);
});
