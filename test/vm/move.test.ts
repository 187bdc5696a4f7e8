/** Machines of two real servers of one owner: what runs on the first goes on at the second, where it stood. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market } from "@xenoservers/sdk";
import type { Daemon } from "@xenoservers/xenoserver";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { VM_TOML, busyboxLayout, cliHome, initrd, kernel, machines, qemus, vmMarket } from "./support.ts";

const tomlOf = (port: number): string => `${VM_TOML}[move]\nlisten = "127.0.0.1:${port}"\n`;

machines("machines that move", () => {
  let folder: string;
  let image: string;
  let market: TestMarket;
  let second: Daemon;
  let ports: number[];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-test-"));
    image = `oci:${await busyboxLayout(folder)}:box`;
    ports = [await freePort(), await freePort()];
    market = await vmMarket(tomlOf(ports[0]!));
    const { home } = await cliHome(market);
    vi.stubEnv("XENO_HOME", home);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  it("an image's job prints on without a gap, and ends there with its exit code", async () => {
    const sdk = await Market.connect();
    // however long the second server takes to begin and the move to be made, it is not over by itself
    const script = "i=0; until test -e /tmp/end; do i=$((i+1)); echo tick $i; sleep 0.5; done; exit 5";
    const job = await sdk.run({ image, args: ["sh", "-c", script], user: "root", mem: "192M", disk: "64M", accel: "any", maxTime: "30m" });
    let printed = "";
    const read = (async () => {
      for await (const { text } of job.output) printed += text;
    })();
    await until(() => printed.includes("tick 5\n"));
    second = await market.addServer("second", market.owner, { toml: tomlOf(ports[1]!) });
    const { lease } = job;
    const done = await market.daemon.drainTo({ server: second.server.id, host: "127.0.0.1", port: ports[1]! });
    expect(done).toEqual({ moved: [lease], stay: [] });
    await until(() => market.daemon.server.state.leases.length === 0);
    expect(second.server.state.leases).toMatchObject([{ lease }]);
    const before = printed.length;
    await until(() => printed.length > before);
    const machine = await sdk.machine(lease);
    await machine.files.write("/tmp/end", new Uint8Array(0));
    machine.close();
    const ended = await job.result;
    await read;
    expect(printed).toBe(
      printed
        .split("\n")
        .slice(0, -1)
        .map((_, i) => `tick ${i + 1}\n`)
        .join(""),
    );
    expect(ended).toMatchObject({ exitCode: 5 });
    await until(async () => (await qemus(market.folder)).length === 0);
  });

  it("a kernel's machine goes back to the first server, its console without a gap", async () => {
    const sdk = await Market.connect();
    const ramdisk = path.join(folder, "ticking");
    await writeFile(ramdisk, await initrd("i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.5; done"));
    const job = await sdk.run({
      ...{ kernel: await kernel(), initrd: ramdisk, append: "console=ttyS0 quiet panic=-1", mem: "192M", accel: "any", maxTime: "30m" },
    });
    let printed = "";
    const read = (async () => {
      for await (const { text } of job.output) printed += text;
    })();
    await until(() => printed.includes("tick 5\r"));
    // the first is drained: it has run on the second alone
    const listed = market.listedAgain();
    await market.daemon.setDrained(false);
    await listed;
    const done = await second.drainTo({ server: market.daemon.server.id, host: "127.0.0.1", port: ports[0]! });
    expect(done).toEqual({ moved: [job.lease], stay: [] });
    const ticks = (): number[] => [...printed.matchAll(/tick (\d+)\r/g)].map(([, i]) => Number(i));
    const before = ticks().length;
    await until(() => ticks().length > before + 1);
    await job.stop();
    await job.result;
    await read;
    expect(ticks()).toEqual(Array.from(ticks(), (_, i) => i + 1));
    await until(async () => (await qemus(market.folder)).length === 0);
  });
});
