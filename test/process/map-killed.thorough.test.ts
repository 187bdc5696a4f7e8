/** A map whose only server is killed just after it has taken a lease, and comes back: nothing is lost, and nothing has failed. */
import type { ChildProcess } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { Programs, kill9, told } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = [0, 1, 2, 3];
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M", "-P", "1"];

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;

beforeAll(async () => {
  programs = await Programs.open(WASM_ALONE);
  await writeFile(programs.at("read.wasm"), await reading());
  for (const input of INPUTS) await writeFile(programs.at(`${input}.txt`), `${input}\n`);
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker);
  await programs.remove();
});

// where in its life that is depends on the machine, and what comes of it must not
it.each([0, 30, 60, 100, 150, 250, 400, 600])("%i ms after", async (afterMs) => {
  const leases = path.join(programs.at("server"), "leases");
  const taken = (): Promise<string[]> => readdir(leases).catch(() => []);
  const before = new Set(await taken());
  const files = INPUTS.map((input) => programs.at(`${input}.txt`));
  const map = programs.xeno("customer", ["map", ...SMALL, "--json", programs.at("read.wasm"), "--", ...files]);
  // a lease that came and went between two looks is not seen: less is proved then, and nothing false
  await until(async () => map.seen.code !== null || (await taken()).some((lease) => !before.has(lease)));
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  await kill9(server);
  server = await programs.startServer();
  const { code, stdout, stderr } = await map.done;
  expect(code, stdout + stderr).toBe(0);
  const results = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { ok: boolean; stdout: string });
  expect(results).toMatchObject(INPUTS.map((input) => ({ ok: true, stdout: `${input}\n` })));
});
