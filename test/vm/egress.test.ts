/** The way out: only where owner and order both say so, only by name or to public addresses, never mail, counted, billed, and traceable. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { startDaemon } from "@xenoservers/xenoserver";
import { connectPipe } from "@xenoservers/protocol/websocket";
import { orderAndFollow, until, type TestMarket } from "../process/market.ts";
import { boxJob } from "./box.ts";
import { busyboxLayout, cliHome, machines, run, stopAll, vmMarket, wantedFor } from "./support.ts";

const TOML = '[capacity]\nvcpu = 2\n[policy]\nmax_lease_hours = 1\negress = "public"\n[price]\negress_gib = "1.0"\n';
/** How often what happens by chance of what comes together is tried. */
const AT_ONCE = 20;
/** Documentation addresses stand for public ones: the test's own list of what is public says so. */
const PLACES: Record<string, string> = {
  "allowed.example": "93.184.216.34",
  "other.example": "93.184.216.35",
  "inside.example": "10.1.2.3",
};

machines("egress", () => {
  let market: TestMarket;
  let folder: string;
  let layout: string;
  let web: Server;
  const dialled: string[] = [];
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-egress-"));
    layout = await busyboxLayout(folder);
    market = await vmMarket(TOML);
    web = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", (asked: Buffer) => {
        // of a length that nobody is told, as the page before
        if (asked.includes("/cut"))
          return void socket.write(`HTTP/1.0 200 OK\r\n\r\n${"x".repeat(300_000)}`, () => socket.resetAndDestroy());
        socket.end(`HTTP/1.0 200 OK\r\n\r\n${asked.includes("/big") ? "x".repeat(3_000_000) : "from outside\n"}`);
      });
    });
    await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve));
    // beyond the gate stands the test's own Internet, on loopback
    await market.daemon.close();
    const dial = (address: string, port: number): Socket => {
      dialled.push(`${address}:${port}`);
      return connect((web.address() as { port: number }).port, "127.0.0.1");
    };
    let listed: () => void = () => {};
    const isListed = new Promise<void>((resolve) => (listed = resolve));
    market.daemon = await startDaemon({
      folder: path.join(market.folder, "server"),
      configFile: path.join(market.folder, "xenoserver.toml"),
      cache: path.join(market.folder, "prepared"),
      connect: () => connectPipe(market.broker.url),
      log(what, facts) {
        market.log.push(`${what} ${JSON.stringify(facts)}`);
        if (what === "listed") listed();
      },
      network: { dial, resolve: async (name) => (PLACES[name] ? [PLACES[name]] : []) },
    });
    await isListed;
  });
  afterEach(() => stopAll(market));
  afterAll(async () => {
    await market.close();
    web.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function guest(script: string, egress: "none" | "public" | string[], egressMibMax = 4) {
    const job = await boxJob(layout, folder, script, { outputMibMax: 8, network: true, egress });
    const most = egress === "none" ? 0 : egressMibMax;
    return orderAndFollow(market.customer, job, wantedFor(job, { egress, egressMibMax: most, budgetNanos: 3_000_000_000n }));
  }
  /** `seconds`: of what must not answer, which may say nothing at all. */
  const triedOf = (host: string, seconds = 8): string =>
    `echo "${host}: $(timeout ${seconds} wget -q -O - http://${host}/ 2>&1 | head -c 60)"`;
  const fetchOf = (host: string): string => triedOf(host, 500);

  it("by name: the order's names and nothing else, billed by its bytes", async () => {
    const going = await guest(
      [fetchOf("allowed.example"), ...["other.example", "93.184.216.35", "sub.allowed.example"].map((host) => triedOf(host))].join("; "),
      ["allowed.example"],
    );
    const end = await going.end();
    expect(end.stdout).toContain("allowed.example: from outside");
    expect(end.stdout.match(/from outside/g)).toHaveLength(1);
    expect(dialled).toEqual(["93.184.216.34:80"]);
    expect(end.lease.end!.billableEgressBytes).toBeGreaterThan(50);
    expect(end.delivered!.result.egressBytes).toBe(end.lease.end!.billableEgressBytes);
  });

  it("public: any public address, no private one even by a public name, and no mail", async () => {
    dialled.length = 0;
    const mail = 'echo "mail: $(echo | timeout 5 nc -w 3 93.184.216.34 25 2>&1 | head -c 40)"';
    const end = await (
      await guest(`${fetchOf("93.184.216.35")}; ${triedOf("inside.example")}; ${triedOf("10.1.2.3")}; ${mail}`, "public")
    ).end();
    expect(end.stdout).toContain("93.184.216.35: from outside");
    expect(end.stdout.match(/from outside/g)).toHaveLength(1);
    expect(dialled).toEqual(["93.184.216.35:80"]);
  });

  it("no further than the order's limit", async () => {
    const end = await (await guest("timeout 500 wget -q -O - http://93.184.216.34/big | wc -c", "public", 1)).end();
    expect(Number(end.stdout)).toBeLessThan(1024 * 1024);
    expect(end.lease.end!.billableEgressBytes).toBeLessThanOrEqual(1024 * 1024);
    expect(end.lease.end!.billableEgressBytes).toBeGreaterThan(512 * 1024);
  });

  it("a reset outside is one in the guest: what a server breaks off is no whole file, what it ends is one", async () => {
    // BusyBox's own wget takes some resets for ends, on any machine
    const asks = (where: string): string =>
      `printf "GET /${where} HTTP/1.0\\r\\n\\r\\n"; cat > /tmp/f && echo ${where} whole >> /tmp/whole`;
    const times = (where: string): string =>
      `for i in $(seq ${AT_ONCE}); do timeout 20 nc 93.184.216.34 80 -e sh -c '${asks(where)}'; done`;
    const end = await (await guest(`${times("cut")}; ${times("page")}; cat /tmp/whole`, "public", 16)).end();
    expect(end.stdout.match(/.* whole/g)).toEqual(Array.from({ length: AT_ONCE }, () => "page whole"));
  });

  it("not at all unless the owner offers it", async () => {
    const { offers } = await market.customer.read("offers", { query: { driver: "qemu", egress: "public" } });
    expect(offers.map(({ egress }) => egress)).toEqual(["public"]);
    const end = await (await guest(triedOf("allowed.example"), "none")).end();
    expect(end.stdout).not.toContain("from outside");
  });

  it("leaves a trace for its owner, from address and time to lease", async () => {
    const cli = await cliHome(market);
    const going = await guest(fetchOf("allowed.example"), ["allowed.example"]);
    const { lease, stdout } = await going.end();
    expect(stdout, `${JSON.stringify(lease.end)} ${market.log.slice(-6).join(" ")}`).toContain("from outside");
    await until(async () =>
      (await cli.xeno("abuse", "trace", "93.184.216.34:80", "--data", path.join(market.folder, "server"))).stdout.includes(
        lease.id.slice(0, 12),
      ),
    );
    const now = new Date().toISOString();
    const traced = await cli.xeno("abuse", "trace", "93.184.216.34", "--at", now, "--data", path.join(market.folder, "server"), "--json");
    const { connections } = JSON.parse(traced.stdout) as { connections: { lease: string; name: string; bytes: number }[] };
    expect(connections.at(-1)).toMatchObject({ lease: lease.id, name: "allowed.example" });
    const before = await cli.xeno(
      "abuse",
      "trace",
      "93.184.216.34",
      "--at",
      "2020-01-01T00:00:00Z",
      "--data",
      path.join(market.folder, "server"),
    );
    expect(before.stdout).toContain("no guest of this machine");
    expect((await run("stat", ["-c", "%a", path.join(market.folder, "server/vm/egress.jsonl")])).stdout.trim()).toBe("600");
  });
});
