/** What flows into a machine and through it while it moves between two servers, there, back and there again: input, connections, programs. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { Market, type Job } from "@xenoservers/sdk";
import type { Daemon } from "@xenoservers/xenoserver";
import { until, type TestMarket } from "../process/market.ts";
import { freePort } from "../support/free-port.ts";
import { VM_TOML, busyboxLayout, cliHome, machines, qemus, vmMarket } from "./support.ts";

const tomlOf = (port: number): string => `${VM_TOML}[move]\nlisten = "127.0.0.1:${port}"\n`;
const LINES_A_PIECE = 1_000;

/** Lines that say which they are, as many as are asked for until it is told to end. */
class Counting extends Readable {
  lines = 0;
  #isOver = false;
  readonly #hash = createHash("sha256");

  override _read(): void {
    if (this.#isOver) return void this.push(null);
    let text = "";
    for (let i = 0; i < LINES_A_PIECE; i++) text += `${++this.lines}~}\n`; // bytes that the guest's port has marks of
    this.#hash.update(text);
    this.push(text);
  }

  /** SHA-256 of all that was read, hex. */
  end(): string {
    this.#isOver = true;
    return this.#hash.copy().digest("hex");
  }
}

interface Side {
  daemon: Daemon;
  port: number;
}

machines("what flows while a machine moves", () => {
  let folder: string;
  let image: string;
  let market: TestMarket;
  let sides: [Side, Side];
  let sdk: Market;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-move-input-"));
    image = `oci:${await busyboxLayout(folder)}:box`;
    const ports = [await freePort(), await freePort()] as const;
    market = await vmMarket(tomlOf(ports[0]));
    vi.stubEnv("XENO_HOME", (await cliHome(market)).home);
    sdk = await Market.connect();
    const second = await market.addServer("second", market.owner, { toml: tomlOf(ports[1]) });
    sides = [
      { daemon: market.daemon, port: ports[0] },
      { daemon: second, port: ports[1] },
    ];
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  });

  const machine = { mem: "192M", disk: "64M", accel: "any", maxTime: "50m", user: "root" } as const;
  /** From where it is to the other; both may take leases afterwards. */
  async function moved({ lease }: Job): Promise<void> {
    const isHere = sides[0].daemon.server.state.leases.some((each) => each.lease === lease && each.stage === "running");
    const [from, to] = isHere ? sides : [sides[1], sides[0]];
    for (const { daemon } of sides) await daemon.setDrained(false);
    await until(async () =>
      (await (await fetch(new URL("/api/v1/offers?accel=any", market.broker.url))).text()).includes(to.daemon.server.id),
    );
    const done = await from.daemon.drainTo({ server: to.daemon.server.id, host: "127.0.0.1", port: to.port });
    expect(done).toEqual({ moved: [lease], stay: [] });
  }
  function printedBy(job: Job): () => string {
    let text = "";
    void (async () => {
      for await (const each of job.output) text += each.text;
    })();
    return () => text;
  }

  it("input arrives whole, in order and once, however often it moves meanwhile", async () => {
    const input = new Counting();
    // a slow reader of some: it falls behind, so that much is always on its way
    const script =
      "n=0; echo begun; tee /out/all | while read -r line; do n=$((n+1)); [ $((n % 2000)) = 0 ] && echo at $n; done; sha256sum < /out/all";
    const job = await sdk.run({ ...machine, disk: "512M", image, args: ["sh", "-c", script], onInput: () => input });
    const printed = printedBy(job);
    const read = (): number => Number([...printed().matchAll(/^at (\d+)$/gm)].at(-1)?.[1] ?? 0);
    for (let i = 0; i < 3; i++) {
      const before = read();
      await until(() => read() > before);
      await moved(job);
    }
    const before = read();
    await until(() => read() > before);
    const digest = input.end();
    const { exitCode, stdout } = await job.result;
    expect(exitCode).toBe(0);
    expect(stdout.trim().split("\n").at(-1)).toBe(`${digest}  -`);
    expect(read()).toBe(input.lines - (input.lines % 2_000));
    await until(async () => (await qemus(market.folder)).length === 0);
  });

  it("an open connection to a port of it is reset, its server in the guest hears of it, and a new one leads there", async () => {
    const job = await sdk.run({
      ...{ ...machine, network: true, image },
      args: ["sh", "-c", "echo begun; while :; do nc -l -p 8080 -e cat; echo served; done"],
    });
    const printed = printedBy(job);
    await until(() => printed().includes("begun"));
    const guest = await sdk.machine(job.lease);
    const { port, close } = await guest.forward(8080);
    const heard = async (socket: Socket, text: string): Promise<string> => {
      socket.write(text);
      let seen = "";
      for (socket.on("data", (bytes) => (seen += String(bytes))); seen !== text;) await once(socket, "data");
      return seen;
    };
    const open = connect(port, "127.0.0.1");
    expect(await heard(open, "before")).toBe("before");
    const ended = new Promise<string>((resolve) =>
      open.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "")).once("end", () => resolve("end")),
    );
    await moved(job);
    expect(await ended).toBe("ECONNRESET");
    // it only read: without a word it would wait for ever
    await until(() => printed().includes("served"));
    const again = connect(port, "127.0.0.1");
    expect(await heard(again, "after")).toBe("after");
    again.destroy();
    close();
    guest.close();
    await job.stop();
    await job.result;
    await until(async () => (await qemus(market.folder)).length === 0);
  });
});
