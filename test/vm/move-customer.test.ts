/** What a customer does with a machine while it moves between servers and afterwards; what an owner is told who has no place for it. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market, type Job, type Machine } from "@xenoservers/sdk";
import type { Daemon } from "@xenoservers/xenoserver";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { VM_TOML, busyboxLayout, cliHome, machines, qemus, run, vmMarket } from "./support.ts";

const tomlOf = (port: number, more = ""): string => `${VM_TOML}${more}[move]\nlisten = "127.0.0.1:${port}"\n`;

/** What an echo at that port answers. */
async function echoed(port: number, text: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.end(text);
  let seen = "";
  for await (const bytes of socket) seen += String(bytes);
  return seen;
}

machines("a machine whose customer works with it while it moves", () => {
  let folder: string;
  let market: TestMarket;
  let sides: { daemon: Daemon; port: number }[];
  let xeno: Awaited<ReturnType<typeof cliHome>>["xeno"];
  let sdk: Market;
  let job: Job;
  let machine: Machine;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-customer-"));
    const image = `oci:${await busyboxLayout(folder)}:box`;
    const ports = [await freePort(), await freePort()] as const;
    market = await vmMarket(tomlOf(ports[0]));
    const cli = await cliHome(market);
    xeno = cli.xeno;
    vi.stubEnv("XENO_HOME", cli.home);
    sdk = await Market.connect();
    job = await sdk.run({
      ...{ image, args: ["sh", "-c", "echo ready; echo kept > /out/file; while :; do nc -l -p 8080 -e cat; done"], user: "root" },
      ...{ mem: "192M", disk: "64M", accel: "any", network: true, maxTime: "30m" },
    });
    for await (const { text } of job.output) if (text.includes("ready")) break;
    machine = await sdk.machine(job.lease);
    await machine.files.write("/tmp/made", new Uint8Array([1, 2, 3]));
    const second = await market.addServer("second", market.owner, { toml: tomlOf(ports[1]) });
    sides = [
      { daemon: market.daemon, port: ports[0] },
      { daemon: second, port: ports[1] },
    ];
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    machine?.close();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  const targetOf = (side: number) => ({ server: sides[side]!.daemon.server.id, host: "127.0.0.1", port: sides[side]!.port });
  const here = (side: number): string[] => sides[side]!.daemon.server.state.leases.map(({ lease }) => lease);
  /** It stays for that reason, runs on, and nothing of it is at the other. */
  async function stays(target: ReturnType<typeof targetOf>, why: RegExp | string): Promise<void> {
    const done = await market.daemon.drainTo(target);
    expect(done).toEqual({ moved: [], stay: [{ lease: job.lease, why: expect.stringMatching(why) }] });
    expect(await machine.exec(["cat", "/out/file"])).toMatchObject({ exitCode: 0, stdout: "kept\n" });
    expect(here(0)).toContain(job.lease);
    await until(async () => (await qemus(market.folder)).length === 1);
  }

  it("stays where the other is another, is not there, says nothing, is no xenoserver or another owner's", async () => {
    await stays({ ...targetOf(1), server: `s_${"0".repeat(40)}` }, "whoever answers there is not s_000");
    await stays({ ...targetOf(1), port: await freePort() }, /the server at 127\.0\.0\.1:\d+ is not reached: .*ECONNREFUSED/);
    const held: Server[] = [];
    for (const said of ["", "HTTP/1.1 400 Bad Request\r\n\r\n"]) {
      const server = createServer((socket) => void socket.on("error", () => {}).write(said));
      held.push(server);
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
      await stays({ ...targetOf(1), port }, said === "" ? "has not shown within 10 s that it is a xenoserver" : "a message is too long");
    }
    for (const server of held) server.close();
    const port = await freePort();
    const other = await market.addServer("others", await market.newParty("other"), { toml: tomlOf(port) });
    await stays({ server: other.server.id, host: "127.0.0.1", port }, "has another owner, and leases move between servers of one");
    await other.close();
  });

  it("stays where the other has no room for what was bought, or is full", async () => {
    for (const [name, size, free, why] of [
      ["small", "64m", "0", "its disk has no room for it: it takes"],
      ["smaller", "64m", "1", /the disk is full: 0\.\d\d GiB are free, 1 GiB are to stay so/],
    ] as const) {
      const at = path.join(market.folder, name);
      await mkdir(at, { recursive: true });
      await run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", at]);
      const port = await freePort();
      const side = await market.addServer(name, market.owner, { toml: tomlOf(port, `[disk]\nleft_free_gib = ${free}\n`) });
      await stays({ server: side.server.id, host: "127.0.0.1", port }, why);
      expect(await readdir(path.join(at, "vm/machines"))).toEqual([]);
      expect(side.server.state.leases).toEqual([]);
      await side.close();
      await run("umount", ["-l", at]);
    }
  });

  it("goes, paused as it was: its session, ports, files, snapshots and forks are at the other", async () => {
    const sleeping = machine.exec(["sleep", "100000"]);
    sleeping.catch(() => {}); // waited for below
    await machine.pause();
    expect(await market.daemon.drainTo(targetOf(1))).toEqual({ moved: [job.lease], stay: [] });
    await expect(sleeping).rejects.toThrow();
    await expect(machine.exec(["true"])).rejects.toThrow(/stands still since its customer paused it/);
    await machine.resume();
    expect(await machine.exec(["cat", "/out/file"])).toMatchObject({ exitCode: 0, stdout: "kept\n" });
    expect([...(await machine.files.read("/tmp/made"))]).toEqual([1, 2, 3]);
    const { port, close } = await machine.forward(8080);
    expect(await echoed(port, "said to it")).toBe("said to it");
    close();
    const [fork] = await machine.fork({ maxTime: "20m", budget: "1" });
    expect(here(1).sort()).toEqual([job.lease, fork!].sort());
    const forked = await sdk.machine(fork!);
    expect(await forked.exec(["cat", "/out/file"])).toMatchObject({ stdout: "kept\n" });
    forked.close();
  });

  it("goes back beside one that stays, which is said, and ends there with what it left", async () => {
    const listed = market.listedAgain();
    await market.daemon.setDrained(false);
    await listed;
    const { moved, stay } = await sides[1]!.daemon.drainTo(targetOf(0));
    expect(moved).toEqual([job.lease]);
    expect(stay).toEqual([{ lease: expect.any(String), why: "its machine began with a snapshot, which is on this server alone" }]);
    expect((await xeno("lease", "stop", stay[0]!.lease)).code).toBe(0);
    expect(await machine.exec(["cat", "/out/file"])).toMatchObject({ exitCode: 0, stdout: "kept\n" });
    expect(await xeno("exec", job.lease, "--", "cat", "/tmp/made")).toMatchObject({ code: 0 });
    const logs = await xeno("logs", job.lease);
    expect(logs).toMatchObject({ code: 0, stdout: "ready\n" });
    await job.stop();
    expect((await job.result).end.reason).toBe("customer-stop");
    const out = path.join(folder, "out");
    const collected = await xeno("lease", "result", job.lease, "--out", out);
    expect(collected, collected.stderr).toMatchObject({ code: 0 });
    expect(await readdir(out)).toEqual(["file"]);
    expect(await xeno("verify", job.lease)).toMatchObject({ code: 0 });
    await until(async () => (await qemus(market.folder)).length === 0);
  });
});
