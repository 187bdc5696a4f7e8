/**
 * Keys do what their scope says and no more: every kind of document and every route, with every kind of key (rules K1 and K2). The tables
 * stand in scopes.fixture.ts.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { API, API_WORDS, KINDS, type Envelope, type Kind, type Route, type RouteName, type Signer } from "@xenoservers/protocol";
import type { FromBroker, Pipe } from "@xenoservers/protocol/link";
import { sequence } from "../log/sequencer.ts";
import { CHANNELS, CODES, DOCUMENTS, KEYS, LINKS, ROUTES, SEEN, cellsOf, type Key } from "./scopes.fixture.ts";
import { payloadsOf, type Subject } from "./payloads.fixture.ts";
import { World, newId, newSigner, type Party, type Server } from "./world.fixture.ts";

const LEASES = ["plain", "inA", "labelX", "both", "elsewhere"] as const;
type LeaseName = (typeof LEASES)[number];

let world: World;
let customer: Party;
let stranger: Party;
let server: Server;
let accountA: string;
let batch: string;
let signers: Record<Key, Signer>;
let leases: Record<LeaseName, { lease: string; order: string }>;
/** On result, with a result whose bytes lie sealed with the broker. */
let sealed: { lease: string; order: string };

async function makeKeys(): Promise<void> {
  const A = { account: accountA };
  const X = { leaseLabel: "x" };
  const [expired, revoked, none] = [
    await world.key(customer, "ci", { expiresAt: world.now + 60_000 }),
    await world.key(customer, "ci"),
    newSigner(),
  ];
  await world.must(customer.root, "key-revoke", { party: customer.id, key: revoked.publicKey, reason: "" });
  const owner = await world.party();
  server = await world.server(owner);
  const other = await world.server(owner);
  signers = {
    ...{ root: customer.root, device: await world.key(customer, "device"), ci: await world.key(customer, "ci") },
    read: await world.key(customer, "ci", { scopes: ["read"] }),
    spend: await world.key(customer, "ci", { scopes: ["spend"] }),
    ...{ acct: await world.key(customer, "ci", A), label: await world.key(customer, "ci", X), enrol: await world.key(customer, "enrol") },
    ...{
      server: server.key,
      other: other.key,
      owner: owner.root,
      expired,
      revoked,
      stranger: stranger.root,
      operator: world.operator,
      none,
    },
  };
  leases = {
    plain: await world.lease(customer, server),
    inA: await world.lease(customer, server, A),
    labelX: await world.lease(customer, server, { label: "x" }),
    both: await world.lease(customer, server, { ...A, label: "x" }),
    elsewhere: await world.lease(stranger, other),
  };
}

beforeAll(async () => {
  world = new World();
  await world.start();
  customer = await world.party(1_000_000_000n);
  stranger = await world.party(1_000_000_000n);
  const made = await world.must(customer.root, "account", {
    party: customer.id,
    parent: customer.account,
    name: "A",
    limitNanos: null,
    clientId: newId(),
  });
  accountA = String(made["account"]);
  await makeKeys();
  const opened = await world.must(customer.root, "batch", {
    ...{ party: customer.id, account: customer.account, budgetNanos: "1" },
    ...{ expiresAt: world.now + 600_000, clientId: newId() },
  });
  batch = String(opened["batch"]);
  sealed = await world.lease(customer, server, { terms: "on-result" });
  world.now += 2_000;
  await world.must(server.key, "result", await world.resultOf(sealed.lease, server));
  world.now += 60_000;
});
afterAll(() => world.close());

const subject = (): Subject => ({
  world,
  customer,
  server,
  batch,
  lease: leases.plain,
  device: signers.device.publicKey,
  revoked: signers.revoked.publicKey,
});

// --- documents --------------------------------------------------------------------------------------------------------------------------

/** Whose it is, as far as a refusal says so; `+` for everything else. */
const verdictOf = (code: unknown): string => Object.entries(CODES).find(([, known]) => known === code)?.[0] ?? "+";

const of = <T extends { row: string }>(cells: readonly T[], row: string): T[] => cells.filter((cell) => cell.row === row);
const signWith = <K extends Kind>(kind: K, key: Key): Envelope => world.sign(signers[key], kind, payloadsOf(subject())[kind]).envelope;

describe("every kind of document", () => {
  const cells = cellsOf(DOCUMENTS);

  it("has a row, and no row is of nothing", () => {
    expect([...new Set(cells.map(({ row }) => row))].sort()).toEqual([...KINDS].sort());
  });

  describe.each(KINDS)("%s", (kind) => {
    it.each(of(cells, kind))("signed by $key: $cell", async ({ key, cell }) => {
      const answer = await world.desk.submit(signWith(kind, key));
      expect(verdictOf(answer.ok ? null : answer.code), JSON.stringify(answer)).toBe(cell);
    });
  });
});

// --- routes -----------------------------------------------------------------------------------------------------------------------------

/** As if it had been given when the key was still good. */
async function tokenOf(key: Key): Promise<string | null> {
  if (key === "none") return null;
  if (key === "operator") return world.sessions.token({ by: "operator", party: customer.id }).token;
  const row = (await world.store.load("key", [signers[key].publicKey])).get(signers[key].publicKey)?.data;
  return row ? world.sessions.token({ by: "party", party: row.party, key: row }).token : null;
}

const PATHS: Partial<Record<RouteName, string>> = { tile: "/log/tile/0/000.p/1", consistency: "/api/v1/log/consistency?from=0&to=0" };
const BODIES: Partial<Record<RouteName, object>> = {
  ...{ submit: { envelope: {} }, submitMany: { envelopes: [{}] }, token: { login: {} }, cosign: { note: "" }, sealResult: { parts: 1 } },
};

async function ask(name: RouteName, key: Key, id = sealed.lease) {
  const route: Route = API[name];
  const token = await tokenOf(key);
  const path = PATHS[name] ?? route.path.replace(":id", id).replace(":part", "0");
  const body = route.rawBody ? Buffer.from("sealed bytes") : BODIES[name];
  const type = route.rawBody ? { "content-type": "application/octet-stream" } : {};
  const headers = { ...type, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
  return world.app.inject({ method: route.method, url: path, headers, ...(body ? { payload: body } : {}) });
}

const codeOf = (payload: string): unknown => /^\{"error":\{"code":"(\w+)"/.exec(payload)?.[1] ?? null;

describe("every route", () => {
  const cells = cellsOf(ROUTES);
  const names = Object.keys(API).filter((name): name is RouteName => Object.hasOwn(API, name));

  beforeAll(async () => {
    for (const name of ["sealPart", "sealResult"] as const) expect((await ask(name, "server")).statusCode).toBe(200);
    await sequence(world.services);
    const [first] = await world.store.logEntries(0, 1);
    PATHS.inclusion = `${API.inclusion.path}?leaf=${first?.leaf}&size=1`;
  });

  it("has a row, and no row is of nothing", () => {
    expect([...new Set(cells.map(({ row }) => row))].sort()).toEqual(names.toSorted());
  });

  describe.each(names)("%s", (name) => {
    it.each(of(cells, name))("with a token of $key: $cell", async ({ key, cell }) => {
      const response = await ask(name, key, name === "order" ? sealed.order : sealed.lease);
      expect(verdictOf(codeOf(response.payload)), response.payload.slice(0, 300)).toBe(cell);
      if (cell === "+" && API[name].access !== "public") expect(response.statusCode, response.payload.slice(0, 300)).toBe(200);
    });
  });

  it("declares every code that it refuses with", async () => {
    for (const { row, cell } of cells) {
      const declared: readonly string[] = names.includes(row as RouteName) ? API_WORDS[row as RouteName].refusals : [];
      if (["k", "n", "o", "t"].includes(cell)) expect(declared, `${row} ${cell}`).toContain(CODES[cell]);
    }
  });
});

describe("a key sees of leases", () => {
  const seenBy = (key: Key): string[] =>
    cellsOf(SEEN)
      .filter(({ key: of_, cell }) => of_ === key && cell === "+")
      .map(({ row }) => row);
  const nameOf = (id: string | null): string => Object.entries(leases).find(([, { lease }]) => lease === id)?.[0] ?? "another";

  it.each(KEYS)("what is its: %s", async (key) => {
    const seen = seenBy(key);
    const list = await ask("leases", key);
    const listed: { id: string }[] = list.statusCode === 200 ? list.json<{ leases: { id: string }[] }>().leases : [];
    expect(
      listed
        .map(({ id }) => nameOf(id))
        .filter((name) => name !== "another")
        .sort(),
    ).toEqual(seen.toSorted());
    for (const name of LEASES) {
      const { lease, order } = leases[name];
      const visible = seen.includes(name);
      for (const route of ["lease", "receipt", "leaseLog"] as const)
        expect([name, route, (await ask(route, key, lease)).statusCode === 200]).toEqual([name, route, visible]);
      expect([name, (await ask("lease", key, lease.slice(0, 20))).statusCode === 200]).toEqual([name, visible]);
      const customers = visible && (key === "stranger" || !["server", "other", "owner"].includes(key));
      expect([name, "order", (await ask("order", key, order)).statusCode === 200]).toEqual([name, "order", customers]);
    }
  });

  it.each(KEYS)("the events of the same, and of nothing else where it is bound: %s", async (key) => {
    const response = await ask("events", key);
    const events = response.statusCode === 200 ? response.json<{ events: { lease: string | null }[] }>().events : [];
    const names = new Set(events.map(({ lease }) => nameOf(lease)));
    for (const name of LEASES) expect([name, names.has(name)]).toEqual([name, seenBy(key).includes(name)]);
    if (["acct", "label", "server", "other"].includes(key)) expect(events.every(({ lease }) => lease !== null)).toBe(true);
  });

  it("no more of the party's money and keys than it is bound to", async () => {
    const accounts = async (key: Key) =>
      (await ask("accounts", key)).json<{ balances: Record<string, string>; accounts: { id: string }[] }>();
    expect((await accounts("acct")).accounts.map(({ id }) => id)).toEqual([accountA]);
    expect((await accounts("acct")).balances).toMatchObject({ pending: "0", staked: "0", locked: "0" });
    expect((await accounts("server")).balances).toEqual({ available: "0", held: "0", pending: "0", staked: "0", locked: "0" });
    const keys = async (key: Key) => (await ask("whoami", key)).json<{ keys: { key: string }[] }>().keys;
    expect(await keys("acct")).toMatchObject([{ key: signers.acct.publicKey, account: accountA }]);
    expect(await keys("server")).toHaveLength(1);
    expect((await keys("root")).length).toBeGreaterThan(7);
  });
});

// --- links ------------------------------------------------------------------------------------------------------------------------------

interface Heard {
  say(message: object): void;
  /** The first message that fits, now or later. */
  next(fits: (message: FromBroker) => boolean): Promise<FromBroker>;
}

/** A link over which a key has asked to log in. */
async function linkOf(key: Key): Promise<Heard & { admitted: boolean; code: unknown }> {
  const heard: FromBroker[] = [];
  const waiting: (() => void)[] = [];
  let say: (text: string) => void = () => {};
  const pipe: Pipe = {
    send(message) {
      if (typeof message === "string") heard.push(JSON.parse(message) as FromBroker);
      for (const wake of waiting.splice(0)) wake();
    },
    close: () => {},
    onMessage: (handler) => void (say = handler),
    onClose: () => {},
  };
  world.hub.accept(pipe);
  const next: Heard["next"] = async (fits) => {
    for (;;) {
      const found = heard.findIndex(fits);
      const [message] = found < 0 ? [] : heard.splice(found, 1);
      if (message) return message;
      await new Promise<void>((wake) => waiting.push(wake));
    }
  };
  const hello = await next(({ t }) => t === "challenge");
  const challenge = hello.t === "challenge" ? hello.challenge : "";
  const row = (await world.store.load("key", [signers[key].publicKey])).get(signers[key].publicKey)?.data;
  const login = world.sign(signers[key], "login", { party: row?.party ?? customer.id, challenge }).envelope;
  say(JSON.stringify({ t: "hello", protocol: 1, login, clock: Date.now() }));
  const answer = await next(({ t }) => t === "welcome" || t === "refused");
  return {
    say: (message) => say(JSON.stringify(message)),
    next,
    admitted: answer.t === "welcome",
    code: answer.t === "refused" ? answer.error["code"] : null,
  };
}

describe("on a link", () => {
  it.each(cellsOf(LINKS))("$key logs in: $cell", async ({ key, cell }) => {
    expect(verdictOf((await linkOf(key)).code)).toBe(cell);
  });

  it.each(KEYS)("%s gets its own events only, and only where it may read", async (key) => {
    const link = await linkOf(key);
    const role = (await world.store.load("key", [signers[key].publicKey])).get(signers[key].publicKey)?.data.role;
    if (!link.admitted || role === "server") return;
    const party = key === "stranger" ? stranger.id : key === "owner" ? server.owner.id : customer.id;
    for (const name of LEASES) world.hub.event({ party, kind: name, lease: leases[name].lease, data: {}, at: 1 });
    world.hub.event({ party, kind: "of-the-party", lease: null, data: {}, at: 1 });
    const allowed =
      key === "spend" ? [] : key === "acct" ? ["inA", "both"] : key === "label" ? ["labelX", "both"] : [...LEASES, "of-the-party"];
    // the last one that everybody who may read may see; whatever else was told stands before it
    world.hub.event({ party, kind: "end", lease: leases.both.lease, data: {}, at: 1 });
    link.say({ t: "ping" });
    const heard: string[] = [];
    for (let last = ""; last !== (key === "spend" ? "pong" : "end");) {
      const message = await link.next(({ t }) => t === "event" || t === "pong");
      last = message.t === "event" ? message.event.kind : message.t;
      heard.push(last);
    }
    expect(heard.filter((kind) => kind !== "pong" && kind !== "end")).toEqual(allowed);
  });

  it.each(cellsOf(CHANNELS))("$key opens a channel to $row: $cell", async ({ row, key, cell }) => {
    const [byServer, byOther, link] = [
      await linkOf("server"),
      await linkOf("other"),
      await linkOf(key === "server" || key === "other" ? "none" : key),
    ];
    const target = row === "elsewhere" ? byOther : byServer;
    const session = newId();
    if (!link.admitted) return expect(cell).toBe(".");
    link.say({ t: "channel-open", lease: leases[row as LeaseName].lease, session });
    if (cell === "+") await target.next((message) => message.t === "channel-open" && message.session === session);
    else await link.next((message) => message.t === "channel-close" && message.session === session);
  });
});
