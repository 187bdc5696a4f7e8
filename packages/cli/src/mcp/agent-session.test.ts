/** What an agent's session leaves on this machine, and how many leases it may have. */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { LeaseState } from "@xenoservers/market";
import { expect, it, onTestFinished } from "vitest";
import { StartedLeases } from "./agent-session.ts";

const run = promisify(execFile);
const MODULE = JSON.stringify(path.join(import.meta.dirname, "job-input.ts"));

it("counts no lease that has ended while nobody asked for it", async () => {
  const states = new Map<string, LeaseState>();
  const read = async (_: string, { params: { id } }: { params: { id: string } }) => ({ state: states.get(id) });
  const leases = new StartedLeases({ read } as unknown as ConstructorParameters<typeof StartedLeases>[0]);
  for (let i = 0; i < 256; i++) {
    await leases.assertRoom();
    states.set(`l${i}`, "open");
    leases.add(`l${i}`);
  }
  await expect(leases.assertRoom()).rejects.toThrow("256 leases of this session run already");
  states.set("l7", "final");
  await leases.assertRoom();
  leases.add("l256");
  states.set("l256", "open");
  await expect(leases.assertRoom()).rejects.toThrow("stop some first");
});

it.each(["process.exit(3)", "process.kill(process.pid, 'SIGTERM')", "process.kill(process.pid, 'SIGHUP')"])(
  "leaves no folder where it is ended in the midst of a call: %s",
  async (end) => {
    const folder = await mkdtemp(path.join(tmpdir(), "xeno-ended-"));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const script = `
      import { readdirSync } from "node:fs";
      const { jobHere, zJob } = await import(${MODULE});
      await jobHere(zJob.parse({ python: "print(1)", budget: "0.01" }), null);
      console.log(readdirSync(process.env.TMPDIR).length);
      ${end};
      process.stdin.resume();`;
    const args = ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script];
    const ended = await run(process.execPath, args, { env: { ...process.env, TMPDIR: folder } }).catch(
      (error: Error & { stdout: string; stderr: string }) => error,
    );
    expect(ended).toMatchObject({ stdout: "1\n", stderr: "" });
    expect(await readdir(folder)).toEqual([]);
  },
);
