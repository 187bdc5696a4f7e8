/** A map of small inputs that share leases, while its broker is killed and started again. */
import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { Programs, complaints, kill9, told } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = 40;
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M", "-P", "2"];

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;

const wordOf = (i: number): string => `${i}\n`;

beforeAll(async () => {
  programs = await Programs.open(WASM_ALONE);
  await writeFile(programs.at("read.wasm"), await reading());
  await mkdir(programs.at("data"));
  for (let i = 0; i < INPUTS; i++) await writeFile(programs.at(`data/${String(i).padStart(2, "0")}.txt`), wordOf(i));
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker);
  await programs.remove();
});

interface Line {
  lease: string;
  run: number | null;
  stdout: string;
  end: { exitCode: number; dueNanos: string };
}

it("is not failed by a broker that is away for a while: each input is done, once, and costs its part", async () => {
  const words = ["map", ...SMALL, "--json", "--resume", "all", "--label", "all", programs.at("read.wasm"), "--", programs.at("data/*.txt")];
  const map = programs.xeno("customer", words);
  const journal = programs.at("customer/data/maps/all/journal.jsonl");
  await until(async () => (await readFile(journal, "utf8").catch(() => "")).includes('"run":1,'));
  await kill9(broker);
  broker = await programs.startBroker();
  const { code, stdout, stderr } = await map.done;
  expect([code, complaints(stderr)]).toEqual([0, ""]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);
  expect(lines.map((line) => [line.stdout, line.end.exitCode])).toEqual(Array.from({ length: INPUTS }, (_, i) => [wordOf(i), 0]));
  expect(new Set(lines.map(({ lease, run }) => `${lease} ${run}`)).size).toBe(INPUTS);
  const { labels } = JSON.parse(await programs.ok("customer", ["wallet", "--by-label", "--json"])) as { labels: unknown[] };
  const dueNanos = lines.reduce((sum, { end }) => sum + BigInt(end.dueNanos), 0n).toString();
  expect(labels).toMatchObject([{ label: "all", failed: 0, dueNanos }]);
});
