/** What is under way while a machine moves: its way out, its customer's requests, more time that is bought, its end. */
import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, connect, type AddressInfo, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market, type Job } from "@xenoservers/sdk";
import type { Daemon } from "@xenoservers/xenoserver";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { MoveProxy } from "./move-proxy.ts";
import { busyboxLayout, cliHome, machines, qemus, vmMarket } from "./support.ts";

const tomlOf = (port: number): string =>
  `[policy]\nmax_lease_hours = 1\negress = "public"\n[capacity]\nvcpu = 3\n[price]\negress_gib = "1.0"\n[move]\nlisten = "127.0.0.1:${port}"\n`;
/** A documentation address stands for a public one. */
const PLACE = "93.184.216.34";
/** What is ordered at first where a machine's time is to be over on its way. */
const SHORTEST_MS = 15_000;
/** The broker is asked each time. */
const LOOK_EVERY_MS = 250;

interface Side {
  daemon: Daemon;
  port: number;
}

machines("what is under way while a machine moves", () => {
  let folder: string;
  let image: string;
  let market: TestMarket;
  let web: Server;
  let sides: [Side, Side];
  let xeno: Awaited<ReturnType<typeof cliHome>>["xeno"];
  let sdk: Market;
  const proxies: MoveProxy[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-under-way-"));
    image = `oci:${await busyboxLayout(folder)}:box`;
    web = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(`HTTP/1.0 200 OK\r\n\r\n${"x".repeat(500_000)}`));
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    const dial = (): Socket => connect((web.address() as AddressInfo).port, "127.0.0.1");
    const network = { dial, resolve: async () => [PLACE] };
    market = await vmMarket();
    await market.daemon.setDrained(true);
    const side = async (name: string): Promise<Side> => {
      const port = await freePort();
      return { port, daemon: await market.addServer(name, market.owner, { toml: tomlOf(port), network }) };
    };
    sides = [await side("one"), await side("two")];
    const cli = await cliHome(market);
    xeno = cli.xeno;
    vi.stubEnv("XENO_HOME", cli.home);
    sdk = await Market.connect();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    for (const proxy of proxies) await proxy.close();
    await market.close();
    web.close();
    await rm(folder, { recursive: true, force: true });
  });

  const has = ({ daemon }: Side, lease: string): boolean =>
    daemon.server.state.leases.some((each) => each.lease === lease && each.stage === "running");
  const isOver = async (lease: string): Promise<boolean> => (await sdk.lease(lease)).end !== null;
  /** From where the lease is to where it is not, by a way that is held there, unless the lease is over before that. */
  async function moving(
    lease: string,
    heldAfterBytes = 20_000_000,
  ): Promise<{ proxy: MoveProxy; drained: ReturnType<Daemon["drainTo"]>; to: Side; from: Side }> {
    const [from, to] = has(sides[0], lease) ? sides : [sides[1], sides[0]];
    await from.daemon.setDrained(false);
    await to.daemon.setDrained(false);
    await until(async () =>
      (await (await fetch(new URL("/api/v1/offers?accel=any", market.broker.url))).text()).includes(to.daemon.server.id),
    );
    const proxy = await MoveProxy.open(to.port);
    proxies.push(proxy);
    proxy.holdAfter(heldAfterBytes);
    const drained = from.daemon.drainTo({ server: to.daemon.server.id, host: "127.0.0.1", port: proxy.port });
    await until(async () => proxy.isHeld || (await isOver(lease)), LOOK_EVERY_MS);
    return { proxy, drained, to, from };
  }
  async function begun(script: string, more: Partial<Parameters<Market["run"]>[0]> = {}): Promise<{ job: Job; printed: () => string }> {
    const job = await sdk.run({
      ...{ image, args: ["sh", "-c", script], user: "root", mem: "192M", disk: "64M", accel: "any", maxTime: "30m", budget: "5" },
      ...more,
    } as Parameters<Market["run"]>[0]);
    let text = "";
    void (async () => {
      for await (const each of job.output) text += each.text;
    })();
    await until(async () => text.includes("begun") || (await isOver(job.lease)), LOOK_EVERY_MS);
    return { job, printed: () => text };
  }

  it("its way out is counted on: no byte twice, none lost", async () => {
    const fetching = `wget -q -O - http://${PLACE}/ | wc -c`;
    const { job } = await begun(`echo begun; ${fetching}; while [ ! -e /tmp/go ]; do sleep 0.2; done; ${fetching}`, {
      network: true,
      egress: "public",
      egressMax: "8M",
    });
    const machine = await sdk.machine(job.lease);
    await until(async () => (await machine.exec(["true"])).exitCode === 0);
    const { proxy, drained } = await moving(job.lease);
    proxy.release("there");
    expect(await drained).toEqual({ moved: [job.lease], stay: [] });
    await machine.files.write("/tmp/go", new Uint8Array(0));
    const { stdout, end, bill } = await job.result;
    expect([stdout, end.reason]).toEqual(["begun\n500000\n500000\n", "completed"]);
    const lease = await sdk.lease(job.lease);
    const bytes = lease.end?.billableEgressBytes ?? 0;
    // two answers of 500,000 bytes with their heads and what was asked
    expect(bytes).toBeGreaterThan(1_000_000);
    expect(bytes).toBeLessThan(1_010_000);
    expect(bill.dueNanos).toBeGreaterThan(0n);
    machine.close();
  });

  it("what its customer does ends with a next step, works again there, and what was bought meanwhile holds", async () => {
    const { job } = await begun("echo begun; while :; do nc -l -p 8080 -e cat; done", { network: true, maxTime: "10m" });
    const big = path.join(folder, "big");
    await writeFile(big, randomBytes(8_000_000));
    const { proxy, drained } = await moving(job.lease);
    const [exec, copy, extended] = await Promise.all([
      xeno("exec", job.lease, "--", "sleep", "1000"),
      xeno("cp", big, `${job.lease}:/tmp/big`),
      xeno("lease", "extend", job.lease, "20m"),
      drained,
      (async () => {
        await until(async () => (await sdk.lease(job.lease)).durationMsMax === 30 * 60_000);
        proxy.release("there");
      })(),
    ]);
    expect((await drained).moved).toEqual([job.lease]);
    expect(extended.code, extended.stderr).toBe(0);
    // one that has just come to the machine has not begun
    const ended =
      /^error: (?:the link went down, and the program in the guest with it|the machine stopped here before the program began): run it again\n$/;
    for (const cut of [exec, copy]) expect(cut).toMatchObject({ code: 125, stderr: expect.stringMatching(ended) });
    const again = await xeno("cp", big, `${job.lease}:/tmp/big`);
    expect(again, again.stderr).toMatchObject({ code: 0 });
    const back = path.join(folder, "back");
    expect(await xeno("cp", `${job.lease}:/tmp/big`, back)).toMatchObject({ code: 0 });
    expect(await readFile(back)).toEqual(await readFile(big));
    expect((await sdk.lease(job.lease)).durationMsMax).toBe(30 * 60_000);
    await job.stop();
    await job.result;
    expect(await xeno("verify", job.lease)).toMatchObject({ code: 0 });
  });

  it("a snapshot is waited for or refused in words, and a fork is not ordered, while it moves", async () => {
    const { job } = await begun("echo begun; while :; do sleep 1; done");
    const machine = await sdk.machine(job.lease);
    const refused = /is being moved to another server of its owner: ask again in a moment/;
    const ordered = async (): Promise<string[]> => {
      const all: string[] = [];
      for await (const each of sdk.leases()) all.push(each.id);
      return all;
    };
    const leases = await ordered();
    // one that is asked for as the move begins comes before it or is refused, and whichever it is the machine goes
    const early = await moving(job.lease, 200_000);
    const asked = machine.snapshot();
    early.proxy.release("there");
    const [kept, done] = await Promise.allSettled([asked, early.drained]);
    expect(done).toMatchObject({ status: "fulfilled", value: { moved: [job.lease], stay: [] } });
    if (kept.status === "fulfilled") expect(kept.value.snapshot).toMatch(/^[0-9a-f]{64}$/);
    else expect(String(kept.reason)).toMatch(refused);

    // its session has followed it: the way is not held for long
    await until(async () => (await machine.exec(["true"]).catch(() => null))?.exitCode === 0);
    const { proxy, drained } = await moving(job.lease);
    await expect(machine.snapshot()).rejects.toThrow(refused);
    await expect(machine.reboot()).rejects.toThrow(refused);
    await expect(machine.fork({ maxTime: "5m", budget: "1" })).rejects.toThrow(refused);
    proxy.release("there");
    expect(await drained).toEqual({ moved: [job.lease], stay: [] });
    expect(await ordered()).toEqual(leases);
    await until(async () => (await machine.exec(["true"]).catch(() => null))?.exitCode === 0);
    expect((await machine.snapshot()).snapshot).toMatch(/^[0-9a-f]{64}$/);
    machine.close();
    await job.stop();
    await job.result;
    expect(await xeno("verify", job.lease)).toMatchObject({ code: 0 });
  });

  it("its time that is over while it is carried ends it where it is, within what was bought", async () => {
    /** Ordered for so long; null where it was over before it was on its way. */
    async function carried(maxTime: number): Promise<{ reason: string; billableMs: number; moved: readonly string[] } | null> {
      const { job } = await begun("echo begun; while :; do sleep 1; done", { maxTime });
      // its images are carried, while it runs
      const { proxy, drained } = await moving(job.lease, 200_000);
      const wasHeld = proxy.isHeld;
      const { end, bill } = await job.result;
      proxy.release("there");
      const { moved } = await drained;
      return wasHeld ? { reason: end.reason, billableMs: bill.billableMs, moved } : null;
    }
    // as long as it takes here until one is on its way
    for (let maxTime = SHORTEST_MS; ; maxTime *= 2) {
      const came = await carried(maxTime);
      if (came === null) continue;
      expect(came).toMatchObject({ reason: "time-limit", moved: [] });
      expect(came.billableMs).toBeLessThanOrEqual(maxTime);
      break;
    }
    await until(async () => (await qemus(market.folder)).length === 0);
  });
});
