import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import wabtInit from "wabt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { preparedCache } from "../../../test/shared.ts";
import {
  WorkerPool,
  adopt,
  createSandbox,
  followTaken,
  letGuestSee,
  preparedRuntime,
  pythonRuntime,
  type Guest,
  type Sandbox,
  type WorkerJob,
} from "./index.ts";

let folder: string;
let sandbox: Sandbox;
let pool: WorkerPool;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-guests-"));
  const python = await pythonRuntime();
  sandbox = await createSandbox(
    path.join(folder, "sandbox"),
    new Map([[python.name, await preparedRuntime(python, await preparedCache(folder))]]),
  );
  pool = new WorkerPool(sandbox, path.join(folder, "pool"), 2);
  await pool.open();
});
const started: Guest[] = [];
afterAll(async () => {
  for (const guest of started) await guest.dispose();
  await pool.close();
  await rm(folder, { recursive: true, force: true });
});

it("stages what guests run by what it is: an older one stays while guests may live in it, and runs nothing new", async () => {
  const parent = path.join(folder, "staged");
  const rootOf = ({ command }: Sandbox): string => path.basename(command("/w").find((word) => word.includes("/root-")) ?? "");
  const [first, second] = [path.join(folder, "one"), path.join(folder, "two")];
  for (const file of [first, second]) await writeFile(file, "a runtime");
  const old = rootOf(await createSandbox(parent, new Map([["a.wasm", first]])));
  await mkdir(path.join(parent, "stage-left-by-a-crash"));
  const same = rootOf(await createSandbox(parent, new Map([["a.wasm", first]]), true));
  const other = rootOf(await createSandbox(parent, new Map([["a.wasm", second]]), true));
  expect([same === old, other === old]).toEqual([true, false]);
  expect((await readdir(parent)).sort()).toEqual([old, other, "stage-left-by-a-crash"].sort());
  await createSandbox(parent, new Map([["a.wasm", second]]));
  expect(await readdir(parent)).toEqual([other]);
});

const digest = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

async function start(over: Partial<WorkerJob>, blobs: (Uint8Array | string)[] = []): Promise<Guest> {
  const worker = await pool.take();
  const at = worker.folder;
  for (const blob of ["", ...blobs]) await writeFile(path.join(at, "blobs", digest(blob)), blob);
  const job: WorkerJob = {
    module: "python",
    modulePath: sandbox.runtimePath("python.wasm"),
    prepared: !over.modulePath,
    comesWithEngine: !over.modulePath,
    args: ["python"],
    env: [],
    inputs: [],
    mounts: [],
    preopens: over.mounts?.map(({ path: at }) => [at, at]) ?? [],
    stdin: digest(""),
    seed: "00".repeat(32),
    clockBaseMs: 0,
    memoryMibMax: 256,
    diskMibMax: 64,
    outputMibMax: 1,
    fuelMax: "1000000000000000",
    runMsMax: 3_600_000,
    breakpoints: null,
    keepPrepared: false,
    ...over,
  };
  const guest = followTaken(worker);
  started.push(guest);
  await worker.hand(job, 1);
  return guest;
}
const python = (source: string, over: Partial<WorkerJob> = {}) =>
  start(
    {
      args: ["python", "/app/main.py"],
      inputs: [{ path: "app/main.py", kind: "file", digest: digest(source), size: source.length }],
      mounts: [
        { path: "/app", writable: false, keep: false },
        { path: "/out", writable: true, keep: true },
      ],
      ...over,
    },
    [source],
  );
const wat = async (text: string, over: Partial<WorkerJob> = {}) => {
  const bytes = Buffer.from((await wabtInit()).parseWat("t.wat", text).toBinary({}).buffer);
  return start({ modulePath: sandbox.strength === "strong" ? `/w/blobs/${digest(bytes)}` : "", ...over }, [bytes]);
};
const endOf = async (guest: Guest) => {
  const end = await guest.ended;
  if (end.kind !== "finished") throw new Error(JSON.stringify(end));
  return end.result;
};
const stdout = (guest: Guest) => readFile(path.join(guest.folder, "stdout"), "utf8");
async function says(guest: Guest, text: string): Promise<void> {
  const said = Promise.withResolvers<void>();
  const look = async (): Promise<void> => {
    if ((await stdout(guest).catch(() => "")).includes(text)) said.resolve();
  };
  guest.onChange(() => void look());
  await look();
  await said.promise;
}

describe("a guest process", () => {
  it("is sandboxed strongly on this machine", () => {
    expect(sandbox).toMatchObject({ strength: "strong", why: "" });
  });

  it("runs a job and hands in its files", async () => {
    const guest = await python("open('/out/a.txt','w').write('A'); print('hi'); import sys; sys.exit(3)");
    expect(await endOf(guest)).toMatchObject({
      ending: "exit",
      exitCode: 3,
      tree: [{ path: "out/a.txt", kind: "file", size: 1, digest: digest("A") }],
    });
    expect(await stdout(guest)).toBe("hi\n");
    expect(Buffer.from(await guest.readKept(digest("A"), 0, 10)).toString()).toBe("A");
  });

  it("can be stopped in a tight loop and keeps what it wrote", async () => {
    const guest = await python("open('/out/a','w').write('kept')\nprint('go', flush=True)\nwhile True: pass");
    await says(guest, "go");
    await guest.stop();
    expect(await endOf(guest)).toMatchObject({ ending: "stopped", tree: [{ path: "out/a" }] });
  });

  it("ends by the backstop time, at the output limit, at the memory limit, and for a malformed module", async () => {
    const [timeout, output, memory, declared, malformed] = await Promise.all([
      wat('(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))', { runMsMax: 200 }).then(endOf),
      python("while True: print('x' * 4096)").then(endOf),
      wat(
        '(module (memory (export "memory") 1) (func (export "_start") (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable))',
        {
          memoryMibMax: 64,
        },
      ).then(endOf),
      wat('(module (memory (export "memory") 4096) (func (export "_start")))', { memoryMibMax: 64 }).then(endOf),
      start({ modulePath: `/w/blobs/${digest("not wasm")}` }, ["not wasm"]).then(endOf),
    ]);
    expect([timeout, output, memory, declared, malformed].map((r) => r.ending)).toEqual([
      "timeout",
      "output-limit",
      "memory-limit",
      "memory-limit",
      "malformed",
    ]);
  });

  it("says host failure when its process is killed", async () => {
    const guest = await python("while True: pass");
    await guest.kill();
    expect(await guest.ended).toMatchObject({ kind: "host-failure" });
  });

  it("is found again by a later daemon", async () => {
    const guest = await python("for i in range(3_000_000): pass\nprint('late')");
    guest.release();
    const found = (await adopt(guest.folder, guest.id, sandbox.limits))!;
    expect(await endOf(found)).toMatchObject({ ending: "exit", exitCode: 0 });
    expect(await stdout(found)).toBe("late\n");
  });
});

describe("the sandbox", () => {
  /** Runs a probe of our own in place of the worker, with the same root, to see what a guest that broke out of the engine would see. */
  it("shows no host files, no network, no processes, no capabilities, no environment", async () => {
    const { execFile } = await import("node:child_process");
    const { promisify } = await import("node:util");
    const at = path.join(folder, "probe");
    const { mkdir } = await import("node:fs/promises");
    await mkdir(at);
    await letGuestSee(at);
    const probe = `const fs=require('fs'),os=require('os');const r={};
      const t=(n,f)=>{try{r[n]=f()}catch(e){r[n]=e.code||e.message}};
      t('root',()=>fs.readdirSync('/').sort());t('old',()=>fs.readdirSync('/old'));t('write',()=>fs.writeFileSync('/x','x'));t('engine',()=>fs.writeFileSync('/app/worker/main.js','x'));
      t('w',()=>fs.writeFileSync('/w/x','x'));t('net',()=>Object.keys(os.networkInterfaces()));t('env',()=>process.env);t('proc',()=>fs.readdirSync('/proc'));
      t('pid',()=>process.pid);t('spawn',()=>require('child_process').spawnSync('/bin/sh').error.code);
      const s=require('net').connect(80,'127.0.0.1');s.on('error',e=>{r.connect=e.code;console.log(JSON.stringify(r))});s.on('connect',()=>{r.connect='yes';console.log(JSON.stringify(r))});`;
    const [command, ...args] = sandbox.command(at);
    const script = args.slice(0, args.indexOf("/app/worker/main.js"));
    const { stdout: seen } = await promisify(execFile)(command!, [...script, "-e", probe], { env: {} });
    expect(JSON.parse(seen)).toEqual({
      root: ["app", "bin", "lib", "lib64", "old", "proc", "runtimes", "w"],
      old: [],
      write: "EROFS",
      engine: "EROFS",
      w: "EROFS",
      net: [],
      env: expect.not.objectContaining({ PATH: expect.stringContaining("node_modules") }),
      proc: "ENOENT",
      pid: 1,
      spawn: "ENOENT",
      connect: "ENETUNREACH",
    });
  });
});
