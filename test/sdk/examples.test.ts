/** The cookbook of examples/sdk, each program run as a newcomer would, against a real market. */
import { execFile } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { startMarket, type TestMarket } from "../process/market.ts";
import { customerOf, type Customer } from "./customer.ts";

const run = promisify(execFile);
const LINES_MAX = 40;

let market: TestMarket;
let customer: Customer;
beforeAll(async () => {
  market = await startMarket();
  customer = await customerOf(market, "cook");
});
afterAll(() => market.close());

/** Of one whose program needs it, a customer of its own. */
async function printed(name: string, of = customer): Promise<string> {
  const env = { ...process.env, XENO_HOME: of.home };
  const { stdout } = await run(process.execPath, [`examples/sdk/${name}.ts`], { env });
  return stdout;
}

it("is short, and whole", () => {
  const names = readdirSync("examples/sdk");
  expect(names.length).toBeGreaterThanOrEqual(10);
  for (const name of names) expect(readFileSync(`examples/sdk/${name}`, "utf8").split("\n").length, name).toBeLessThanOrEqual(LINES_MAX);
});

it.each<[string, RegExp]>([
  ["hello", /^hello from wasi\nlease [0-9a-f]{12}: [1-9]\d* nanos\n$/],
  ["files", /^counts\.json \{"be": 2, "not": 1, "or": 1, "to": 2\}\n$/],
  ["module", /^counts\.txt .*one\.txt[^]*exit 0, billed by fuel\n$/],
  ["streaming", /step 0\nstep 1\nstep 2\n[^]*completed\n$/],
  ["stop", /^begun\ngiven_up: withdrawn, money: withdrawn\n$/],
  ["map", /^1 4 9 16 25\n$/],
  ["verify", /^at once: true\n(?:(?:proved|claimed) .*\n)+nothing in it is wrong\n$/],
  ["quote", /^s_\w{10} \d+ nanos\/h \w+\nat most \d+ nanos are held, for 300 s or \d+ fuel\n$/],
  ["refusal", /^bad_input: before[^]*no_match: by customer's fault; money: none[^]*bad_input: before/],
])("%s", async (name, expected) => {
  expect(await printed(name)).toMatch(expected);
});
