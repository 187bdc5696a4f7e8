/** The cookbook's programs that need a machine (examples/sdk), and what a program holds of one. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market, type Job, type Machine } from "@xenoservers/sdk";
import { until, type TestMarket } from "../process/market.ts";
import { busyboxLayout, cliHome, machines, run, vmMarket } from "./support.ts";

/** The longest that a timer can be. */
const AS_LONG_AS_IT_TAKES = 2 ** 31 - 1;

machines("machines by the SDK", () => {
  let folder: string;
  let image: string;
  let market: TestMarket;
  let home: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-sdk-test-"));
    image = `oci:${await busyboxLayout(folder)}:box`;
    market = await vmMarket();
    ({ home } = await cliHome(market));
    vi.stubEnv("XENO_HOME", home);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  it.each<[string, RegExp]>([
    ["image", /hello\n0 note: from the image\n$/],
    ["machine", /^0 hello machine me\nmachine\ntrue\ncustomer-stop\n$/],
  ])("%s", async (name, expected) => {
    const { stdout } = await run(process.execPath, [`examples/sdk/${name}.ts`, image], { env: { ...process.env, XENO_HOME: home } });
    expect(stdout).toMatch(expected);
  });

  it("is an agent's, too: a program in it, its output and exit code, by a capped token", async () => {
    const xeno = path.resolve("packages/cli/bin/xeno.js");
    const token = (
      await run(process.execPath, [xeno, "token", "create", "--max-per-day", "1"], { env: { ...process.env, XENO_HOME: home } })
    ).stdout;
    const env = { PATH: process.env["PATH"] ?? "", XENO_HOME: path.join(folder, "agent"), XENO_TOKEN: token.trim() };
    const words = ["run", "--detach", "--quiet", "--accel", "any", "--mem", "192M", "--max-time", "30m", image, "--", "sleep", "100000"];
    const lease = (await run(process.execPath, [xeno, ...words], { env })).stdout.trim();
    const client = new Client({ name: "a test", version: "1" });
    const transport = new StdioClientTransport({ command: process.execPath, args: [xeno, "mcp"], env, stderr: "ignore" });
    await client.connect(transport, { timeout: AS_LONG_AS_IT_TAKES });
    try {
      const call = (name: string, input: Record<string, unknown>) =>
        client.callTool({ name, arguments: input }, { timeout: AS_LONG_AS_IT_TAKES });
      const said = await call("exec", { lease, command: ["sh", "-c", "echo hello; echo trouble >&2; exit 3"] });
      expect(said.structuredContent, JSON.stringify(said.content)).toMatchObject({
        ...{ exitCode: 3, stdout: { data: "hello\n", cut: false }, stderr: { data: "trouble\n" } },
      });
      expect((await call("stop", { lease })).isError).not.toBe(true);
    } finally {
      await client.close();
    }
  });

  it("holds one: programs that fail, files that are not there, snapshots and forks", async () => {
    const sdk = await Market.connect();
    const job: Job = await sdk.run({
      ...{
        image,
        args: ["sh", "-c", "echo ready; sleep 100000"],
        mem: "256M",
        disk: "512M",
        accel: "any",
        network: true,
        maxTime: "30m",
        budget: "0.50",
      },
    });
    for await (const { text } of job.output) if (text.includes("ready")) break;
    const machine: Machine = await sdk.machine(job.lease);
    expect(await machine.exec(["cat"], { input: "typed" })).toEqual({ exitCode: 0, stdout: "typed", stderr: "", why: null });
    expect(await machine.exec(["no-such-program"])).toMatchObject({ exitCode: 127, why: expect.stringContaining("not found") as string });
    await expect(machine.files.read("/nowhere")).rejects.toThrow("No such file");
    expect(await machine.files.look("/nowhere")).toBeNull();
    await machine.files.write("/tmp/made", new Uint8Array([0, 255, 10]));
    expect([...(await machine.files.read("/tmp/made"))]).toEqual([0, 255, 10]);
    expect((await machine.files.list("/tmp")).map((entry) => entry.path)).toContain("made");
    const off = new AbortController();
    const sleeping = machine.exec(["sleep", "100000"], { signal: off.signal });
    off.abort();
    await expect(sleeping).rejects.toMatchObject({ code: "aborted" });
    await expect(machine.forward(70_000)).rejects.toMatchObject({ code: "bad_input" });
    await expect(machine.forward(80, { signal: off.signal })).rejects.toMatchObject({ code: "aborted" });
    const later = new AbortController();
    const { port } = await machine.forward(80, { signal: later.signal });
    later.abort();
    await until(() =>
      fetch(`http://127.0.0.1:${port}`).then(
        () => false,
        (error: Error) => String(error.cause).includes("ECONNREFUSED"),
      ),
    );
    expect((await machine.snapshot()).snapshot).toMatch(/^[0-9a-f]{64}$/);
    machine.close();
    await job.stop();
    expect((await job.result).end.reason).toBe("customer-stop");
    await expect(sdk.machine(job.lease)).rejects.toMatchObject({ code: "bad_input" });
  });
});
