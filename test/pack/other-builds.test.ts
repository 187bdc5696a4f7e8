/**
 * Programs on the packed library, built and run by tools that nobody here wrote. Each does the same: a job, and its receipt checked. What a
 * bundler made stands in a folder of its own, without the library beside it.
 */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ended, install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";
import { CONFIGS, COMMON, MODULE, PAGE, TYPED, UNDER_JEST } from "./builds/programs.ts";

const LIBRARIES = ["@xenoservers/market", "@xenoservers/protocol", "@xenoservers/verify", "@xenoservers/sdk"];
const TOOLS = [
  ...["esbuild@0.28.2", "vite@8.4.0", "webpack@5.113.0", "rollup@4.68.8", "@rollup/plugin-node-resolve@16.0.3"],
  ...["@rollup/plugin-commonjs@29.0.3", "@rollup/plugin-json@6.1.0", "tsx@4.23.15", "ts-node@10.9.2", "typescript@5.9.3"],
  ...["jest@30.5.2", "ts-jest@29.4.15", "@types/jest@30.0.0", "@types/node@24.19.2"],
];
/** One that is older than what is promised, and the newest of the oldest line that is. */
const [OLD, NODE] = ["20.20.2", "22.23.3"] as const;
const BIN = {
  ...{ esbuild: "esbuild/bin/esbuild", vite: "vite/bin/vite.js", rollup: "rollup/dist/bin/rollup", jest: "jest/bin/jest.js" },
  ...{ tsx: "tsx/dist/cli.mjs" },
};

const { file } = packed();
let folder: string;
let market: DemoMarket;
const at = (...names: string[]): string => path.join(folder, "a program", ...names);
const tool = (name: keyof typeof BIN): string => at("node_modules", BIN[name]);
const nodeOf = (version: string): string => path.join(folder, version, `node_modules/node-linux-${process.arch}/bin/node`);
const env = (): NodeJS.ProcessEnv => ({ XENO_HOME: path.join(folder, "market"), NODE_NO_WARNINGS: "1" });
const right = `${JSON.stringify({ ok: true, says: "hello from over there\n", verified: true, holds: true })}\n`;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-builds-"));
  await install(at(), ...LIBRARIES.map(file), ...TOOLS);
  for (const version of [OLD, NODE]) await install(path.join(folder, version), `node-linux-${process.arch}@${version}`);
  const texts = {
    "program.mjs": MODULE,
    "program.cjs": COMMON,
    "program.ts": TYPED,
    "page.mjs": PAGE,
    "jest.test.ts": UNDER_JEST,
    ...CONFIGS,
  };
  for (const [name, text] of Object.entries(texts)) await writeFile(at(name), text);
  market = await demoMarket(process.execPath, path.resolve("packages/cli/bin/xeno.js"), path.join(folder, "market"));
});
afterAll(async () => {
  await market?.close();
  await rm(folder, { recursive: true, force: true });
});

it.each([
  ["Node itself, of JavaScript", () => ["program.mjs"]],
  ["Node itself, by require", () => ["program.cjs"]],
  ["Node itself, of TypeScript", () => ["program.ts"]],
  ["tsx", () => [tool("tsx"), "program.ts"]],
  ["ts-node", () => ["--loader", "ts-node/esm", "program.ts"]],
] as const)("a program runs with %s", async (_, words) => {
  const done = await ended(nodeOf(NODE), words(), env(), at());
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: right });
});

it("a test runs under Jest, of TypeScript by ts-jest", async () => {
  const words = ["--experimental-vm-modules", tool("jest"), "-c", "jest.config.json"];
  const done = await ended(nodeOf(NODE), words, env(), at());
  expect(done.code, done.stderr).toBe(0);
  expect(done.stderr).toMatch(/Tests: +1 passed, 1 total/);
});

/** Where a bundle of this name is made. */
const out = (name: string): string => at("bundles", name, "program.mjs");
const ESBUILD = ["--bundle", "--format=esm"];
const REQUIRE = '--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';

/** A program and its words. */
const BUNDLERS: Readonly<Record<string, () => readonly string[]>> = {
  esbuild: () => [tool("esbuild"), "program.ts", ...ESBUILD, "--platform=node", `--outfile=${out("esbuild")}`, REQUIRE],
  rollup: () => [nodeOf(NODE), tool("rollup"), "-c", "rollup.config.mjs", "-d", path.dirname(out("rollup"))],
  webpack: () => [nodeOf(NODE), "webpack.mjs", path.dirname(out("webpack"))],
  vite: () => [nodeOf(NODE), tool("vite"), "build", "--outDir", path.dirname(out("vite"))],
};

it.each(Object.keys(BUNDLERS))("a bundle of %s runs where nothing is installed", async (name) => {
  const [program = "", ...words] = BUNDLERS[name]!();
  const built = await ended(program, words, env(), at());
  expect(built.code, built.stdout + built.stderr).toBe(0);
  // what a bundler could not look into is said here, and missing there; others' packages ask for what they can do without
  expect(built.stdout + built.stderr).not.toMatch(/Critical dependency|WARNING in \.\/node_modules\/@xenoservers/);
  const alone = path.join(folder, "alone", name);
  await cp(path.dirname(out(name)), alone, { recursive: true });
  const done = await ended(nodeOf(NODE), [path.join(alone, "program.mjs")], env(), alone);
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: right });
});

it("a page's bundle asks for nothing of Node's, and is right where there is what a page has", async () => {
  const made = path.join(folder, "alone/page.mjs");
  const built = await ended(tool("esbuild"), ["page.mjs", ...ESBUILD, "--minify", `--outfile=${made}`], {}, at());
  expect(built.code, built.stderr).toBe(0);
  const token = await market.token();
  const done = await ended(nodeOf(NODE), [made], { PAGE_TOKEN: token });
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: right });
});

it("Node that is older than what is promised is told so before anything is signed", async () => {
  const done = await ended(nodeOf(OLD), ["program.mjs"], env(), at());
  expect(done.code).toBe(1);
  expect(done.stderr).toContain(`@xenoservers/sdk needs Node 22 or later, or a runtime that has as much; this is v${OLD}`);
});
