/**
 * The disk of a broker's own database fills while a map runs, so far that PostgreSQL ends, and has room again later: nothing is lost, done
 * by halves or billed twice, and each side is told what it is.
 */
import type { ChildProcess } from "node:child_process";
import { open, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { reading, saying } from "./jobs.ts";
import { Programs, kill9, told, type Started } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const INPUTS = Array.from({ length: 12 }, (_, i) => i);
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M"];
const FULL = "the disk of the broker's database is full";
/** Moves the database onto a disk of its own that nobody else sees, and is then the broker. */
const ON_A_SMALL_DISK =
  'set -e; mkdir "$1.t"; cp -a "$1/." "$1.t/"; mount -t tmpfs -o size=160m,mode=0700 tmpfs "$1"; cp -a "$1.t/." "$1/"; shift; exec "$@"';

let programs: Programs;
let broker: Started;
let server: ChildProcess;
/** The small disk, as this process sees it. */
let disk: string;

beforeAll(async () => {
  programs = await Programs.open(WASM_ALONE);
  await writeFile(programs.at("read.wasm"), await reading());
  await writeFile(programs.at("say.wasm"), await saying("hello\n"));
  for (const input of INPUTS) await writeFile(programs.at(`${input}.txt`), `${input}\n`);
  const asRoot = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const database = programs.at("broker/postgres");
  broker = await programs.startBrokerBy(["unshare", "--mount", ...asRoot, "--", "sh", "-c", ON_A_SMALL_DISK, "sh", database]);
  disk = path.join(`/proc/${broker.child.pid}/root`, database);
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker.child);
  await programs.remove();
});

async function fill(): Promise<void> {
  const file = await open(path.join(disk, "filler"), "w");
  try {
    for (const size of [1024 * 1024, 4096])
      for (;;)
        if (
          !(await file.write(Buffer.alloc(size)).then(
            ({ bytesWritten }) => bytesWritten === size,
            () => false,
          ))
        )
          break;
  } finally {
    await file.close();
  }
  expect((await statfs(disk)).bavail).toBe(0);
}

/** What is left of the write-ahead log's segment is used up: then the database ends. */
async function useUp(): Promise<void> {
  const client = new Client({ host: programs.at("broker/run"), user: "xeno", database: "postgres" });
  const lost = new Promise<void>((resolve) => client.on("error", () => resolve()));
  await client.connect();
  const more = async (): Promise<never> => {
    for (;;) await client.query("select pg_logical_emit_message(false, 'x', repeat('y', 1000000))");
  };
  await Promise.race([lost, more().catch(() => {})]);
}

const ready = async (): Promise<{ status: number; why?: string }> => {
  const response = await fetch(new URL("/readyz", programs.url));
  const body = (await response.json()) as { why?: string };
  return { status: response.status, ...(body.why === undefined ? {} : { why: body.why }) };
};

it("costs nobody anything, is told to each, and comes back by itself", async () => {
  const files = INPUTS.map((input) => programs.at(`${input}.txt`));
  const map = programs.xeno("customer", ["map", ...SMALL, "-P", "1", "--json", programs.at("read.wasm"), "--", ...files]);
  await until(() => map.seen.stdout.includes("\n"));
  await fill();
  await useUp();
  await until(async () => (await ready()).why === FULL);
  expect((await ready()).status).toBe(503);
  await until(() => broker.seen.stderr.includes("its disk is full, make room there: could not"));
  const refused = await programs.xeno("customer", ["run", ...SMALL, programs.at("say.wasm")]).done;
  expect(refused.code, refused.stderr).toBe(125);
  await rm(path.join(disk, "filler"));
  await until(async () => (await ready()).status === 200);
  const { code, stdout, stderr } = await map.done;
  expect(code, stdout + stderr).toBe(0);
  const results = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { ok: boolean; stdout: string });
  expect(results).toMatchObject(INPUTS.map((input) => ({ ok: true, stdout: `${input}\n` })));
  expect(await programs.ok("customer", ["run", ...SMALL, programs.at("say.wasm")])).toBe("hello\n");
  await until(
    async () => (JSON.parse(await programs.ok("customer", ["wallet", "--json"])) as { balances: { held: string } }).balances.held === "0",
  );
  const { leases } = JSON.parse(await programs.ok("customer", ["ps", "--all", "--json"])) as { leases: { state: string }[] };
  expect(new Set(leases.map(({ state }) => state))).toEqual(new Set(["settled"]));
  // ten lines a second were told of a database that cannot be reached
  expect(broker.seen.stderr.split("\n").filter((line) => line.includes('"level":50')).length).toBeLessThan(60);
});
