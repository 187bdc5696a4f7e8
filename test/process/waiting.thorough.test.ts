/**
 * A full market, by real programs: who waits is told its place, is opened when room comes, though the broker was killed meanwhile, and
 * gives its order up by Ctrl-C; who does not wait is told that the market is full.
 */
import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "../until.ts";
import { endless, saying } from "./jobs.ts";
import { Programs, kill9, told, type Started } from "./programs.ts";
import { WASM_ALONE } from "./settings.ts";

const ONE_AT_A_TIME = `[capacity]\nvcpu = 1\n`;
const SMALL = ["--cpu", "1", "--mem", "128M", "--disk", "64M"];

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;

beforeAll(async () => {
  programs = await Programs.open(`${WASM_ALONE}${ONE_AT_A_TIME}`);
  await writeFile(programs.at("endless.wasm"), await endless());
  await writeFile(programs.at("hello.wasm"), await saying("hello\n"));
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
});
afterAll(async () => {
  await told(server);
  await kill9(broker);
  await programs.remove();
});

const run = (job: string, ...options: string[]): Started => programs.xeno("customer", ["run", ...SMALL, ...options, programs.at(job)]);
const said = async ({ seen, done }: Started, what: string): Promise<void> => {
  let over = false;
  void done.then(() => (over = true));
  await until(() => over || seen.stderr.includes(what));
  expect(seen.stderr).toContain(what);
};

it("is waited for, in turns, through the end of its broker", async () => {
  const lease = (await run("endless.wasm", "--detach").done).stdout.trim();

  const refused = await run("hello.wasm").done;
  expect([refused.code, refused.stderr]).toEqual([125, expect.stringMatching(/busy: .*\n.*capacity excluded 1\n.*--wait/s)]);
  const never = await run("hello.wasm", "--wait", "--where", "region=mars").done;
  expect([never.code, never.stderr]).toEqual([125, expect.stringContaining("no_match: ")]);
  const short = await run("hello.wasm", "--wait", "--for", "1s").done;
  expect([short.code, short.stderr]).toEqual([125, expect.stringMatching(/busy: .*no room came while it waited/s)]);

  const first = run("hello.wasm", "--wait");
  await said(first, "the market is full: it is next");
  const second = run("hello.wasm", "--wait");
  await said(second, "1 order before it");
  second.child.kill("SIGINT");
  const left = await second.done;
  expect([left.code, left.stdout]).toEqual([130, ""]);
  expect(left.stderr).toContain("the order was withdrawn, and nothing is charged from now on");

  await kill9(broker);
  broker = await programs.startBroker();
  await programs.ok("customer", ["lease", "stop", lease]);
  const opened = await first.done;
  expect([opened.code, opened.stdout], opened.stderr).toEqual([0, "hello\n"]);
  const ps = JSON.parse(await programs.ok("customer", ["ps", "--all", "--json"])) as { leases: { state: string }[] };
  expect(ps.leases).toHaveLength(2);
});
