/** `xeno mcp` with the official client of the Model Context Protocol: a real process, a real broker and a real xenoserver. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { isLive } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { z } from "zod";
import { thoroughly } from "../thorough.ts";
import { until } from "../until.ts";
import { CLI, command } from "./command.ts";
import { endless, saying, talkative } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";

/** The longest that a timer can be. */
const AS_LONG_AS_IT_TAKES = 2 ** 31 - 1;

let market: TestMarket;
let token: string;
let folder: string;
const clients: Client[] = [];

const xeno = (...args: string[]) => command(path.join(market.folder, "person"), ...args);
const tokenOf = async (...bounds: string[]): Promise<string> => (await xeno("token", "create", ...bounds)).stdout.trim();

beforeAll(async () => {
  market = await startMarket();
  await xeno("login", market.broker.url, "--yes", "--name", "person", "--context", "test");
  const { party } = JSON.parse((await xeno("whoami", "--json")).stdout) as { party: string };
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "ab".repeat(16) });
  token = await tokenOf("--max-per-day", "3.00");
  folder = path.join(market.folder, "work");
  await mkdir(path.join(folder, "data"), { recursive: true });
  await writeFile(path.join(folder, "data/words.txt"), "one two three");
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});
afterAll(() => market.close());

const environment = (own: string): Record<string, string> => ({
  PATH: process.env["PATH"] ?? "",
  XENO_HOME: path.join(market.folder, "agent"),
  XENO_TOKEN: own,
});

const zToldError = z.object({
  error: z.object({ code: z.string(), says: z.string(), blame: z.string(), money: z.string(), next: z.string() }),
});

async function agentWith(own: string, ...args: string[]) {
  const client = new Client({ name: "a test", version: "1" });
  const transport = new StdioClientTransport({
    ...{ command: process.execPath, args: [CLI, "mcp", ...args], env: environment(own), stderr: "ignore" },
  });
  await client.connect(transport, { timeout: AS_LONG_AS_IT_TAKES });
  clients.push(client);
  const call = async (name: string, input: Record<string, unknown>, signal?: AbortSignal) =>
    client.callTool({ name, arguments: input }, { timeout: AS_LONG_AS_IT_TAKES, ...(signal ? { signal } : {}) });
  return {
    client,
    call,
    /** What it gives, which is no error. */
    async ask<T>(name: string, input: Record<string, unknown>): Promise<T> {
      const { isError, structuredContent, content } = await call(name, input);
      expect(isError, JSON.stringify(content)).not.toBe(true);
      return structuredContent as T;
    },
    async refused(name: string, input: Record<string, unknown>) {
      const { isError, structuredContent } = await call(name, input);
      expect(isError).toBe(true);
      return zToldError.parse(structuredContent).error;
    },
  };
}

const agent = (...args: string[]) => agentWith(token, ...args);

interface Part {
  encoding: string;
  data: string;
  cut: boolean;
  bytes: number;
  next?: number;
}
interface Ran {
  lease: string;
  exit: number;
  stdout: Part;
  files: number;
  cost: { due: string };
}
const wasm = async (bytes: Promise<Uint8Array>): Promise<string> => Buffer.from(await bytes).toString("base64");
const leaseNow = async (id: string): Promise<LeaseView> => JSON.parse((await xeno("lease", "show", id, "--json")).stdout) as LeaseView;

it("refuses to start without a token, with a person's own key, and with a key that may spend without a cap", async () => {
  const start = (home: string, env: Record<string, string>) =>
    new Promise<{ code: number; stderr: string; stdout: string }>((resolve) => {
      const child = spawn(process.execPath, [CLI, "mcp"], { env: { PATH: process.env["PATH"] ?? "", XENO_HOME: home, ...env } });
      let [stdout, stderr] = ["", ""];
      child.stdout.on("data", (text: Buffer) => (stdout += String(text)));
      child.stderr.on("data", (text: Buffer) => (stderr += String(text)));
      child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
    });
  const nobody = await start(path.join(market.folder, "nobody"), {});
  expect([nobody.code, nobody.stdout, nobody.stderr]).toEqual([125, "", expect.stringContaining("no market yet")]);
  const person = await start(path.join(market.folder, "person"), {});
  expect([person.code, person.stderr]).toEqual([125, expect.stringMatching(/token with a cap, never by the root key/)]);
  const device = JSON.parse((await xeno("key", "add", "a laptop", "--json")).stdout) as { token: string };
  const uncapped = await start(path.join(market.folder, "nobody"), { XENO_TOKEN: device.token });
  expect([uncapped.code, uncapped.stderr]).toEqual([125, expect.stringMatching(/token with a cap, never by the device key/)]);
  const wrong = await start(path.join(market.folder, "nobody"), { XENO_TOKEN: "xeno-ci-what" });
  expect([wrong.code, wrong.stderr]).toEqual([125, expect.stringContaining("this is not a token")]);
});

it("searches, quotes, runs a script with files in and out, reads what it left, and checks the receipt", async () => {
  const { client, ask } = await agent("--folder", folder);
  const { tools } = await client.listTools({}, { timeout: AS_LONG_AS_IT_TAKES });
  expect(tools.map(({ name }) => name)).toEqual(["search", "quote", "run", "result", "files", "exec", "stop", "leases", "receipts"]);
  for (const { description, inputSchema } of tools) expect([description, inputSchema.type]).toEqual([expect.any(String), "object"]);
  // services of models refuse a whole list for these
  expect(JSON.stringify(tools)).not.toMatch(/"(propertyNames|patternProperties|anyOf|oneOf|allOf|const|\$ref)":/);
  expect((await ask<{ offers: unknown[] }>("search", { conditions: "mem>=256M" })).offers).toHaveLength(1);
  const job = {
    python: "import sys\nprint(open('/in/a/b.txt').read(), sys.argv[1])\nopen('/out/made.bin', 'wb').write(b'\\xff' * 40000)",
    args: ["--budget=9"],
    files: [{ path: "a/b.txt", text: "hello" }],
    budget: "0.05",
    mem: "256M",
  };
  const { quote } = await ask<{ quote: { holdNanos: string } }>("quote", job);
  expect(BigInt(quote.holdNanos)).toBeLessThanOrEqual(50_000_000n);
  const ran = await ask<Ran>("run", { ...job, out: "results" });
  expect(ran).toMatchObject({ exit: 0, files: 1, stdout: { encoding: "utf8", data: "hello --budget=9\n", cut: false } });
  expect((await readFile(path.join(folder, "results/made.bin"))).length).toBe(40_000);

  expect(await ask("files", { lease: ran.lease })).toEqual({ entries: [{ path: "/out/made.bin", size: 40_000 }], cut: false });
  const first = await ask<Part>("files", { lease: ran.lease, path: "/out/made.bin" });
  expect(first).toMatchObject({ encoding: "base64", cut: true, bytes: 40_000, next: 32_768 });
  const rest = await ask<Part>("files", { lease: ran.lease, path: "/out/made.bin", from: first.next });
  expect([rest.cut, Buffer.concat([first, rest].map(({ data }) => Buffer.from(data, "base64"))).length]).toEqual([false, 40_000]);

  const receipt = await ask<{ ok: boolean; lines: { status: string }[] }>("receipts", { lease: ran.lease });
  expect([receipt.ok, receipt.lines.some(({ status }) => status === "proved")]).toEqual([true, true]);
  const { leases } = await ask<{ leases: Ran[] }>("leases", { all: true });
  expect(leases[0]).toMatchObject({ lease: ran.lease, reason: "completed", cost: ran.cost });
  const within = await ask<Ran>("run", { python: "print(open('/in/words.txt').read())", in: "data", budget: "0.05" });
  expect(within.stdout.data).toBe("one two three\n");
});

it("cuts output, says so, and reads on from there", async () => {
  const { ask } = await agent();
  const line = `${"ä".repeat(20)}\n`;
  const ran = await ask<Ran>("run", { python: 'print(("ä" * 20 + "\\n") * 1200, end="")', budget: "0.05", mem: "256M" });
  expect(ran.stdout).toMatchObject({ encoding: "utf8", cut: true, bytes: 41 * 1_200 });
  const { stdout } = await ask<Ran>("result", { lease: ran.lease, stdoutFrom: ran.stdout.next });
  expect(ran.stdout.data + stdout.data).toBe(line.repeat(1_200));
  expect(stdout.cut).toBe(false);
});

thoroughly("says in its own words what is wrong with a call, whose doing it is, and what it means for the money", async () => {
  const { refused } = await agent("--folder", folder);
  const python = "print(1)";
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ python }, /^run needs 'budget'$/],
    [{ python, budget: true }, /^'budget' of run must be of the type string$/],
    [{ python, budget: -5 }, /^budget '-5' is not an amount; write 0.50$/],
    [{ python, budget: "1,5" }, /^budget '1,5' is not an amount; write 0.50$/],
    [{ python, budget: "0.05", maxTime: "soon" }, /^maxTime 'soon' is not a duration/],
    [{ python, budget: "0.05", shell: true }, /^run takes nothing called 'shell'$/],
    [{ module: "§", budget: "0.05" }, /^'module' of run is not right: it is no base64$/],
    [{ budget: "0.05" }, /one of python, module and image/],
    [{ image: "archive:/etc/passwd", budget: "0.05" }, /no name of an image in a registry/],
    [{ python, budget: "0.05", in: "../person" }, /'..\/person' does not lie in the folder of this server/],
    [{ python, budget: "0.05", in: "/etc" }, /does not lie in the folder/],
    [{ python, budget: "0.05", files: [{ path: "../job.py", text: "" }] }, /does not lie below \/in/],
    [{ python, budget: "0.05", cpu: 0 }, /^'cpu' of run is too small: at least 1$/],
  ];
  for (const [input, says] of wrong) {
    const error = await refused("run", input);
    expect(error).toMatchObject({ code: "bad_input", blame: "caller", money: "nothing was ordered, nothing is charged" });
    expect(error.says).toMatch(says);
  }
  // as its token has it, whatever the budget of the call
  const poor = await agentWith(await tokenOf("--max-per-day", "0.000001"));
  const above = await poor.refused("run", { python, budget: "0.05" });
  expect([above.code, above.blame]).toEqual(["limit_reached", "customer"]);
  const looking = await agentWith(await tokenOf("--read-only"));
  expect((await looking.refused("run", { python, budget: "0.05" })).says).toMatch(/takes a key that may spend/);
  expect(await refused("stop", { lease: "0000" })).toMatchObject({ code: "not_found", blame: "caller" });
  expect((await refused("exec", { lease: "nothing", command: ["ls"] })).says).toMatch(/it is no lease/);
  const { refused: withoutFolder } = await agent();
  expect((await withoutFolder("run", { python, budget: "0.05", in: "data" })).says).toMatch(/started without --folder/);
});

/** One that runs, by its label. */
const running = async (ask: Awaited<ReturnType<typeof agent>>["ask"]): Promise<string> => {
  let id = "";
  await until(async () => {
    const { leases } = await ask<{ leases: { lease: string; state: string }[] }>("leases", {});
    id = leases.find(({ state }) => state === "running" || state === "open" || state === "accepted")?.lease ?? "";
    return id !== "";
  });
  return id;
};

it("tells an agent that asks for it how a call goes on, and no other", async () => {
  const { client } = await agent();
  const heard: { progress: number; message?: string | undefined }[] = [];
  const cancel = new AbortController();
  const run = { name: "run", arguments: { module: await wasm(endless()), budget: "0.05" } };
  const how = { timeout: AS_LONG_AS_IT_TAKES, signal: cancel.signal };
  const gone = client.callTool(run, { ...how, onprogress: (notice) => void heard.push(notice) }).catch((error: Error) => error);
  const says = (words: RegExp): boolean => heard.some(({ message = "" }) => words.test(message));
  await until(() => says(/^lease [0-9a-f]{12}: ordered, \d/) && says(/^lease [0-9a-f]{12}: running, \d/));
  // also while nothing changes: whoever hears nothing for long gives a call up
  const before = heard.length;
  await until(() => heard.length > before);
  cancel.abort();
  expect(await gone).toBeInstanceOf(Error);
  const numbers = heard.map(({ progress }) => progress);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
});

it("stops a lease when its call is cancelled", async () => {
  const { ask, call } = await agent();
  const cancel = new AbortController();
  const gone = call("run", { module: await wasm(endless()), budget: "0.05" }, cancel.signal).catch((error: Error) => error);
  const lease = await running(ask);
  cancel.abort();
  expect(await gone).toBeInstanceOf(Error);
  await until(async () => !isLive((await leaseNow(lease)).state));
});

it("shows what a job in the background prints, stops it, and stops what is left when the agent goes", async () => {
  const { ask, client, refused } = await agent();
  const job = { module: await wasm(endless()), budget: "0.05", background: true };
  const first = await ask<Ran>("run", job);
  await until(async () => (await ask<Ran>("result", { lease: first.lease, wait: false })).stdout.data === "go\n");
  expect((await refused("exec", { lease: first.lease, command: ["ls"] })).says).toMatch(/not a machine/);
  expect(await ask("stop", { lease: first.lease })).toMatchObject({ reason: "customer-stop" });
  const second = await ask<Ran>("run", job);
  await client.close();
  await until(async () => !isLive((await leaseNow(second.lease)).state));
  expect((await leaseNow(second.lease)).end?.reason).toBe("customer-stop");
});

thoroughly("puts nothing but the protocol on stdout, and ends with its input", async () => {
  const child = spawn(process.execPath, [CLI, "mcp"], { env: environment(token), stdio: ["pipe", "pipe", "ignore"] });
  const send = (id: number, method: string, params: object): void =>
    void child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", id, method, params })}\n`);
  const answers = new Map<number, unknown>();
  const lines = createInterface(child.stdout);
  lines.on("line", (line) => {
    const { jsonrpc, id, result, method } = JSON.parse(line) as { jsonrpc: string; id: number; result: unknown; method?: string };
    // nothing that was not asked for
    expect([jsonrpc, method]).toEqual(["2.0", undefined]);
    answers.set(id, result);
  });
  const opening = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  send(1, "initialize", opening);
  await until(() => answers.has(1));
  child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" })}\n`);
  send(2, "tools/call", { name: "run", arguments: { module: await wasm(talkative()), budget: "0.01" } });
  send(3, "tools/call", { name: "run", arguments: { module: await wasm(saying("over\n")), budget: "0.01" } });
  await until(() => answers.has(2) && answers.has(3));
  expect(answers.get(2)).toMatchObject({ structuredContent: { reason: "output-limit", stdout: { cut: true } } });
  const ended = once(child, "close");
  child.stdin.end();
  expect((await ended)[0]).toBe(0);
});

thoroughly("costs no more than its budget when it is killed without warning", async () => {
  const { ask, client } = await agent();
  const { lease } = await ask<Ran>("run", { module: await wasm(endless()), budget: "0.000001", background: true });
  const { transport } = client;
  process.kill(transport instanceof StdioClientTransport ? transport.pid! : 0, "SIGKILL");
  // what was used is stated by then; its bill waits for bytes that nobody fetches
  await until(async () => (await leaseNow(lease)).result !== null);
  const { result, holdNanos } = await leaseNow(lease);
  expect(["budget", "fuel-limit"]).toContain(result?.reason);
  expect(BigInt(holdNanos)).toBeLessThanOrEqual(1_000n);
});
