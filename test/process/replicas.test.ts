/** The customer's command line on a market where one of two owners cheats: replicas, referee, re-execution, tampered receipts. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { CHEATS, cheatingDriver } from "@xenoservers/xenoserver";
import { zReceipt } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { verifyReceipt } from "@xenoservers/verify";
import { until } from "../until.ts";
import { command, started } from "./command.ts";
import { endless, saying } from "./jobs.ts";
import { startMarket, type TestMarket } from "./market.ts";
import { WASM_ALONE } from "./settings.ts";
import { thoroughly } from "../thorough.ts";

const PYTHON = path.resolve("examples/hello.py");

let market: TestMarket;
let judge: string;
/** A module that prints what the Python program prints, and starts at once. */
let HELLO: string;
const owners: Record<string, string> = {};

const xeno = (...args: string[]) => command(path.join(market.folder, "customer"), ...args);

const nothingIsHeld = (): Promise<void> => until(async () => (await xeno("wallet", "--json")).stdout.includes('"held":"0"'));

/** Undefined where a damaged file is no JSON any more. */
function parses(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    return undefined;
  }
}

async function addStaked(name: string, cheat?: string): Promise<void> {
  const owner = await market.newParty(name, "2000000000");
  owners[name] = owner.identity.party;
  await owner.act("stake", { party: owner.identity.party, amountNanos: "1000000000", direction: "deposit", clientId: owner.newId() });
  await market.addServer(name, owner, cheat === undefined ? {} : { wrapDriver: (driver) => cheatingDriver(CHEATS[cheat]!, driver) });
}

beforeAll(async () => {
  market = await startMarket();
  HELLO = path.join(market.folder, "hello.wasm");
  await writeFile(HELLO, await saying("hello, world\n"));
  await xeno("login", market.broker.url, "--yes", "--name", "customer", "--context", "test");
  const { party } = JSON.parse((await xeno("whoami", "--json")).stdout) as { party: string };
  await market.operator("credit", { party, amountNanos: "10000000000", source: "operator", reference: "", clientId: "cd".repeat(16) });
  await addStaked("honest");
  judge = (
    await market.addServer("referee", await market.newParty("the operator's"), { toml: `${WASM_ALONE}[price]\nfuel_hour = "0.03"\n` })
  ).server.id;
  await market.operator("referee", { server: judge, active: true, clientId: "ab".repeat(16) });
});
afterAll(() => market.close());

it("asks for more owners than there are: says how many conditions excluded", async () => {
  const { code, stderr } = await xeno("run", HELLO, "--replicas", "2");
  expect(code).toBe(125);
  expect(stderr).toMatch(/referee excluded 1, stake excluded 1/);
  await nothingIsHeld();
});

it("shows the output when two owners agree", async () => {
  await addStaked("second");
  const { code, stdout, stderr } = await xeno("run", PYTHON, "--replicas", "2");
  expect([code, stdout], stderr).toEqual([0, "hello, world\n"]);
  expect(stderr).toMatch(/agreed +2 owners signed the same output/);
});

it("withdraws all of them on Ctrl-C: no money is held for any of them, and nothing runs on", async () => {
  const job = path.join(market.folder, "without-end.wasm");
  await writeFile(job, await endless());
  let heard = "";
  const { child, done } = started(path.join(market.folder, "customer"), ["run", job, "--replicas", "2"], (text) => (heard += text));
  await until(() => heard.split("replica  ").length === 3 || child.exitCode !== null);
  child.kill("SIGINT");
  const { code, stderr } = await done;
  expect([code, stderr.match(/replica \d: the order was withdrawn/g)], stderr).toEqual([
    130,
    ["replica 1: the order was withdrawn", "replica 2: the order was withdrawn"],
  ]);
  await nothingIsHeld();
});

it("has the referee decide when they differ, shows the right output and moves the stake", async () => {
  await addStaked("cheat", "wrong-output");
  const { code, stdout, stderr } = await xeno("run", HELLO, "--replicas", "3");
  expect([code, stdout], stderr).toEqual([0, "hello, world\n"]);
  expect(stderr).toContain("the replicas differ");
  expect(stderr.match(/verdict /g)).toHaveLength(1);
  await nothingIsHeld();
});

it("says which instruction a module may not hold, where, and what avoids it", async () => {
  const file = path.join(market.folder, "threads.wasm");
  // the customer's own client looks at all of it
  const module = (memory: string, code: string): Buffer =>
    Buffer.from(`0061736d0100000001040160000003020100${memory}071302066d656d6f72790200065f73746172740000${code}`, "hex");
  await writeFile(file, module("050401030102", "0a040102000b"));
  const before = await xeno("run", file);
  expect(before.code).toBe(125);
  expect(before.stderr).toMatch(/cannot run: shared memory at offset 0x[0-9a-f]+: .*without -pthread/);
  await writeFile(file, module("0503010001", "0a07010500fe03000b"));
  const { code, stderr } = await xeno("run", file);
  expect(code).toBe(125);
  expect(stderr).toMatch(/cannot run: atomic instruction 0xfe 0x[0-9a-f]+ at offset 0x[0-9a-f]+: .*without -pthread/);
});

thoroughly("audits after the owner has signed: every job of a newcomer, and a cheat is convicted", async () => {
  await addStaked("newcomer");
  // a program that costs something: what is free is nobody's to freeze, and its audits build no record
  const onNewcomer = async () => {
    const { stdout } = await xeno("run", PYTHON, "--audit", "--json", "--where", `owner=${owners["newcomer"]}`);
    return (JSON.parse(stdout) as { audit: { ratePpm: number; drawn: boolean; undone: string | null; wrong: unknown } }).audit;
  };
  expect(await onNewcomer()).toEqual({ ratePpm: 1_000_000, drawn: true, undone: null, wrong: null });
  expect((await onNewcomer()).ratePpm).toBeLessThan(1_000_000);
  const wrong = await xeno("run", HELLO, "--audit", "--where", `owner=${owners["cheat"]}`);
  expect(wrong.stderr).toMatch(/audit .*the output above is WRONG/);
  expect(wrong.code).toBe(125);
});

thoroughly("takes no result again that was drawn for an audit", async () => {
  await addStaked("unaudited");
  const ran = async () => {
    const { stdout } = await xeno(
      ...["run", PYTHON, "--assurance", "replicated", "--no-audit", "--reuse", "--json", "--where", `owner=${owners["unaudited"]}`],
    );
    return JSON.parse(stdout) as { lease: string; reused: boolean; audit: { drawn: boolean } };
  };
  const [first, second] = [await ran(), await ran()];
  expect([first.audit.drawn, first.reused, second.reused]).toEqual([true, false, false]);
  expect(second.lease).not.toBe(first.lease);
});

thoroughly("shows the operator which server lies, by an order like any other", async () => {
  const lie = await market.broker.store.load("party", [owners["cheat"]!]);
  const before = lie.get(owners["cheat"]!)!.data.record.convicted;
  const servers = (await market.broker.store.listedServers(0)).filter(
    ({ owner }) => owner === owners["cheat"] || owner === owners["honest"],
  );
  const { index } = market.broker.desk.services;
  const setOnline = index.setOnline.bind(index);
  for (const { id, owner } of servers) {
    // the cheapest of those that fit takes an ordinary order: the others are away meanwhile, whatever the broker hears of them
    index.setOnline = (server, online) => setOnline(server, online && (server === id || server === judge));
    for (const other of await market.broker.store.listedServers(0)) index.setOnline(other.id, true);
    const { code, stdout, stderr } = await xeno("broker", "probe", id, "--within", "1ms", "--data", path.join(market.folder, "broker"));
    expect([code, stdout.match(/(right|wrong):/)?.[1]], stderr).toEqual(owner === owners["cheat"] ? [125, "wrong"] : [0, "right"]);
  }
  index.setOnline = setOnline;
  for (const { id } of await market.broker.store.listedServers(0)) index.setOnline(id, true);
  const after = (await market.broker.store.load("party", [owners["cheat"]!])).get(owners["cheat"]!)!.data.record.convicted;
  expect(after).toBe(before + 1);
});

thoroughly("proves a result by running it again, and notices a changed byte", async () => {
  const { stdout } = await xeno("run", HELLO, "--json", "--where", `owner=${owners["honest"]}`);
  const { lease } = JSON.parse(stdout) as { lease: string };
  const again = await xeno("verify", lease, "--re-execute");
  expect(again.code).toBe(0);
  expect(again.stdout).toMatch(/proved .*result +exit code 0: running the same job again gave the same/);
  const text = await readFile(path.join(market.folder, "customer/receipts", `${lease}.json`));
  for (let at = 0; at < text.length; at += 13) {
    const bytes = Buffer.from(text);
    bytes[at] = bytes[at]! ^ 1;
    expect(parses(bytes) === undefined || !verifyReceipt(nodeCrypto, market.customer.pins, parses(bytes)).ok, `byte ${at}`).toBe(true);
  }
  const changed = await xeno("verify", lease, "--tamper");
  expect(changed.code).toBe(1);
  expect(changed.stdout).toContain("FAILED");
  expect(changed.stderr).toMatch(/byte \d+ changed from/);
});

thoroughly("misses what its customer signed where a receipt leaves it out", async () => {
  const job = path.join(market.folder, "endless.wasm");
  await writeFile(job, await endless());
  const lease = (await xeno("run", job, "--detach", "--where", `owner=${owners["honest"]}`)).stdout.trim();
  expect((await xeno("lease", "stop", lease)).code).toBe(0);
  const whole = await xeno("verify", lease);
  expect(whole, whole.stdout).toMatchObject({ code: 0 });
  const home = path.join(market.folder, "customer");
  const receipt = zReceipt.parse(JSON.parse(await readFile(path.join(home, "receipts", `${lease}.json`), "utf8")));
  const kinds = ["order", "stop"];
  expect(receipt.documents.map(({ kind }) => kind)).toEqual(expect.arrayContaining(kinds));
  for (const left of kinds) {
    const file = path.join(market.folder, `without-${left}.json`);
    await writeFile(file, JSON.stringify({ ...receipt, documents: receipt.documents.filter(({ kind }) => kind !== left) }));
    const { code, stdout, stderr } = await xeno("verify", file);
    expect(code).toBe(1);
    expect(stdout).toMatch(/FAILED +signatures +it lacks a document of this lease that you hold/);
    expect(stdout).not.toMatch(/proved +bill/);
    expect(stderr).toMatch(new RegExp(`it lacks your ${left} [0-9a-f]{12}, which the broker took\n`));
  }
});
