/**
 * Many small jobs: `xeno map` of a thousand on a server of this machine whose guests are warm for that customer, beside GNU parallel (xargs
 * where there is none, which is faster) running the same module on the same cores, a fresh `node` with `node:wasi` each. By turns, in time and
 * in processor time of all programs, the database's too; broker and server are programs of their own.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { saying } from "../test/process/jobs.ts";
import { Programs, kill9, told } from "../test/process/programs.ts";
import { WASM_ALONE } from "../test/process/settings.ts";
import { processorMs } from "./lib/processor-time.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const JOBS = 1_000;
const ROUNDS = 3;
const SLOWER_MAX = 1.2;
const PEER = path.join(import.meta.dirname, "lib/peer.mjs");
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M"];

const hasParallel = ["/usr/bin/parallel", "/usr/local/bin/parallel"].some((file) => existsSync(file));
const PEER_NAME = hasParallel ? "parallel" : "xargs";
/** The numbers take the place of the program's last word. */
const PEER_OPTIONS = hasParallel ? ["--will-cite", `-j${availableParallelism()}`] : [`-P${availableParallelism()}`, "-n1"];

/** So many at once as there are cores. */
async function byPeer(module: string): Promise<void> {
  const numbers = Array.from({ length: JOBS }, (_, i) => `${i}\n`).join("");
  const words = [...PEER_OPTIONS, process.execPath, "--no-warnings", PEER, module, "."];
  const child = spawn(PEER_NAME, words, { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(numbers);
  const code = await new Promise((resolve, reject) => child.once("exit", resolve).once("error", reject));
  if (code !== 0) throw new Error(`${PEER_NAME} ended with ${String(code)}`);
}

export async function manyJobs(): Promise<Figure[]> {
  const programs = await Programs.open(WASM_ALONE);
  const module = programs.at("small.wasm");
  await writeFile(module, await saying("done\n"));
  const broker = await programs.startBroker();
  const server = await programs.startServer("--enrol", await programs.people());
  try {
    const map = ["map", ...SMALL, "-P", String(availableParallelism()), "--array", `0-${JOBS - 1}`, module, "{}"];
    const took: Record<"ours" | "peer", number[]> = { ours: [], peer: [] };
    const used: typeof took = { ours: [], peer: [] };
    for (let round = 0; round <= ROUNDS; round++)
      for (const [who, run] of [
        ["ours", () => programs.ok("customer", map)],
        ["peer", () => byPeer(module)],
      ] as const) {
        const [begun, before] = [performance.now(), processorMs()];
        await run();
        // the first makes the server's guests warm
        if (round === 0) continue;
        took[who].push(performance.now() - begun);
        used[who].push(processorMs() - before);
      }
    const figure = (what: string, of: typeof took): Figure => {
      const peer = { peer: `${PEER_NAME}, ${availableParallelism()} at once, node:wasi`, peerValue: quantile(of.peer, 0.5) };
      return report(what, quantile(of.ours, 0.5), "ms", peer, SLOWER_MAX);
    };
    return [figure(`map of ${JOBS} small jobs, warm guests`, took), figure(`the same, processor time of all programs`, used)];
  } finally {
    await told(server);
    await kill9(broker);
    await programs.remove();
  }
}
