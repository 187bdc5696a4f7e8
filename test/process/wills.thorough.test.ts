/** What becomes of leases whose customer's program is lost, hangs, or is there while brokers come and go; each minute is two seconds here. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { isLive } from "@xenoservers/market";
import { parseDocumentOf, type LeaseView } from "@xenoservers/protocol";
import { CLOSINGS } from "@xenoservers/protocol/link";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { LINK_WORDS_PATH } from "@xenoservers/protocol/will";
import { startBroker } from "@xenoservers/xenocorp";
import { LastWills, MarketClient, placeOrder, fetchMarket } from "@xenoservers/sdk";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { command, started } from "./command.ts";
import { endless, moduleJob, saying } from "./jobs.ts";
import { startMarket, until, wanted, type TestMarket } from "./market.ts";
import { PATIENT, WASM_ALONE } from "./settings.ts";

const AFTER_MS = 2_000;
const SLOT = { vcpu: 1, memoryMib: 16, diskMib: 1 };
const SMALL = ["--cpu", "1", "--mem", "16M", "--disk", "1M", "--max-output", "1M"];

let market: TestMarket;
let job: string;
let hello: string;
const home = (): string => path.join(market.folder, "runner");
const json = async <T>(...args: string[]): Promise<T> => JSON.parse((await command(home(), ...args, "--json")).stdout) as T;
const all = async (): Promise<LeaseView[]> => (await json<{ leases: LeaseView[] }>("ps", "--all", "--limit", "all")).leases;

beforeAll(async () => {
  market = await startMarket({ willAfterMs: AFTER_MS, beat: { everyMs: 250, missedMax: 8 } });
  for (const name of ["second", "third"]) {
    const owner = await market.newParty(name, "2000000000");
    const { party } = owner.identity;
    await owner.act("stake", { party, amountNanos: "1000000000", direction: "deposit", clientId: owner.newId() });
    await market.addServer(name, owner);
  }
  const judge = await market.addServer("referee", await market.newParty("the operator's"));
  await market.operator("referee", { server: judge.server.id, active: true, clientId: "ab".repeat(16) });
  job = path.join(market.folder, "endless.wasm");
  await writeFile(job, await endless());
  hello = path.join(market.folder, "hello.wasm");
  await writeFile(hello, await saying("hello\n"));
  await command(home(), "login", market.broker.url, "--yes", "--context", "test");
  const { party } = await json<{ party: string }>("whoami");
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "ef".repeat(16) });
});
afterAll(() => market.close());

/** A program whose leases run; each is of these labels. */
async function running(label: string, count: number, words: string[], env: NodeJS.ProcessEnv = { CI: "true" }) {
  const { child, done } = started(home(), [...words, ...SMALL, "--label", label], () => {}, env);
  const leases = async (): Promise<LeaseView[]> => (await all()).filter((lease) => lease.label === label);
  await until(async () => child.exitCode !== null || (await leases()).filter(({ state }) => state === "open").length === count);
  // its wills are said at once, and kept before long
  const ids = (await leases()).map(({ id }) => id);
  await until(async () => child.exitCode !== null || (await kept(ids)) === count || env["CI"] === "");
  if (child.exitCode !== null) throw new Error((await done).stderr);
  return { child, done, leases };
}

/** How many of these the broker keeps a will of. */
async function kept(leases: readonly string[]): Promise<number> {
  const found = await Promise.all(leases.map((lease) => market.broker.wills.isKept(lease)));
  return found.filter((isKept) => isKept).length;
}

const killed = async (child: ChildProcess): Promise<void> => {
  child.kill("SIGKILL");
  await once(child, "exit");
};

/** In the words of whoever signed the stop. */
async function reasonOf(lease: string): Promise<string> {
  const stop = (await market.broker.store.documentsOf(lease)).filter(({ kind }) => kind === "stop");
  const [only] = stop.map(({ envelope }) => parseDocumentOf(nodeCrypto, "stop", envelope));
  return stop.length === 1 && only?.ok ? only.document.payload.reason : `${stop.length} stops`;
}

it("a map that is killed leaves nothing running, and what was told to run on runs on", async () => {
  const stays = await running("stays", 1, ["run", job, "--budget", "0.01"], { CI: "" });
  const map = await running("map", 2, ["map", "-P", "2", "--each", "0.01", "--array", "1-4", job]);
  await Promise.all([killed(stays.child), killed(map.child)]);
  await until(async () => (await map.leases()).every(({ state }) => !isLive(state)));
  const ended = await map.leases();
  expect(ended.map(({ end }) => end?.reason)).toEqual(ended.map(() => "customer-stop"));
  for (const { id } of ended) expect(await reasonOf(id)).toBe("its customer was gone");
  const [{ id, state } = { id: "", state: "final" as const }] = await stays.leases();
  expect(state).toBe("open");
  expect((await command(home(), "lease", "stop", id)).code).toBe(0);
});

it("replicas of a run that is killed end, all of them", async () => {
  const { child, leases } = await running("replicas", 2, ["run", job, "--replicas", "2", "--budget", "0.02"]);
  await killed(child);
  await until(async () => (await leases()).every(({ state }) => state !== "open"));
  for (const { id } of await leases()) expect(await reasonOf(id)).toBe("its customer was gone");
});

it("an order that waits is withdrawn once its run is killed, and not while it is there", async () => {
  const narrow = await market.addServer("narrow", await market.newParty("narrow"), { toml: `${WASM_ALONE}[capacity]\nvcpu = 1\n` });
  const there = ["--where", `server=${narrow.server.id}`, "--budget", "0.01"];
  const holder = await running("holder", 1, ["run", job, ...there], { CI: "" });
  let said = "";
  const waiter = started(home(), ["run", job, ...there, ...SMALL, "--wait", "--wait"], (text) => (said += text), { CI: "true" });
  await until(() => waiter.child.exitCode !== null || said.includes("the market is full"));
  const orders = await market.broker.store.waitingOrders(10);
  expect(orders).toHaveLength(1);
  const order = orders[0]?.id ?? "";
  await until(async () => (await kept([order])) === 1);
  await market.restartBroker();
  await until(async () => (await kept([order])) === 1);
  await killed(waiter.child);
  await until(async () => (await market.broker.store.waitingOrders(10)).length === 0);
  expect((await market.broker.store.load("order", [order])).get(order)?.data.refused).toMatchObject({ code: "withdrawn" });
  await command(home(), "lease", "stop", (await holder.leases())[0]?.id ?? "");
});

it("a run that hangs for too long is stopped, and hears of it when it goes on; its broker may come and go meanwhile", async () => {
  const { child, done, leases } = await running("hangs", 1, ["run", job, "--budget", "0.01"]);
  await market.restartBroker();
  const [{ id } = { id: "" }] = await leases();
  // whoever is there says it again, and has the time anew
  await until(async () => (await kept([id])) === 1);
  const probe = await running("probe", 1, ["run", job, "--budget", "0.01"]);
  await killed(probe.child);
  await until(async () => (await probe.leases())[0]?.state !== "open");
  expect((await leases())[0]?.state).toBe("open");
  child.kill("SIGSTOP");
  await until(async () => (await leases())[0]?.state !== "open");
  child.kill("SIGCONT");
  const { code, stderr } = await done;
  expect([code, await reasonOf(id)], stderr).toEqual([130, "its customer was gone"]);
  expect(stderr).toContain("stopped  with the words 'its customer was gone'");
});

it("a program of the library leaves nothing running where it says so", async () => {
  const source = `
    const { Market } = await import(${JSON.stringify(path.resolve("packages/sdk/src/index.ts"))});
    const market = await Market.connect({ stopOnExit: true });
    const job = await market.run({ module: ${JSON.stringify(job)}, budget: "0.01", label: "program" });
    job.result.catch(() => {});`;
  const file = path.join(market.folder, "program.ts");
  await writeFile(file, source);
  const child = spawn(process.execPath, [file], { env: { ...process.env, XENO_HOME: home() }, stdio: "ignore" });
  const leases = async (): Promise<LeaseView[]> => (await all()).filter(({ label }) => label === "program");
  await until(async () => (await kept((await leases()).map(({ id }) => id))) === 1);
  await killed(child);
  await until(async () => (await leases()).every(({ state }) => state !== "open"));
  expect(await reasonOf((await leases())[0]?.id ?? "")).toBe("its customer was gone");

  // and one whose leases are over comes to its end by itself
  await writeFile(file, source.replace(job, hello).replace("job.result.catch(() => {})", "await job.result"));
  const whole = spawn(process.execPath, [file], { env: { ...process.env, XENO_HOME: home() }, stdio: "ignore" });
  const [code] = (await once(whole, "exit")) as [number | null];
  expect(code).toBe(0);
});

it("whoever goes over to another broker is there, and what is let go of on purpose runs on", async () => {
  const dataFolder = path.join(market.folder, "there");
  await mkdir(dataFolder);
  await copyFile(path.join(market.folder, "broker", "broker-keys.json"), path.join(dataFolder, "broker-keys.json"));
  const databaseUrl = `postgres://xeno@/postgres?host=${encodeURIComponent(path.join(market.folder, "broker", "run"))}`;
  const there = await startBroker({ dataFolder, databaseUrl, market: { timings: PATIENT }, willAfterMs: AFTER_MS });
  const { pins, identity, url } = market.customer;
  const bounds = await Promise.all(
    [0, 1, 2].map(async () => placeOrder(market.customer, wanted({ resources: SLOT }), (await moduleJob(await endless())).jobHash)),
  );
  const [stays, goes, probe] = bounds.map(({ po }) => po.id) as [string, string, string];
  const [one, other, third] = [0, 1, 2].map(() => LastWills.of(new MarketClient(`${there.url},${url}`, pins, identity))) as [
    ...[LastWills, LastWills, LastWills],
  ];
  one.holds(stays);
  other.holds(goes);
  third.holds(probe);
  await until(async () => (await kept([stays, goes, probe])) === 3);
  await there.close();
  await other.release();
  expect(await kept([stays, goes])).toBe(1);
  third.leave();
  const stateOf = async (id: string) => (await market.customer.read("lease", { params: { id } })).state;
  await until(async () => !["bound", "open"].includes(await stateOf(probe)));
  for (const id of [stays, goes]) expect(["bound", "open"]).toContain(await stateOf(id));
  one.leave();
  for (const id of [stays, goes, probe])
    await market.customer.act("stop", { lease: id, party: identity.party, reason: "" }).catch(() => {});
});

/** A broker that says so much of its links, and cuts those that say a will. */
async function fakeBroker(words: object | null): Promise<{ url: string; seen: string[]; server: Server }> {
  const seen: string[] = [];
  const info = await fetchMarket(market.broker.url);
  const server = createServer((request, response) => {
    seen.push(request.url ?? "");
    response.statusCode = words ? 200 : 404;
    response.end(JSON.stringify(words ?? { error: { code: "not_found" } }));
  });
  new WebSocketServer({ server }).on("connection", (socket) => {
    seen.push("link");
    socket.send(JSON.stringify({ t: "challenge", challenge: "ab".repeat(32), market: info, beat: { everyMs: 1_000, missedMax: 3 } }));
    socket.on("message", (data: Buffer) => {
      const { t } = JSON.parse(data.toString()) as { t: string };
      seen.push(t);
      if (t === "will") return socket.close(1008, CLOSINGS.malformed.says);
      socket.send(JSON.stringify({ t: "welcome", party: market.customer.identity.party, live: { grants: [], filed: [] }, clock: null }));
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, server };
}

it("a broker that knows no wills is not linked for them, and one that was not what it said is left alone soon", async () => {
  const bound = await placeOrder(market.customer, wanted(), (await moduleJob(await endless())).jobHash);
  for (const [words, links] of [
    [null, 0],
    [{ will: { afterMs: 60_000 } }, 3],
  ] as const) {
    const { url, seen, server } = await fakeBroker(words);
    const wills = LastWills.of(new MarketClient(url, market.customer.pins, market.customer.identity));
    wills.holds(bound.po.id);
    await until(() => wills.isOver);
    expect([seen.filter((what) => what === "link").length, seen[0]]).toEqual([links, LINK_WORDS_PATH]);
    server.closeAllConnections();
    server.close();
  }
  await market.customer.act("stop", { lease: bound.po.id, party: market.customer.identity.party, reason: "" });
});
