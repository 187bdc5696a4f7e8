/** A map that is left by Ctrl-C; and a hundred small jobs by a map beside `xargs -P` of node:wasi on the same machine; what it took is printed, what came of it is checked. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeAll, expect, it } from "vitest";
import { endless, reading } from "./jobs.ts";
import { until } from "../until.ts";
import { guestsOf } from "./guests.ts";
import { Programs, kill9, told } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = 100;
const AT_ONCE = 2;
const names = Array.from({ length: INPUTS }, (_, i) => `${String(i).padStart(3, "0")}.txt`);

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;
beforeAll(async () => {
  programs = await Programs.open(`${WASM_ALONE}[capacity]\nvcpu = ${AT_ONCE}\n`);
  await writeFile(programs.at("read.wasm"), await reading());
  await writeFile(programs.at("endless.wasm"), await endless());
  await mkdir(programs.at("data"));
  for (const name of names) await writeFile(programs.at(`data/${name}`), `${name}\n`);
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker);
  await programs.remove();
});

/** Runs the module as a lease would have it: /out is descriptor 3, /in 4. */
const LOCAL = `
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
const [, , module, folder, name] = process.argv;
const wasi = new WASI({ version: "preview1", args: ["read.wasm", "/in/" + name], preopens: { "/out": folder, "/in": folder } });
wasi.start((await WebAssembly.instantiate(readFileSync(module), wasi.getImportObject())).instance);
`;

interface Listed {
  id: string;
  end: { reason: string } | null;
}
const leases = async (): Promise<Listed[]> =>
  (JSON.parse(await programs.ok("customer", ["ps", "--all", "--limit", "all", "--json"])) as { leases: Listed[] }).leases;

/** Of the leases that are not over, those whose guest has begun, as their server's journal says. */
async function guestsBegun(): Promise<number> {
  const folder = programs.at("server/leases");
  const records = await Promise.all(
    (await readdir(folder)).map((lease) => readFile(`${folder}/${lease}/lease.json`, "utf8").catch(() => "null")),
  );
  return records
    .map((text) => JSON.parse(text) as { guest: object | null; overAt: number | null } | null)
    .filter((record) => record?.guest && record.overAt === null).length;
}

async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const began = performance.now();
  return [await work(), performance.now() - began];
}

it("are the same bytes, and cost so many times the time", async () => {
  await writeFile(programs.at("local.mjs"), LOCAL);
  const lines = names.map((name) => `${name}\n`);
  const [local, localMs] = await timed(async () => {
    const args = [
      "-n1",
      `-P${AT_ONCE}`,
      process.execPath,
      "--no-warnings",
      programs.at("local.mjs"),
      programs.at("read.wasm"),
      programs.at("data"),
    ];
    const child = spawn("xargs", args, { stdio: ["pipe", "pipe", "inherit"] });
    child.stdin.end(lines.join(""));
    const [bytes] = await Promise.all([buffer(child.stdout), once(child, "close")]);
    return bytes.toString().split(/(?<=\n)/);
  });
  const small = ["--mem", "16M", "--disk", "1M", "--max-output", "1M", "-P", String(AT_ONCE)];
  const [mapped, mapMs] = await timed(() =>
    programs.ok("customer", ["map", ...small, programs.at("read.wasm"), "--", programs.at("data/*.txt")]),
  );
  expect(local.toSorted()).toEqual(lines);
  expect(mapped).toBe(lines.join(""));
  console.log(
    JSON.stringify({ jobs: INPUTS, atOnce: AT_ONCE, mapMs: Math.round(mapMs), xargsMs: Math.round(localMs), ratio: mapMs / localMs }),
  );
});

it("leaves no process that waits for another job once its server is gone", async () => {
  const at = programs.at("server");
  // it waits for so long only, and is seen while it does
  await until(async () => {
    await programs.ok("customer", ["run", "--mem", "16M", "--disk", "1M", programs.at("read.wasm"), "--", "none"]).catch(() => {});
    return (await guestsOf(at)).length > 0;
  });
  await kill9(server);
  await until(async () => (await guestsOf(at)).length === 0);
  server = await programs.startServer();
});

const ENDLESS = (): string[] => [
  "--mem",
  "16M",
  "--disk",
  "1M",
  "-P",
  "4",
  programs.at("endless.wasm"),
  "--",
  programs.at("data/00[0-7].txt"),
];

it("is left by SIGTERM with --stop-on-exit: what runs is stopped, and costs nothing from then on", async () => {
  const before = (await leases()).length;
  const left = programs.xeno("customer", ["map", "--stop-on-exit", ...ENDLESS()]);
  await until(async () => (await leases()).length === before + 2);
  left.child.kill("SIGTERM");
  const { code, stderr } = await left.done;
  expect([code, stderr]).toEqual([130, expect.stringMatching(/what ran was stopped, what waited was withdrawn; go on with: xeno map/)]);
  await until(async () => (await leases()).every(({ end }) => end !== null));
});

it("is left by Ctrl-C: what runs runs on, what waits is withdrawn, the hold is closed, and the command that goes on is said", async () => {
  const before = (await leases()).length;
  const left = programs.xeno("customer", ["map", "--no-stop-on-exit", ...ENDLESS()]);
  // two have room, the others wait
  await until(async () => (await leases()).length === before + 2);
  await until(async () => (await guestsBegun()) === 2);
  left.child.kill("SIGINT");
  const { code, stdout, stderr } = await left.done;
  expect([code, stdout]).toEqual([130, ""]);
  const [, command, name] = /go on with: (xeno map --resume (map-\w+) .*)\n/.exec(stderr) ?? [];
  expect(command).toContain("'");
  // one whose customer has not heard yet that all of it is with its server could not run on without him
  const two = (await leases()).slice(0, 2);
  expect(two.filter(({ end }) => end !== null && end.reason !== "customer-stop")).toEqual([]);
  expect(two.map(({ end }) => end)).toContain(null);
  const journal = await readFile(programs.at(`customer/data/maps/${name}/journal.jsonl`), "utf8");
  const holds = journal.split("\n").filter((line) => line.startsWith('{"batch":'));
  expect(holds.at(-1)).toBe('{"batch":null}');
  for (const { id, end } of await leases()) if (end === null) await programs.ok("customer", ["lease", "stop", id]);
  expect((await leases()).filter(({ end }) => end === null)).toEqual([]);
});
