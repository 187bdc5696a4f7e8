/** The command line as a pipeline has it: nobody at a terminal, a runner that ends it, and programs that read what it prints. */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { isLive } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";
import { thoroughly } from "../thorough.ts";
import { until } from "../until.ts";
import { command, started } from "./command.ts";
import { endless } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";

let market: TestMarket;
let job: string;
let fingerprint: string;
const home = (name: string): string => path.join(market.folder, name);
const xeno = (...args: string[]) => command(home("runner"), ...args);
const json = async <T>(...args: string[]): Promise<T> => JSON.parse((await xeno(...args, "--json")).stdout) as T;

beforeAll(async () => {
  market = await startMarket({ willAfterMs: 2_000 });
  job = path.join(market.folder, "endless.wasm");
  await writeFile(job, await endless());
  const { stdout } = await command(home("person"), "login", market.broker.url, "--yes", "--context", "test", "--json");
  ({ fingerprint } = JSON.parse(stdout) as { fingerprint: string });
});
afterAll(() => market.close());

it("login takes a market by its fingerprint alone where nobody can compare it, and never what is merely there", async () => {
  const unasked = await xeno("login", market.broker.url);
  expect([unasked.code, unasked.stderr]).toEqual([125, expect.stringMatching(/nobody is here to compare it: give --fingerprint/)]);
  const other = await xeno(
    "login",
    market.broker.url,
    "--fingerprint",
    fingerprint.replace(/^./, (c) => (c === "1" ? "2" : "1")),
    "--yes",
  );
  expect([other.code, other.stderr]).toEqual([125, expect.stringMatching(/it is another market, or somebody stands between/)]);
  expect((await xeno("context", "ls", "--json")).stdout).toContain('"contexts":{}');
  // as it was read out or copied
  const same = await xeno("login", market.broker.url, "--fingerprint", fingerprint.toUpperCase(), "--context", "test");
  expect(same.code, same.stderr).toBe(0);
  const { party } = await json<{ party: string }>("whoami");
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "ef".repeat(16) });
});

type Child = ReturnType<typeof started>["child"];
const terminate = (child: Child): void => void child.kill("SIGTERM");
/** As `head` does. */
const readNoMore = (child: Child): void => void child.stdout?.destroy();

/** A run of a job that has a server and prints, told to end. */
async function ended(
  env: NodeJS.ProcessEnv,
  options: readonly string[],
  { end = terminate, program = job } = {},
): Promise<{ code: number; stderr: string; lease: LeaseView }> {
  let heard = "";
  const { child, done } = started(home("runner"), ["run", program, "--budget", "0.01", ...options], (text) => (heard += text), env);
  const printed = new Promise<void>((resolve) => child.stdout?.once("data", () => resolve()));
  await Promise.race([printed, done]);
  end(child);
  const { code, stderr } = await done;
  const [, id = ""] = /^lease +([0-9a-f]+)/m.exec(heard) ?? [];
  return { code, stderr, lease: await json<LeaseView>("lease", "show", id) };
}

it("--stop-on-exit ends the lease and its cost on SIGTERM; so does CI by itself", async () => {
  for (const [env, ...options] of [[{}, "--stop-on-exit"], [{ CI: "true" }]] as [NodeJS.ProcessEnv, ...string[]][]) {
    const { code, stderr, lease } = await ended(env, options);
    expect([code, stderr]).toEqual([130, expect.stringMatching(/nothing is charged from now on/)]);
    await until(async () => !isLive((await json<LeaseView>("lease", "show", lease.id)).state));
    expect((await json<LeaseView>("lease", "show", lease.id)).end?.reason).toBe("customer-stop");
  }
});

it("in CI a run that is killed without a word is stopped all the same", async () => {
  const { lease } = await ended({ CI: "true" }, [], { end: (child) => void child.kill("SIGKILL") });
  await until(async () => !isLive((await json<LeaseView>("lease", "show", lease.id)).state));
  expect((await json<LeaseView>("lease", "show", lease.id)).end?.reason).toBe("customer-stop");
  expect((await xeno("lease", "show", lease.id)).stdout).toContain("stopped  with the words 'its customer was gone'");
});

thoroughly("a reader that has had enough ends it as a signal does: with its lease in CI, else it says that the job runs on", async () => {
  const source = "while True:\n  print('go', flush=True)\n  for i in range(10 ** 5): pass\n";
  const program = path.join(market.folder, "go.py");
  await writeFile(program, source);
  const inCi = await ended({ CI: "true" }, [], { program, end: readNoMore });
  expect([inCi.code, inCi.stderr]).toEqual([141, expect.stringMatching(/nothing is charged from now on/)]);
  await until(async () => !isLive((await json<LeaseView>("lease", "show", inCi.lease.id)).state));
  const { code, stderr, lease } = await ended({}, [], { program, end: readNoMore });
  expect([code, stderr, isLive(lease.state)]).toEqual([141, expect.stringMatching(/it runs on; follow it with/), true]);
  expect((await xeno("lease", "stop", lease.id)).code).toBe(0);
});

thoroughly("a map whose reader has had enough leaves no order that nobody sends its job to", async () => {
  const script = path.join(market.folder, "short.py");
  await writeFile(script, "print('x' * 100_000)\n");
  const { child, done } = started(home("runner"), ["map", "--array", "1-40", "-P", "6", script]);
  await Promise.race([new Promise<void>((resolve) => child.stdout?.once("data", () => resolve())), done]);
  readNoMore(child);
  const { code, stderr } = await done;
  expect([code, stderr]).toEqual([141, expect.stringMatching(/what waited was withdrawn; go on with: xeno map --resume map-/)]);
  const all = async (): Promise<LeaseView[]> => (await json<{ leases: LeaseView[] }>("ps", "--all", "--limit", "all")).leases;
  await until(async () => (await all()).every(({ state }) => !isLive(state)));
  expect((await all()).map(({ end }) => end?.reason)).not.toContain("input-missing");
});

thoroughly("--no-stop-on-exit leaves a job that runs to run on, in CI too", async () => {
  const { code, stderr, lease } = await ended({ CI: "1" }, ["--no-stop-on-exit"]);
  expect([code, stderr, isLive(lease.state)]).toEqual([130, expect.stringMatching(/it runs on/), true]);
  expect((await xeno("lease", "stop", lease.id)).code).toBe(0);
  const both = await xeno("run", job, "--detach", "--stop-on-exit");
  expect([both.code, both.stderr]).toEqual([125, expect.stringMatching(/give one of them/)]);
});

it("--json has every byte of a job's output, and says by name how it is encoded", async () => {
  const script = path.join(market.folder, "bytes.py");
  await writeFile(script, "import sys\nsys.stdout.buffer.write(bytes([255, 0, 254]))\nprint('said', file=sys.stderr)\n");
  const ran = await json<Record<string, string>>("run", script, "--budget", "0.05");
  expect(ran).toMatchObject({ stdout: "/wD+", stdoutEncoding: "base64", stderr: "said\n", stderrEncoding: "utf8" });
  expect(await json("lease", "result", ran["lease"]!)).toMatchObject({ stdout: "/wD+", stdoutEncoding: "base64" });
});

it("--json holds one object also where the words are wrong or nothing answers", async () => {
  for (const words of [["run", "--nope"], ["no-such-verb"], ["lease", "show"]]) {
    const { code, stdout } = await xeno(...words, "--json");
    expect([code, JSON.parse(stdout)], words.join(" ")).toEqual([125, { error: { code: "usage", says: expect.any(String) as string } }]);
  }
  const amount = await xeno("run", job, "--budget", "1,5", "--json");
  expect(JSON.parse(amount.stdout)).toEqual({ error: { code: "failed", says: "--budget '1,5' is not an amount; write 0.50" } });
  const { stdout } = await command(home("stranger"), "ps", "--json");
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: "failed" } });
});

it("help --json has every command with what it takes", async () => {
  interface Help {
    name: string;
    options: { long: string; takes: string | null; choices: string[] | null }[];
    commands: Help[];
  }
  const help = await json<Help & { schema: number }>("help");
  expect(help.schema).toBe(1);
  const run = help.commands.find(({ name }) => name === "run");
  expect(run?.options.find(({ long }) => long === "--budget")?.takes).toBe("amount");
  expect(run?.options.find(({ long }) => long === "--assurance")?.choices).toContain("replicated");
  expect(help.commands.find(({ name }) => name === "lease")?.commands.map(({ name }) => name)).toContain("stop");
});

it("help --json is of the verb that is named, and an error where there is none", async () => {
  expect(JSON.parse((await xeno("help", "token", "create", "--json")).stdout)).toMatchObject({ name: "create", schema: 1, commands: [] });
  for (const words of [["nothing"], ["run", "nothing"]]) {
    const { code, stdout } = await xeno("help", ...words, "--json");
    expect([code, JSON.parse(stdout)]).toMatchObject([125, { error: { code: "usage" } }]);
    const inWords = await xeno("help", ...words);
    expect([inWords.code, inWords.stderr]).toEqual([125, `error: there is no verb '${words.join(" ")}': xeno help shows all of them\n`]);
  }
  expect((await xeno("help", "token", "create")).stdout).toMatch(/^Usage: xeno token create /);
});

it("--curl shows each call as curl makes it, and no secret", async () => {
  const { code, stderr, stdout } = await xeno("--curl", "ps", "--json");
  expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ leases: expect.any(Array) as unknown[] })]);
  expect(stderr).toMatch(/^curl '?http:\S+\/api\/v1\/leases\?live=true&limit=200'? -H "authorization: Bearer \$XENO_SESSION"$/m);
  expect(stderr).toMatch(/^curl -X POST \S+ -H 'content-type: application\/json' -d '/m);
  const shown = stderr.replaceAll("Bearer $XENO_SESSION", "");
  expect(shown).not.toMatch(/Bearer/);
});
