/**
 * Many small inputs of a map as few leases, by real programs: killed in the middle and gone on with, nothing is done or paid twice; each
 * input has its own words, files and cost; what is signed for all of them holds where it is run again, and is taken again for each alone.
 */
import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { Programs, kill9, told } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = 40;
const FAILS = 17;
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M", "-P", "2"];

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;

const wordOf = (i: number): string => (i === FAILS ? "!bad\n" : `${i}\n`);

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

const map = (...options: string[]) =>
  programs.xeno("customer", ["map", ...SMALL, "--json", ...options, programs.at("read.wasm"), "--", programs.at("data/*.txt")]);

interface Line {
  index: number;
  lease: string;
  run: number | null;
  stdout: string;
  reused: boolean;
  end: { exitCode: number; dueNanos: string };
}
const linesOf = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Line);

interface Lease {
  id: string;
  end: { dueNanos: string } | null;
}
const leases = async (): Promise<Lease[]> =>
  (JSON.parse(await programs.ok("customer", ["ps", "--all", "--limit", "all", "--json"])) as { leases: Lease[] }).leases;
const nanos = (text: string | undefined): bigint => BigInt(text ?? 0);

let lines: Line[];

it("is killed when one lease serves several, and gone on with: each input is done once, and costs its part", async () => {
  const first = map("--resume", "forty");
  const journal = programs.at("customer/data/maps/forty/journal.jsonl");
  await until(async () => (await readFile(journal, "utf8").catch(() => "")).includes('"run":1,'));
  await kill9(first.child);

  const second = await map("--resume", "forty").done;
  expect([second.code, second.stderr]).toEqual([1, ""]);
  lines = linesOf(second.stdout);
  expect(lines.map(({ index, stdout, end }) => [index, stdout, end.exitCode])).toEqual(
    Array.from({ length: INPUTS }, (_, i) => [i, wordOf(i), i === FAILS ? 1 : 0]),
  );
  expect(new Set(lines.map(({ lease, run }) => `${lease} ${run}`)).size).toBe(INPUTS);
  const all = await leases();
  expect(all.length).toBeLessThan(INPUTS / 2);
  expect(all.map(({ id }) => id).toSorted()).toEqual([...new Set(lines.map(({ lease }) => lease))].toSorted());
  for (const { id, end } of all) {
    const parts = lines.filter(({ lease }) => lease === id);
    expect(parts.reduce((sum, { end: own }) => sum + nanos(own.dueNanos), 0n)).toBe(nanos(end?.dueNanos));
  }

  const third = await map("--resume", "forty").done;
  expect(linesOf(third.stdout).map(({ stdout, lease, run }) => [stdout, lease, run])).toEqual(
    lines.map(({ stdout, lease, run }) => [stdout, lease, run]),
  );
  expect(await leases()).toHaveLength(all.length);
});

it("is shown with what each of its runs was given", async () => {
  const { lease } = lines.find(({ run }) => run === 1)!;
  const shown = await programs.ok("customer", ["lease", "show", lease]);
  for (const { index, run } of lines.filter((line) => line.lease === lease))
    expect(shown.split("\n")).toContain(`${`run ${run}`.padEnd(9)}read.wasm /in/${String(index).padStart(2, "0")}.txt`);
});

it("has receipts that hold where the lease of several is run again here", async () => {
  const several = lines.find(({ run }) => run === 1);
  const verified = await programs.xeno("customer", ["verify", several!.lease, "--re-execute"]).done;
  expect(verified.code, verified.stdout + verified.stderr).toBe(0);
});

it("is taken again for each input alone: by a map, and by a run; but where a byte of it is not what was signed", async () => {
  const before = (await leases()).length;
  const again = linesOf((await map("--reuse").done).stdout);
  expect(again.map(({ reused }) => reused)).toEqual(Array.from({ length: INPUTS }, (_, i) => i !== FAILS));
  expect(again.map(({ stdout }) => stdout)).toEqual(Array.from({ length: INPUTS }, (_, i) => wordOf(i)));
  expect(await leases()).toHaveLength(before + 1);
});
