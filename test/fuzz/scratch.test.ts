/** What a run leaves behind that was killed is removed by the next, and nothing else is. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { beginScratch } from "./scratch.ts";

/** A run of which nothing is seen but that it has begun. */
const BEGINS = `
  import { beginScratch } from ${JSON.stringify(new URL("scratch.ts", import.meta.url).href)};
  beginScratch();
  console.log("begun");
  process.stdin.resume();`;

it("removes the folder of a run that was killed, not that of one that goes on, and its own at its end", async () => {
  const [before, below] = [process.env["TMPDIR"], mkdtempSync(path.join(tmpdir(), "xeno-scratch-"))];
  const runs = [0, 1].map(() =>
    spawn(process.execPath, ["--input-type=module", "-e", BEGINS], {
      env: { ...process.env, TMPDIR: below },
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  try {
    await Promise.all(runs.map((run) => once(run.stdout, "data")));
    mkdirSync(path.join(below, "xeno-fuzz-of-somebody"));
    expect(readdirSync(below)).toHaveLength(3);
    const [killed, going] = runs;
    killed?.kill("SIGKILL");
    if (killed) await once(killed, "exit");

    process.env["TMPDIR"] = below;
    const end = beginScratch();
    const stays = [expect.stringMatching(`^xeno-fuzz-${going?.pid}-`), "xeno-fuzz-of-somebody"];
    expect(readdirSync(below).sort()).toEqual(expect.arrayContaining([...stays, path.basename(tmpdir())]));
    expect(readdirSync(below)).toHaveLength(3);
    end();
    expect(readdirSync(below)).toEqual(expect.arrayContaining(stays));
    expect(readdirSync(below)).toHaveLength(2);
    expect(tmpdir()).toBe(below);
  } finally {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    for (const run of runs) run.kill("SIGKILL");
    rmSync(below, { recursive: true, force: true });
  }
});
