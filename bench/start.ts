/** How soon a job starts and ends on a waiting guest process, beside a fresh `node` that compiles and runs the same module with `node:wasi`. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import wabtInit from "wabt";
import { WorkerPool, createSandbox, followTaken, preparedRuntime, pythonRuntime, type Lane, type WorkerJob } from "@xenoservers/guests";
import { quantile, report, type Figure } from "./lib/report.ts";

const ROUNDS = 25;
/** A worker is ready some time after it was started; the pool is given that. */
const READY_MS = 300;
const PEER = path.join(import.meta.dirname, "lib/peer.mjs");
const EMPTY = '(module (memory (export "memory") 1) (func (export "_start")))';
const digestOf = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");

async function median(work: () => Promise<number>): Promise<number> {
  const values: number[] = [];
  for (let i = 0; i < ROUNDS; i++) values.push(await work());
  return quantile(values, 0.5);
}

const fresh = (file: string, ...args: string[]): Promise<number> =>
  median(async () => {
    const start = performance.now();
    await promisify(execFile)(process.execPath, ["--no-warnings", PEER, file, ...args]);
    return performance.now() - start;
  });

export async function start(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-start-"));
  const python = await pythonRuntime();
  const sandbox = await createSandbox(path.join(folder, "sandbox"), new Map([[python.name, await preparedRuntime(python, folder)]]));
  const pool = new WorkerPool(sandbox, path.join(folder, "workers"), 1, { warm: 2 });
  await pool.open();
  const bytes = Buffer.from((await wabtInit()).parseWat("empty.wat", EMPTY).toBinary({}).buffer);
  const file = path.join(folder, "empty.wasm");
  const script = "print('hello')";
  await writeFile(file, bytes);
  const hello = path.join(folder, "hello.py");
  const onWaiting = (job: Partial<WorkerJob>, blobs: (Uint8Array | string)[], lane: Lane | null = null): Promise<number> =>
    median(async () => {
      if (lane === null) await new Promise((resolve) => setTimeout(resolve, READY_MS));
      const worker = await pool.take(null, lane);
      for (const blob of ["", ...blobs]) await writeFile(path.join(worker.folder, "blobs", digestOf(blob)), blob);
      const begun = performance.now();
      const guest = followTaken(worker);
      await worker.hand(
        {
          module: lane?.module ?? "none",
          modulePath: `/w/blobs/${digestOf(bytes)}`,
          prepared: false,
          comesWithEngine: false,
          args: ["job"],
          env: [],
          inputs: [],
          mounts: [],
          preopens: [],
          stdin: digestOf(""),
          seed: "00".repeat(32),
          clockBaseMs: 0,
          memoryMibMax: 256,
          diskMibMax: 64,
          outputMibMax: 1,
          fuelMax: "1000000000000",
          runMsMax: 60_000,
          breakpoints: null,
          keepPrepared: false,
          ...job,
        },
        1,
      );
      const end = await guest.ended;
      const took = performance.now() - begun;
      if (end.kind !== "finished" || end.result.exitCode !== 0) throw new Error(`the guest ended with ${JSON.stringify(end)}`);
      await guest.settled;
      await guest.dispose();
      return took;
    });
  try {
    if (sandbox.strength !== "strong") throw new Error(`this bench needs the strong sandbox: ${sandbox.why}`);
    await writeFile(hello, script);
    const [empty, emptyPeer] = [await onWaiting({}, [bytes]), await fresh(file)];
    const pythonJob = {
      modulePath: sandbox.runtimePath(python.name),
      prepared: true,
      args: ["python", "/app/main.py"],
      inputs: [{ path: "app/main.py", kind: "file" as const, digest: digestOf(script), size: script.length }],
      mounts: [{ path: "/app", writable: false, keep: false }],
      preopens: [["/app", "/app"] as [string, string]],
    };
    pool.expect({ path: pythonJob.modulePath });
    const [hosted, hostedPeer] = [await onWaiting(pythonJob, [script]), await fresh(python.file, folder, "/app/hello.py")];
    const size = { memoryMibMax: 256, diskMibMax: 64, outputMibMax: 1, vcpu: 1 };
    const warm = await onWaiting({}, [bytes], { customer: "bench", key: "k", module: "empty", size });
    const warmPython = await onWaiting(pythonJob, [script], { customer: "bench python", key: "k", module: "python", size });
    return [
      report(
        "empty job on a waiting guest, handed over → result",
        empty,
        "ms",
        { peer: "fresh node with node:wasi", peerValue: emptyPeer },
        0.2,
      ),
      report(
        "Python hello on a waiting guest, handed over → result",
        hosted,
        "ms",
        { peer: "fresh node with node:wasi", peerValue: hostedPeer },
        null,
      ),
      report("empty job on its customer's warm guest", warm, "ms", { peer: "fresh node with node:wasi", peerValue: emptyPeer }, null),
      report(
        "Python hello on its customer's warm guest",
        warmPython,
        "ms",
        { peer: "fresh node with node:wasi", peerValue: hostedPeer },
        null,
      ),
    ];
  } finally {
    await pool.close();
    await rm(folder, { recursive: true, force: true });
  }
}
