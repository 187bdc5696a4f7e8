/**
 * One program on many files, by real programs: so many at once, in order, one of them failing; killed in the middle and gone on with, no
 * job is ordered twice.
 */
import type { ChildProcess } from "node:child_process";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading } from "./jobs.ts";
import { thoroughly } from "../thorough.ts";
import { Programs, complaints, kill9, told } from "./programs.ts";
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
  expect([second.code, complaints(second.stderr)]).toEqual([1, ""]);
  const lines = second.stdout
    .trimEnd()
    .split("\n")
    .map(
      (line) =>
        JSON.parse(line) as {
          index: number;
          ok: boolean;
          earlier: boolean;
          lease: string;
          run: number | null;
          stdout: string;
          end: { exitCode: number };
        },
    );
  expect(lines.map(({ index }) => index)).toEqual(Array.from({ length: INPUTS }, (_, i) => i));
  expect(lines.map(({ stdout }) => stdout)).toEqual(Array.from({ length: INPUTS }, (_, i) => (i === 5 ? "!bad\n" : `${i}\n`)));
  expect(lines.map(({ end }) => end.exitCode)).toEqual(Array.from({ length: INPUTS }, (_, i) => (i === 5 ? 1 : 0)));
  expect(lines.filter(({ earlier }) => earlier).length).toBeGreaterThanOrEqual(3);
  expect(new Set(lines.map(({ lease, run }) => `${lease} ${run}`)).size).toBe(INPUTS);
  const used = new Set(lines.map(({ lease }) => lease)).size;
  expect(await leases()).toHaveLength(used);

  // all of it is known: nothing is ordered, and the words come as they came
  const third = await map("--resume", "twelve", "--tag").done;
  expect(third.stdout).toBe(Array.from({ length: INPUTS }, (_, i) => `${nameOf(i)}\t${i === 5 ? "!bad" : i}\n`).join(""));
  expect(third.stderr).toMatch(/failed {3}05\.txt: [^]*12\/12 done, 12 of them earlier, 1 failed/);
  expect(await leases()).toHaveLength(used);
  expect(await over()).toBe(used);
});

const reusedLines = (stdout: string): { ok: boolean; reused: boolean; lease: string; stdout: string; end: { dueNanos: string } }[] =>
  stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as never);

it("takes earlier results for the same work where that is asked for: nothing is ordered but what did not end well", async () => {
  const before = (await leases()).length;
  const lines = reusedLines((await map("--reuse", "--json").done).stdout);
  expect(lines.map(({ reused }) => reused)).toEqual(Array.from({ length: INPUTS }, (_, i) => i !== 5));
  expect(lines.map(({ stdout }) => stdout)).toEqual(Array.from({ length: INPUTS }, (_, i) => (i === 5 ? "!bad\n" : `${i}\n`)));
  expect(lines.filter(({ reused, end }) => reused && end.dueNanos !== "0")).toEqual([]);
  expect(await leases()).toHaveLength(before + 1);
});

describe("a run that reuses", () => {
  const run = (...words: string[]) =>
    programs.xeno("customer", ["run", "--json", ...SMALL, "--in", programs.at("data"), programs.at("read.wasm"), ...words]).done;
  const ran = async (...words: string[]) => {
    const done = await run(...words);
    expect(done.code, done.stderr).toBe(0);
    return JSON.parse(done.stdout) as { lease: string; reused: boolean; stdout: string; end: { dueNanos: string } };
  };
  const again = () => ran("--reuse", "/in/01.txt");
  const runs = () => programs.at("customer/data/runs");
  let first: Awaited<ReturnType<typeof ran>>;
  beforeAll(async () => {
    first = await ran("--reuse", "/in/01.txt");
  });

  it("has the words of the earlier lease, at no cost", async () => {
    expect(first).toMatchObject({ reused: false, stdout: "1\n" });
    expect(await again()).toMatchObject({ reused: true, lease: first.lease, stdout: "1\n", end: { dueNanos: "0" } });
    const shown = await programs.xeno("customer", [
      ...["run", "--reuse", ...SMALL, "--in", programs.at("data"), programs.at("read.wasm"), "/in/01.txt"],
    ]).done;
    expect([shown.code, shown.stdout]).toEqual([0, "1\n"]);
    expect(shown.stderr).toMatch(new RegExp(`reused {3}what lease ${first.lease.slice(0, 12)} came to`));
  });

  thoroughly("is run where words, limits or who is trusted differ, or nobody asks to reuse", async () => {
    expect((await ran("/in/01.txt")).reused).toBe(false);
    expect((await ran("--reuse", "/in/02.txt")).reused).toBe(false);
    expect((await ran("--reuse", "--where", "region!=nowhere", "/in/01.txt")).reused).toBe(false);
  });

  thoroughly("believes no byte that was not signed, and no file that is of another lease", async () => {
    const { lease } = await again();
    const [name] = await Promise.all(
      (await readdir(runs())).map(async (each) => ((await readFile(path.join(runs(), each), "utf8")).includes(lease) ? each : [])),
    ).then((all) => all.flat());
    const file = path.join(runs(), name!);
    const kept = JSON.parse(await readFile(file, "utf8")) as { lease: string; printed: { stdout: string } };
    const planted = [
      { ...kept, printed: { ...kept.printed, stdout: Buffer.from("lie\n").toString("hex") } },
      { ...kept, lease: first.lease === lease ? (await leases()).find(({ id }) => id !== lease)!.id : first.lease },
    ];
    for (const each of planted) {
      await writeFile(file, JSON.stringify(each));
      expect(await again()).toMatchObject({ reused: false, stdout: "1\n" });
    }
  });

  thoroughly("does not take what its customer has objected to, whatever the kept receipt shows", async () => {
    const { lease, reused } = await again();
    expect(reused).toBe(true);
    await programs.ok("customer", ["lease", "object", lease, "--expected", "0.001", "--reason", "not so", "--yes"]);
    expect((await again()).reused).toBe(false);
  });

  thoroughly("is not for machines, and not with what makes no sense beside it", async () => {
    for (const words of [["--image", "x:1"], ["--detach"], ["--replicas", "2"]]) {
      const { code, stdout } = await run("--reuse", ...words);
      expect([code, stdout]).toEqual([125, expect.stringContaining("--reuse")]);
    }
  });
});

thoroughly("runs on numbers, in the environment and in place of {}, and not on files besides", async () => {
  await writeFile(programs.at("index.py"), "import os, sys\nprint(os.environ['XENO_INDEX'], sys.argv[1:])\n");
  const numbers = programs.xeno("customer", [
    "map",
    ...["--mem", "128M", "--disk", "1M"],
    "--array",
    "1-3:2",
    programs.at("index.py"),
    "--at",
    "n{}",
  ]);
  const { stdout, stderr } = await numbers.done;
  expect(stdout, stderr).toBe("1 ['--at', 'n1']\n3 ['--at', 'n3']\n");
  const none = await map("--array", "0-3").done;
  expect([none.code, none.stderr]).toEqual([125, expect.stringContaining("--array runs on numbers")]);
});

it("says once what is wrong with the program, and orders nothing", async () => {
  const before = (await leases()).length;
  await writeFile(programs.at("no.wasm"), "xx");
  for (const [program, says] of [
    ["none.py", "there is no file"],
    ["no.wasm", "it is no WebAssembly"],
  ] as const) {
    const { code, stdout, stderr } = await programs.xeno("customer", ["map", programs.at(program), "--", programs.at("data/*.txt")]).done;
    expect([code, stdout, stderr.split("\n").filter((line) => line !== "")]).toEqual([125, "", [expect.stringContaining(says)]]);
  }
  expect(await leases()).toHaveLength(before);
});

it("runs a module whose name says nothing, and names of two inputs of one name the paths", async () => {
  await writeFile(programs.at("reader"), await reading());
  for (const each of ["one", "two"]) {
    await mkdir(programs.at(each));
    await writeFile(programs.at(`${each}/x`), `${each}\n`);
  }
  const words = ["map", ...SMALL, "--tag", programs.at("reader"), "--"];
  const { stdout } = await programs.xeno("customer", [...words, programs.at("one/x"), programs.at("two/x")]).done;
  expect(stdout).toBe(`${programs.at("one/x")}\tone\n${programs.at("two/x")}\ttwo\n`);
});

describe("a run after others", () => {
  const run = (...words: string[]) => programs.xeno("customer", ["run", ...SMALL, "--in", programs.at("data"), ...words]);
  const fails = async (): Promise<string> => {
    const { stdout } = await run("--json", programs.at("read.wasm"), "/in/05.txt").done;
    return (JSON.parse(stdout) as { lease: string }).lease;
  };

  it("is ordered when they ended well, in a chain of commands that are all begun at once", async () => {
    const first = (
      await programs.ok("customer", ["run", "-d", ...SMALL, "--in", programs.at("data"), programs.at("read.wasm"), "/in/01.txt"])
    ).trim();
    const then = await run("--after", first, programs.at("read.wasm"), "/in/02.txt").done;
    expect([then.code, then.stdout]).toEqual([0, "2\n"]);
  });

  thoroughly("is not ordered where one did not: by the table's code, and at no cost", async () => {
    const failed = await fails();
    const before = (await leases()).length;
    const { code, stdout } = await run("--json", "--after", failed.slice(0, 12), programs.at("read.wasm"), "/in/02.txt").done;
    expect([code, JSON.parse(stdout)]).toMatchObject([
      125,
      { error: { code: "earlier_failed", says: expect.stringContaining("exit code 1") as string } },
    ]);
    expect(await leases()).toHaveLength(before);
  });
});
