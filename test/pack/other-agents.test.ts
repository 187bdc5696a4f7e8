/** `xeno mcp` of a market by clients that nobody here wrote: MCPorter, LangChain's adapters, and two proxies one behind the other. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";
import { ended, install } from "./install.ts";
import { demoMarket, type DemoMarket } from "./market.ts";

const CLIENTS = ["mcporter@0.12.3", "@langchain/mcp-adapters@1.1.4", "@langchain/core@1.4.0", "mcp-remote@0.15.1", "mcp-proxy@6.7.19"];
const CLI = path.resolve("packages/cli/bin/xeno.js");
const TOOLS = ["search", "quote", "run", "result", "files", "exec", "stop", "leases", "receipts"];
const SOURCE = "import sys; print(6 * 7)";
/** The longest that a timer can be. */
const AS_LONG_AS_IT_TAKES = 2 ** 31 - 1;

let folder: string;
let market: DemoMarket;
let env: Record<string, string>;
const bin = (name: string): string => path.join(folder, "node_modules/.bin", name);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-agents-"));
  await install(folder, ...CLIENTS);
  market = await demoMarket(process.execPath, CLI, path.join(folder, "market"));
  env = { XENO_HOME: path.join(folder, "agent"), XENO_TOKEN: await market.token(), PATH: process.env["PATH"] ?? "" };
  const server = { command: process.execPath, args: [CLI, "mcp"], env };
  await writeFile(path.join(folder, "servers.json"), JSON.stringify({ mcpServers: { xenoservers: server } }));
});
afterAll(async () => {
  await market?.close();
  await rm(folder, { recursive: true, force: true });
});

it("MCPorter lists the tools, runs a script, and shows a refusal as one", async () => {
  const mcporter = (...words: string[]) =>
    ended(process.execPath, [bin("mcporter"), "--config", "servers.json", ...words, "--output", "json"], env, folder);
  const listed = await ended(process.execPath, [bin("mcporter"), "--config", "servers.json", "list", "xenoservers"], env, folder);
  for (const name of TOOLS) expect(listed.stdout).toContain(`function ${name}(`);
  const ran = await mcporter("call", "xenoservers.run", `python=${SOURCE}`, "budget=0.05");
  expect(ran.code, ran.stderr).toBe(0);
  expect(JSON.parse(ran.stdout)).toMatchObject({ exit: 0, stdout: { data: "42\n" } });
  const refused = await mcporter("call", "xenoservers.run", `python=${SOURCE}`);
  expect([refused.code, refused.stdout]).toEqual([1, expect.stringContaining("run needs 'budget'")]);
});

/** As far as it is used here. */
interface LangChain {
  MultiServerMCPClient: new (settings: object) => {
    getTools(): Promise<{ name: string; invoke(input: object): Promise<unknown> }[]>;
    close(): Promise<void>;
  };
}

it("LangChain's adapters make tools of it, which give text and what it was made of", async () => {
  const { MultiServerMCPClient } = (await import(
    pathToFileURL(createRequire(path.join(folder, "package.json")).resolve("@langchain/mcp-adapters")).href
  )) as LangChain;
  const client = new MultiServerMCPClient({
    ...{ throwOnLoadError: true, defaultToolTimeout: AS_LONG_AS_IT_TAKES },
    mcpServers: { xenoservers: { command: process.execPath, args: [CLI, "mcp"], env } },
  });
  try {
    const tools = await client.getTools();
    expect(tools.map(({ name }) => name)).toEqual(TOOLS);
    const tool = (name: string) => tools.find((each) => each.name === name)!;
    const ran = JSON.stringify(await tool("run").invoke({ python: SOURCE, budget: "0.05" }));
    expect(ran).toContain(String.raw`"data":"42\n"`);
    await expect(tool("stop").invoke({ lease: "0000" })).rejects.toThrow(/not_found/);
  } finally {
    await client.close();
  }
});

/** Offers the server by HTTP; resolves to where. */
async function proxied(): Promise<{ url: string; proxy: ChildProcess }> {
  const port = await freePort();
  const words = [bin("mcp-proxy"), "--host", "127.0.0.1", "--port", String(port), "--", process.execPath, CLI, "mcp"];
  const proxy = spawn(process.execPath, words, { env, stdio: ["ignore", "pipe", "ignore"] });
  for await (const line of createInterface(proxy.stdout!)) {
    if (!line.includes("starting server")) continue;
    proxy.stdout!.resume();
    return { url: `http://127.0.0.1:${port}/mcp`, proxy };
  }
  throw new Error("the proxy ended without a word");
}

it("mcp-remote reaches it through mcp-proxy: answers, refusals, and how a call goes on", async () => {
  const { url, proxy } = await proxied();
  const client = new Client({ name: "behind two proxies", version: "1" });
  try {
    const transport = new StdioClientTransport({
      ...{ command: process.execPath, args: [bin("mcp-remote"), url, "--allow-http"], stderr: "ignore" },
      env: { ...env, HOME: folder, MCP_REMOTE_CONFIG_DIR: path.join(folder, "remote") },
    });
    await client.connect(transport, { timeout: AS_LONG_AS_IT_TAKES });
    expect((await client.listTools({}, { timeout: AS_LONG_AS_IT_TAKES })).tools.map(({ name }) => name)).toEqual(TOOLS);
    const heard: string[] = [];
    const call = (input: Record<string, unknown>) =>
      client.callTool(
        { name: "run", arguments: input },
        { timeout: AS_LONG_AS_IT_TAKES, onprogress: ({ message }) => void heard.push(message ?? "") },
      );
    expect(await call({ python: SOURCE, budget: "0.05" })).toMatchObject({ structuredContent: { exit: 0, stdout: { data: "42\n" } } });
    expect(heard).toContainEqual(expect.stringMatching(/^lease [0-9a-f]{12}: ordered/));
    expect(await call({ python: SOURCE })).toMatchObject({ isError: true, structuredContent: { error: { code: "bad_input" } } });
  } finally {
    await client.close();
    const over = once(proxy, "exit");
    proxy.kill("SIGTERM");
    await over;
  }
});
