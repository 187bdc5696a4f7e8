/**
 * The official suite of WASI preview 1, each program run here (`--local`) and through a lease, as wasmtime's adapter runs it: its folder as
 * `--dir FOLDER::/`, its environment, its arguments. Nothing of the suite is kept here: XENO_WASI_SUITE names a checkout of
 * github.com/WebAssembly/wasi-testsuite, branch prod/testsuite-base, where the programs lie built.
 */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ENGINE_VERSION } from "@xenoservers/guests";
import * as moduleCheck from "@xenoservers/engine/check";
import { finishJob, parseJob } from "../../packages/sdk/src/node/program-job.ts";
import { orderAndFollow, startMarket, type TestMarket } from "../process/market.ts";

const SUITE = process.env["XENO_WASI_SUITE"] ?? "";
const XENO = path.resolve("node_modules/.bin/xeno");
const LANGUAGES = ["assemblyscript", "c", "rust"];

/** As the suite writes it beside a program; both of its forms say no more of a program of preview 1. */
interface Said {
  args?: string[];
  env?: Record<string, string>;
  root?: string;
  dirs?: string[];
  exit_code?: number;
  stdout?: string;
}
interface Operation extends Said {
  type: string;
  id?: string;
  payload?: string;
}
interface Case {
  name: string;
  file: string;
  root: string | null;
  args: string[];
  env: [string, string][];
  expected: { code: number; stdout: string | null };
}

function caseOf(file: string): Case {
  const beside = file.replace(/wasm$/, "json");
  const { operations, ...flat }: Said & { operations?: Operation[] } = existsSync(beside) ? JSON.parse(readFileSync(beside, "utf8")) : {};
  const of = (type: string): Operation | undefined => operations?.find((each) => each.type === type);
  const { args = [], env = {}, root, dirs = [] } = of("run") ?? flat;
  const open = root ?? dirs[0];
  const printed = of("read")?.payload ?? flat.stdout ?? null;
  return {
    name: path.relative(SUITE, file).replace(/^tests\/|testsuite\/wasm32-wasip1\//g, ""),
    file,
    root: open === undefined ? null : path.join(path.dirname(file), open),
    ...{ args, env: Object.entries(env) },
    expected: { code: of("wait")?.exit_code ?? flat.exit_code ?? 0, stdout: printed },
  };
}

const CASES = LANGUAGES.flatMap((language) => {
  const folder = path.join(SUITE, "tests", language, "testsuite/wasm32-wasip1");
  return SUITE === "" ? [] : readdirSync(folder).flatMap((name) => (name.endsWith(".wasm") ? [caseOf(path.join(folder, name))] : []));
});

if (SUITE === "") console.warn("SKIPPED: the official suite of WASI preview 1: XENO_WASI_SUITE names no checkout of it");
else
  it("has all its programs", () => {
    expect(CASES.length).toBeGreaterThanOrEqual(72);
  });

let scratch: string;
beforeAll(() => void (scratch = mkdtempSync(path.join(tmpdir(), "xeno-wasi-suite-"))));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** What the program may change, without what another left. */
function dirOf({ root }: Case): string[] {
  if (root === null) return [];
  const own = mkdtempSync(path.join(scratch, "root-"));
  cpSync(root, own, { recursive: true, verbatimSymlinks: true });
  return [`${own}::/`];
}

function check({ expected }: Case, ran: { code: number | null; stdout: string; stderr: string }): void {
  expect(ran, ran.stderr).toMatchObject({ code: expected.code, stdout: expected.stdout ?? (expect.any(String) as string) });
}

describe.skipIf(SUITE === "")("with --local", () => {
  it.each(CASES)("$name", async (each) => {
    const options = [
      ...dirOf(each).flatMap((dir) => ["--dir", dir]),
      ...each.env.flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ];
    const args = ["run", "--local", "-q", ...options, each.file, ...each.args];
    const ran = await new Promise<Parameters<typeof check>[1]>((resolve) =>
      execFile(XENO, args, (error, stdout, stderr) => resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })),
    );
    check(each, ran);
  });
});

describe.skipIf(SUITE === "")("through a lease", () => {
  let market: TestMarket;
  beforeAll(async () => void (market = await startMarket()));
  afterAll(() => market.close());

  it.each(CASES)("$name", async (each) => {
    const limits = { memoryMib: 256, diskMib: 64, outputMib: 4, fuelMax: 10n ** 15n };
    const env = each.env.map(([name, value]) => `${name}=${value}`);
    const job = finishJob(
      await parseJob({ file: each.file, args: each.args, dir: dirOf(each), env, check: moduleCheck, ...limits }),
      ENGINE_VERSION,
    );
    const { lease, stdout, stderr } = await (await orderAndFollow(market.customer, job)).end();
    expect(lease.end).toMatchObject({ reason: "completed" });
    check(each, { code: lease.end!.exitCode, stdout, stderr });
  });
});
