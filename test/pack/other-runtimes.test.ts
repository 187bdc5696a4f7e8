/** Programs on the packed library run where Node's programs run but Node does not: Bun and Deno, as npm has them. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ended, install, packed } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

const LIBRARIES = ["@xenoservers/market", "@xenoservers/protocol", "@xenoservers/verify", "@xenoservers/sdk"];
const RUNTIMES = [
  ["bun", "1.4.5", ["run"]],
  ["deno", "2.9.6", ["run", "-A"]],
] as const;
const PROGRAMS = [
  ["hello", /^hello from wasi\nlease [0-9a-f]{12}: \d+ nanos\n$/],
  ["streaming", /step 0\nstep 1\nstep 2\ncompleted\n/],
  ["files", /^counts\.json \{"be": 2, "not": 1, "or": 1, "to": 2\}\n$/],
  ["map", /^1 4 9 16 25\n$/],
  ["module", /exit 0, billed by fuel\n$/],
  ["verify", /nothing in it is wrong\n$/],
  ["refusal", /no_match: by customer's fault; money: none/],
] as const;

const { file } = packed();
let folder: string;
let market: DemoMarket;
const programs = (): string => path.join(folder, "examples/sdk");

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-runtimes-"));
  await cp("examples", path.join(folder, "examples"), { recursive: true });
  await install(programs(), ...LIBRARIES.map(file), ...RUNTIMES.map(([name, version]) => `${name}@${version}`));
  market = await demoMarket(process.execPath, path.resolve("packages/cli/bin/xeno.js"), path.join(folder, "market"));
});
afterAll(async () => {
  await market?.close();
  await rm(folder, { recursive: true, force: true });
});

const cases = RUNTIMES.flatMap(([runtime, , words]) => PROGRAMS.map(([program, says]) => ({ runtime, words, program, says })));
it.each(cases)("$program runs on $runtime", async ({ runtime, words, program, says }) => {
  const env = { XENO_HOME: path.join(folder, "market"), DENO_DIR: path.join(folder, "deno") };
  const done = await ended(path.join(programs(), "node_modules/.bin", runtime), [...words, `${program}.ts`], env, programs());
  expect(done, done.stderr).toMatchObject({ code: 0, stdout: expect.stringMatching(says) });
});
