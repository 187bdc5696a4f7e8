/**
 * How soon the command line is there: `xeno --version` beside a Node that does nothing, `xeno ps` against a broker of this machine beside a
 * Node that asks that broker one question. By turns, as npm installs it: what is published, on the same Node.
 */
import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { command } from "../test/process/command.ts";
import { startMarket } from "../test/process/market.ts";
import { publish } from "./lib/published.ts";
import { quantile, report, type Figure } from "./lib/report.ts";

const run = promisify(execFile);
const ROUNDS = 15;
const SLOWER_MAX = 1.5;

async function timed(file: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const begun = performance.now();
  await run(file, args, { env });
  return performance.now() - begun;
}

export async function commandLine(): Promise<Figure[]> {
  const { command: xeno, remove } = await publish();
  const market = await startMarket();
  try {
    const home = path.join(market.folder, "starter");
    await command(home, "login", market.customer.url, "--yes", "--name", "starter", "--context", "test");
    const env = { ...process.env, CI: "", XENO_HOME: home, NODE_COMPILE_CACHE: path.join(market.folder, "compiled") };
    const ask = `const answer = await fetch(${JSON.stringify(`${market.customer.url}/api/v1/market`)}); await answer.json()`;
    const ways: Record<"nothing" | "version" | "question" | "ps", [string, string[]]> = {
      nothing: [process.execPath, ["-e", "0"]],
      version: [xeno[0], [xeno[1], "--version"]],
      question: [process.execPath, ["--input-type=module", "-e", ask]],
      ps: [xeno[0], [xeno[1], "ps"]],
    };
    const times: Record<string, number[]> = { nothing: [], version: [], question: [], ps: [] };
    for (let round = 0; round <= ROUNDS; round++)
      for (const [name, [file, args]] of Object.entries(ways)) {
        const ms = await timed(file, args, env);
        // the first fills what is kept of compiled code
        if (round > 0) times[name]!.push(ms);
      }
    const median = (name: keyof typeof ways): number => quantile(times[name]!, 0.5);
    return [
      report("command.version", median("version"), "ms", { peer: "node -e 0", peerValue: median("nothing") }, SLOWER_MAX),
      report("command.ps", median("ps"), "ms", { peer: "node that asks once", peerValue: median("question") }, SLOWER_MAX),
    ];
  } finally {
    await market.close();
    await rm(market.folder, { recursive: true, force: true });
    await remove();
  }
}
