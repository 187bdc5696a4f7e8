/** An order that the broker has bound and whose answer never comes, while the broker cannot be reached for a while: a map follows it. */
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { reading } from "./jobs.ts";
import { Programs, kill9, told } from "./programs.ts";

const INPUTS = [0, 1, 2, 3];
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M", "-P", "1"];
/** The same order is sent so often until it is given up for now. */
const SENT_AGAIN = 3;
const ORDER = "application/vnd.xenoservers.order.v1+json";

let programs: Programs;
let broker: ChildProcess;
let server: ChildProcess;
let proxy: Server;
/** Orders whose answers are lost still, and how many more times each is refused. */
let [toLose, toRefuse] = [0, 0];
let lost = 0;

/** A way to the broker that loses the answer to an order, and cuts whoever sends one again. */
function proxied(): Server {
  return createServer((near) => {
    const far = connect(Number(new URL(programs.url).port), "127.0.0.1");
    let loses = false;
    near.on("data", (bytes: Buffer) => {
      const isOrder = bytes.includes(ORDER);
      if (isOrder && toRefuse > 0) {
        toRefuse--;
        near.destroy();
        return void far.destroy();
      }
      loses = isOrder && toLose > 0;
      far.write(bytes);
    });
    far.on("data", (bytes: Buffer) => {
      if (!loses) return void near.write(bytes);
      [toLose, toRefuse] = [toLose - 1, SENT_AGAIN];
      lost++;
      near.destroy();
    });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  });
}

beforeAll(async () => {
  programs = await Programs.open();
  await writeFile(programs.at("read.wasm"), await reading());
  for (const input of INPUTS) await writeFile(programs.at(`${input}.txt`), `${input}\n`);
  broker = await programs.startBroker();
  server = await programs.startServer("--enrol", await programs.people());
  proxy = proxied();
  await once(proxy.listen(0, "127.0.0.1"), "listening");
  const { port } = proxy.address() as AddressInfo;
  await programs.ok("customer", ["login", `http://127.0.0.1:${port}`, "--yes", "--name", "far", "--context", "far"]);
  const { party } = JSON.parse(await programs.ok("customer", ["whoami", "--json"])) as { party: string };
  await programs.ok("customer", ["broker", "credit", party, "10", "--data", programs.at("broker")]);
});
afterAll(async () => {
  proxy.close();
  await told(server);
  await kill9(broker);
  await programs.remove();
});

interface Lease {
  id: string;
  end: { reason: string } | null;
}

it("each of its orders comes to one lease, which is the one that is paid", async () => {
  toLose = 2;
  const files = INPUTS.map((input) => programs.at(`${input}.txt`));
  const { code, stdout, stderr } = await programs.xeno("customer", ["map", ...SMALL, "--json", programs.at("read.wasm"), "--", ...files])
    .done;
  expect(code, stdout + stderr).toBe(0);
  expect([toLose, toRefuse, lost]).toEqual([0, 0, 2]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { lease: string; stdout: string });
  expect(lines.map((line) => line.stdout)).toEqual(INPUTS.map((input) => `${input}\n`));
  const { leases } = JSON.parse(await programs.ok("customer", ["ps", "--all", "--json"])) as { leases: Lease[] };
  expect(leases.map(({ id }) => id).toSorted()).toEqual([...new Set(lines.map(({ lease }) => lease))].toSorted());
  expect(leases.map(({ end }) => end?.reason)).toEqual(leases.map(() => "completed"));
});
