/** The demo as a newcomer leaves it: with a job that would never end by itself, by Ctrl-C. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { guestsOf, endGuests } from "./guests.ts";
import { until } from "./market.ts";

const XENO = path.resolve("node_modules/.bin/xeno");
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), "xeno-demo-"))));
afterAll(() => rm(folder, { recursive: true, force: true }));

it("leaves nothing that runs on when it is told to end", async () => {
  const data = path.join(folder, "data");
  const demo = spawn(XENO, ["demo", "--data", data], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(demo, "exit");
  let said = "";
  demo.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  try {
    await until(async () => said.includes("until Ctrl-C") || demo.exitCode !== null);
    // another terminal stands elsewhere
    expect(said).toMatch(/ run \/\S+hello\.py /);
    await writeFile(path.join(folder, "spin.py"), "print('on', flush=True)\nwhile True: pass\n");
    const job = spawn(XENO, ["run", "-q", path.join(folder, "spin.py")], {
      env: { ...process.env, XENO_HOME: data },
      stdio: ["ignore", "pipe", "ignore"],
    });
    const over = once(job, "exit");
    await once(job.stdout, "data");
    demo.kill("SIGINT");
    expect([await ended, said]).toEqual([[0, null], expect.stringContaining("ending 1 lease;")]);
    expect(await guestsOf(data)).toEqual([]);
    await over;
  } finally {
    demo.kill("SIGKILL");
    await endGuests(data);
  }
});
