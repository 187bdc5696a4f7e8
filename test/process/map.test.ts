/**
 * One program on many files, by real programs: so many at once, in order, one of them failing; killed in the middle and gone on with, no
 * job is ordered twice.
 */
import type { ChildProcess } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { Programs, kill9, told } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = 12;
const AT_ONCE = 4;
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M"];

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;

const nameOf = (i: number): string => `${String(i).padStart(2, "0")}.txt`;

beforeAll(async () => {
  // less room than the map would take, so that some of its orders wait
  programs = await Programs.open(`${WASM_ALONE}[capacity]\nvcpu = 2\n`);
  await writeFile(programs.at("read.wasm"), await reading());
  await mkdir(programs.at("data"));
  for (let i = 0; i < INPUTS; i++) await writeFile(programs.at(`data/${nameOf(i)}`), i === 5 ? "!bad\n" : `${i}\n`);
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker);
  await programs.remove();
});

const map = (...options: string[]) =>
  programs.xeno("customer", [
    "map",
    ...SMALL,
    "-P",
    String(AT_ONCE),
    ...options,
    programs.at("read.wasm"),
    "--",
    programs.at("data/*.txt"),
  ]);

interface Lease {
  id: string;
  end: { reason: string; dueNanos: string } | null;
}
const leases = async (): Promise<Lease[]> =>
  (JSON.parse(await programs.ok("customer", ["ps", "--all", "--limit", "all", "--json"])) as { leases: Lease[] }).leases;
const over = async (): Promise<number> => (await leases()).filter(({ end }) => end !== null).length;

it("is killed in the middle and gone on with: each job is ordered once, and comes in order", async () => {
  const first = map("--resume", "twelve", "--json");
  await until(() => first.seen.stdout.split("\n").length > 3);
  await kill9(first.child);

  const second = await map("--resume", "twelve", "--json").done;
  expect([second.code, second.stderr]).toEqual([1, ""]);
  const lines = second.stdout
    .trimEnd()
    .split("\n")
    .map(
      (line) =>
        JSON.parse(line) as { index: number; ok: boolean; earlier: boolean; lease: string; stdout: string; end: { exitCode: number } },
    );
  expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: INPUTS }, (_, i) => i));
  expect(lines.map(({ stdout }) => stdout)).toEqual(Array.from({ length: INPUTS }, (_, i) => (i === 5 ? "!bad\n" : `${i}\n`)));
  expect(lines.map(({ end }) => end.exitCode)).toEqual(Array.from({ length: INPUTS }, (_, i) => (i === 5 ? 1 : 0)));
  expect(lines.filter(({ earlier }) => earlier).length).toBeGreaterThanOrEqual(3);
  expect(new Set(lines.map(({ lease }) => lease)).size).toBe(INPUTS);
  expect(await leases()).toHaveLength(INPUTS);

  // all of it is known: nothing is ordered, and the words come as they came
  const third = await map("--resume", "twelve", "--tag").done;
  expect(third.stdout).toBe(Array.from({ length: INPUTS }, (_, i) => `${nameOf(i)}\t${i === 5 ? "!bad" : i}\n`).join(""));
  expect(third.stderr).toMatch(/failed {3}05\.txt: [^]*12\/12 done, 12 of them earlier, 1 failed/);
  expect(await leases()).toHaveLength(INPUTS);
  expect(await over()).toBe(INPUTS);
});
