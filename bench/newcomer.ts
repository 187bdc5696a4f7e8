/** How soon somebody who has nothing installed sees what their own script prints: from the packed files, with npm's own downloads in it. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { newcomer as story } from "../test/pack/newcomer.ts";
import { packedIn } from "../test/pack/packed-files.ts";
import { report, type Figure } from "./lib/report.ts";

const SECONDS_MAX = 120;

export async function newcomer(): Promise<Figure[]> {
  const folder = await mkdtemp(path.join(tmpdir(), "xeno-newcomer-"));
  try {
    const files = path.join(folder, "packed");
    const pack = [path.resolve("scripts/pack/main.ts"), "--machine", "none", "--out", files];
    await promisify(execFile)(process.execPath, pack);
    const took = await story(folder, packedIn(files));
    const seconds = (ms: number): number => ms / 1_000;
    const lines = [...took].map(([name, ms]) => report(`newcomer: ${name}`, seconds(ms), "s", null, null));
    const all = [...took.values()].reduce((sum, ms) => sum + ms, 0);
    return [...lines, report("newcomer.first-result", seconds(all), "s", null, SECONDS_MAX)];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
