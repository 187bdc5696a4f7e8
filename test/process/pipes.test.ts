/**
 * Whoever reads slowly reads the same: every verb that prints much, by real processes whose output nobody takes before they have done their
 * work, gives the same bytes as into a file; a reader that has had enough ends it quietly. A verb that has no row here fails.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { ROLE_SCOPES } from "@xenoservers/market";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { PaperMarket, Random } from "@xenoservers/testkit";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { program } from "../../packages/cli/src/program.ts";
import { retold } from "../../packages/verify/src/testing/moves.ts";
import { storyOf } from "../../packages/verify/src/testing/stories.ts";
import { PaperBroker } from "../support/paper-broker.ts";
import { cases } from "../thorough.ts";
import { until } from "../until.ts";
import { command } from "./command.ts";
import { startMarket, type TestMarket } from "./market.ts";

const CLI = path.resolve("packages/cli/bin/xeno.js");
/** A pipe holds as much. */
const MUCH = 65_536;

/** What it prints: much, here on paper or in a market that is real; little, as a rule; or as another program's does. */
interface Printing {
  /** A pipe holds all of it. */
  few?: true;
  /** It goes on only when its reader does: a page at a time. */
  paced?: true;
}
type Row = (Printing & { paper: readonly string[] }) | (Printing & { real: readonly string[] }) | "little" | "elsewhere";

/** LEASE is one that has ended; RECEIPT and SERVER are on this disk. */
const ROWS: Readonly<Record<string, Row>> = {
  login: "little",
  "context ls": { paper: ["context", "ls"] },
  "context use": "little",
  whoami: { paper: ["whoami", "--json"] },
  "key list": { paper: ["key", "list"] },
  "key add": "little",
  "key rotate": "little",
  "key revoke": "little",
  "key backup": "little",
  "key restore": "little",
  "token create": "little",
  "token list": { paper: ["token", "list"] },
  "token revoke": "little",
  wallet: { paper: ["wallet", "--csv", "--limit", "1000"] },
  "limits set": "little",
  stake: "little",
  "account create": "little",
  search: { paper: ["search", "--json"] },
  run: { real: ["run", "BIG"] },
  map: { real: ["map", "BIG", "--", "BIG"] },
  quote: "little",
  "batch open": "little",
  "batch close": "little",
  attach: { real: ["attach", "LEASE"] },
  fetch: "little",
  ps: { paper: ["ps", "--json"], paced: true },
  logs: { real: ["logs", "LEASE"] },
  events: { paper: ["events"] },
  export: "little", // into files
  "lease show": "little",
  "lease result": { real: ["lease", "result", "LEASE", "--json"] },
  "lease stop": "little",
  "lease extend": "little",
  "lease object": "little",
  "lease appeal": "little",
  "lease pause": "little",
  "lease resume": "little",
  "lease reboot": "little",
  "lease snapshot": "little",
  "lease fork": "little",
  console: "elsewhere", // a terminal's
  mcp: "elsewhere", // the protocol of agents (mcp.test.ts), whose answers are bounded
  exec: "elsewhere", // takes a machine; it prints by showRaw and ends by leave, as the others here
  cp: "little", // into a file
  forward: "elsewhere", // another program's connection
  screen: "elsewhere", // pictures, into a file or another program
  ssh: "elsewhere", // another program
  rm: "little",
  verify: { real: ["verify", "LEASE", "--json"], few: true },
  dispute: "little",
  audit: "little",
  "receipt show": { paper: ["receipt", "show", "RECEIPT", "--json"] },
  serve: "little",
  "server status": "little",
  "server drain": "little",
  "server reread": "little",
  "server stop": "little",
  "server retire": "little",
  "abuse trace": { paper: ["abuse", "trace", "203.0.113.7", "--data", "SERVER"] },
  broker: "little",
  "broker reread": "little",
  "broker backup": "little", // into a file
  "broker restore": "little",
  "broker check": "little",
  "broker overview": "little",
  "broker credit": "little",
  "broker suspend": "little",
  "broker referee": "little",
  "broker probe": "little",
  "broker fee": "little",
  "broker witness": "little",
  witness: "little",
  evidence: "little",
  demo: "little",
  doctor: "little",
  version: "little",
  completion: "little",
};

function verbsOf(at: Command, before = ""): string[] {
  return at.commands.flatMap((each) => {
    const name = `${before}${each.name()}`;
    const below = verbsOf(each, `${name} `);
    // `broker` does something and has others below it
    return below.length === 0 || name === "broker" ? [name, ...below] : below;
  });
}

it("every verb has its row", async () => {
  expect(verbsOf(await program()).toSorted()).toEqual(Object.keys(ROWS).toSorted());
});

/** Says on descriptor 3 that the program has done its work, and leaves or waits for its reader: before that nobody reads. */
const HOOK = `data:text/javascript,${encodeURIComponent(`
  import { writeSync } from "node:fs";
  const write = process.stdout.write.bind(process.stdout);
  const say = () => { try { writeSync(3, "x"); } catch {} };
  process.on("exit", say);
  process.stdout.write = (chunk, ...rest) => {
    const took = write(chunk, ...rest);
    if (chunk === "") say();
    // a pipe that is full holds back a few bytes as well as many
    else if (process.env.XENO_TEST_WAITS) setImmediate(() => process.stdout.writableLength > 0 && say());
    return took;
  };`)}`;

function started(home: string, args: readonly string[], stdout: "pipe" | number, waits: boolean): ChildProcess {
  const env = { ...process.env, XENO_HOME: home, ...(waits ? { XENO_TEST_WAITS: "1" } : {}) };
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", `--import=${HOOK}`, CLI, ...args], {
    ...{ env, stdio: ["ignore", stdout, "pipe", "pipe"] },
  });
}

interface Read {
  bytes: Buffer;
  code: number;
  said: string;
}

async function intoFile(home: string, args: readonly string[]): Promise<Read> {
  const file = path.join(home, "out");
  const handle = await open(file, "w");
  const child = started(home, args, handle.fd, false);
  const [said, [code]] = await Promise.all([text(child.stderr!), once(child, "exit")]);
  await handle.close();
  return { bytes: await readFile(file), code: Number(code), said };
}

/** `waits`: it goes on only when its reader does. */
async function intoSlowPipe(home: string, args: readonly string[], waits: boolean): Promise<Read> {
  const child = started(home, args, "pipe", waits);
  const said = text(child.stderr!);
  // of a child that has gone Node throws away what nobody listens for
  child.stdout!.on("readable", () => {});
  const end = once(child, "close");
  await Promise.race([once(child.stdio[3] as Readable, "data"), end]);
  return { bytes: await buffer(child.stdout!), code: Number((await end)[0]), said: await said };
}

/** As `| head -1` does. */
async function intoHead(home: string, args: readonly string[]): Promise<Pick<Read, "code" | "said">> {
  const child = started(home, args, "pipe", true);
  const said = text(child.stderr!);
  const end = once(child, "exit");
  await once(child.stdout!, "data");
  child.stdout!.destroy();
  return { code: Number((await end)[0]), said: await said };
}

async function expectSame(home: string, args: readonly string[], { waits, isFew }: Manner): Promise<void> {
  const [file, pipe] = [await intoFile(home, args), await intoSlowPipe(home, args, waits)];
  expect(file.bytes.length, `${args.join(" ")} prints much\n${file.said}`).toBeGreaterThan(isFew ? 0 : MUCH);
  expect(pipe.bytes.length).toBe(file.bytes.length);
  expect(pipe.bytes.equals(file.bytes)).toBe(true);
  expect(pipe.code).toBe(file.code);
}

interface Manner {
  /** It goes on only when its reader does. */
  waits: boolean;
  isFew: boolean;
}

/** The others are for whoever has the time (XENO_THOROUGH=1): they print by the same few functions. */
const SOON: readonly string[] = ["ps", "wallet", "events", "run", "logs", "verify"];
const isPlayed = ([name]: [string, readonly string[]]): boolean => cases(0, 1) === 1 || SOON.includes(name);

const is = (what: keyof Printing, name: string): boolean => {
  const row = ROWS[name];
  return typeof row === "object" && row[what] === true;
};

const rows = <K extends "paper" | "real">(kind: K): [string, readonly string[]][] =>
  Object.entries(ROWS).flatMap(([name, row]): [string, readonly string[]][] =>
    typeof row === "object" && kind in row ? [[name, Object.values(row)[0] as readonly string[]]] : [],
  );

describe("of a market on paper", () => {
  let folder: string;
  let broker: PaperBroker;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "xeno-pipes-"));
    const market = new PaperMarket(new Random(4), Date.now());
    broker = await PaperBroker.start(market);
    const [carl, olga] = [market.party("carl", new Uint8Array(32).fill(3)), market.party("olga")];
    const server = market.server(olga);
    await paper(market, carl, server);
    const context = {
      ...{ url: broker.url, pins: market.pins, currency: "credits", party: carl.party, account: carl.account, role: "root" },
      ...{ scopes: [...ROLE_SCOPES.root], label: "carl", leaseLabel: null, seed: "03".repeat(32) },
    };
    const contexts = Object.fromEntries(Array.from({ length: 800 }, (_, i) => [`market-${i}`, context]));
    await mkdir(path.join(folder, "config"));
    await writeFile(path.join(folder, "config/contexts.json"), JSON.stringify({ current: "market-0", contexts }));
    const story = storyOf({ crypto, createSigner }, "completed by interval", 7);
    const receipt = retold(story, {});
    const documents = Array.from({ length: 20 }, () => receipt.documents).flat();
    await writeFile(path.join(folder, "receipt.json"), JSON.stringify({ ...receipt, documents }));
    const connection = {
      at: 1,
      endedAt: 2,
      lease: "ab".repeat(32),
      address: "203.0.113.7",
      name: "a.example",
      port: 443,
      from: 5,
      bytes: 6,
    };
    await mkdir(path.join(folder, "server/vm"), { recursive: true });
    await writeFile(path.join(folder, "server/vm/egress.jsonl"), `${JSON.stringify(connection)}\n`.repeat(1_000));
  });
  afterAll(async () => {
    broker.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function paper(market: PaperMarket, carl: ReturnType<PaperMarket["party"]>, server: ReturnType<PaperMarket["server"]>) {
    const offer = market.offer(server);
    const view = market.view(market.purchaseOrder(market.order(carl), server, offer));
    const many = <T>(count: number, of: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => of(i));
    const key = (i: number) => ({
      ...{ key: i.toString(16).padStart(64, "0"), role: "ci", label: `token-${i}`, scopes: ["read"], account: null, leaseLabel: null },
      ...{ maxSpendPerDayNanos: null, expiresAt: null, revokedAt: null },
    });
    const offered = Object.assign({}, offer.payload);
    broker.offers = () => many(200, () => ({ ...offerView(offered, offer.id, server.id), labels: { note: "x".repeat(64) } })) as never;
    Object.assign(broker.reads, {
      "/api/v1/whoami": () => ({
        ...{ party: carl.party, name: "carl", account: carl.account, role: "root", suspended: false, keys: many(2_000, key) },
      }),
      "/api/v1/accounts": () => ({ balances: { available: "5", held: "0", pending: "0", staked: "0", locked: "0" }, accounts: [] }),
      "/api/v1/statement": () => ({
        entries: many(900, (i) => ({ id: `t${i}`, debit: `${carl.account}/available`, credit: "sink/x", amountNanos: "7", at: 1 })),
      }),
      "/api/v1/leases": () => ({ leases: many(150, () => view) }),
      "/api/v1/events": () => ({
        events: many(199, (i) => ({ cursor: `0.1.${i}`, party: carl.party, kind: "k", lease: null, data: { x: "y".repeat(400) }, at: 1 })),
      }),
    });
  }

  const words = (args: readonly string[]): string[] =>
    args.map((word) => ({ RECEIPT: path.join(folder, "receipt.json"), SERVER: path.join(folder, "server") })[word] ?? word);

  it.each(rows("paper").filter(isPlayed))("%s gives a slow reader the same bytes as a file", async (name, args) => {
    await expectSame(folder, words(args), { waits: is("paced", name), isFew: is("few", name) });
  });

  it.each(rows("paper").slice(0, cases(1, 100)))("%s ends quietly where its reader has had enough", async (_name, args) => {
    // what lies in the pipe already is written for this program, whoever reads it
    expect(await intoHead(folder, words(args))).toMatchObject({
      code: expect.toBeOneOf([0, 141]),
      said: expect.not.stringContaining("error"),
    });
  });
});

/** As the market shows an offer. */
const offerView = (payload: object, offerId: string, server: string): object => ({
  ...payload,
  ...{ server, offerId, free: { vcpu: 1, memoryMib: 512, diskMib: 64 }, priceNanosPerHour: "1", cpuScore: 100 },
  ...{ accel: "none", vmScore: 0, limits: "cgroup2", egress: "none", fetches: false, vmEngine: "" },
  record: { leases: 0, completed: 0, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 },
});

describe("of a real market", () => {
  let market: TestMarket;
  let home: string;
  let lease: string;

  beforeAll(async () => {
    market = await startMarket();
    home = path.join(market.folder, "reader");
    await mkdir(home);
    await command(home, "login", market.broker.url, "--yes");
    const { party } = JSON.parse((await command(home, "whoami", "--json")).stdout) as { party: string };
    await market.operator("credit", {
      party,
      amountNanos: "10000000000",
      source: "operator",
      reference: "",
      clientId: market.customer.newId(),
    });
    await writeFile(path.join(home, "big.py"), 'print(("x" * 99 + "\\n") * 4_000)');
    const run = await intoFile(home, ["run", path.join(home, "big.py")]);
    expect([run.code, run.bytes.length], run.said).toEqual([0, 400_001]);
    const { leases } = JSON.parse((await command(home, "ps", "--all", "--json")).stdout) as { leases: { id: string }[] };
    lease = leases[0]?.id ?? "";
    // its receipt is the same each time once all of it is in the log
    await until(async () => /"says":"(\d+) of \1 /.test((await command(home, "verify", lease, "--json")).stdout));
  });
  afterAll(() => market.close());

  it.each(rows("real").filter(isPlayed))("%s gives a slow reader the same bytes as a file", async (name, args) => {
    const words = args.map((word) => ({ BIG: path.join(home, "big.py"), LEASE: lease })[word] ?? word);
    await expectSame(home, words, { waits: !is("few", name), isFew: is("few", name) });
  });
});
