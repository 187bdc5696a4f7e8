/** Keys do what their scope says and no more: every kind of document and every route, with every kind of key (rules K1 and K2). The tables stand in scopes.fixture.ts. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { DEFAULT_TIMINGS } from "@xenoservers/market";
import { API, KINDS, KeyBook, signDocument, type Envelope, type Kind, type Payload, type Route, type RouteName, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { FromBroker, Pipe } from "@xenoservers/protocol/link";
import { Credentials } from "../desk/credentials.ts";
import { sequence } from "../log/sequencer.ts";
import { CHANNELS, CODES, DOCUMENTS, KEYS, LINKS, ROUTES, SEEN, cellsOf, type Key } from "./scopes.fixture.ts";
import { DIGEST, World, newId, newSigner, type Given, type Party, type Server } from "./world.fixture.ts";

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
  const [expired, revoked, none] = [await world.key(customer, "ci", { expiresAt: world.now + 60_000 }), await world.key(customer, "ci"), newSigner()];
  await world.must(customer.root, "key-revoke", { party: customer.id, key: revoked.publicKey, reason: "" });
  const owner = await world.party();
  server = await world.server(owner);
  const other = await world.server(owner);
  signers = {
    ...{ root: customer.root, device: await world.key(customer, "device"), ci: await world.key(customer, "ci") },
    read: await world.key(customer, "ci", { scopes: ["read"] }),
    spend: await world.key(customer, "ci", { scopes: ["spend"] }),
    ...{ acct: await world.key(customer, "ci", A), label: await world.key(customer, "ci", X), enrol: await world.key(customer, "enrol") },
    ...{ server: server.key, other: other.key, owner: owner.root, expired, revoked, stranger: stranger.root, operator: world.operator, none },
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
  const made = await world.must(customer.root, "account", { party: customer.id, parent: customer.account, name: "A", limitNanos: null, clientId: newId() });
  accountA = String(made["account"]);
  await makeKeys();
  const opened = await world.must(customer.root, "batch", { ...{ party: customer.id, account: customer.account, budgetNanos: "1" }, ...batchTerms() });
  batch = String(opened["batch"]);
  sealed = await world.lease(customer, server, { terms: "on-result" });
  world.now += 2_000;
  await world.must(server.key, "result", await world.resultOf(sealed.lease, server));
  world.now += 60_000;
});
afterAll(() => world.close());

const batchTerms = () => ({ expiresAt: world.now + 600_000, clientId: newId() });

// --- documents --------------------------------------------------------------------------------------------------------------------------

type Unsigned<K extends Kind> = Omit<Payload<K>, "origin" | "seen">;

/** One of each kind about the customer, its plain lease and that lease's server, in itself right; some say what is known already, so that nothing changes. */
function payloads(): { [K in Kind]: Unsigned<K> } {
  const { lease, order } = leases.plain;
  const at = world.now;
  const envelope: Envelope = world.sign(newSigner(), "party", { party: customer.id, name: "p", rootKey: DIGEST, recoveryKey: null }).envelope;
  const party = customer.id;
  const ofServer = { lease, server: server.id };
  const offer = { ...world.offerOf(server), sequence: 1 };
  const { owner, resources, price } = offer;
  const known = signers.device.publicKey;
  const money = { amountNanos: "0", clientId: newId() };
  const use = { usedMs: 0, egressBytes: 0 };
  const result = { lease, jobHash: DIGEST, engine: "", reason: "completed", exitCode: 0, lastClaim: DIGEST, fuel: "0", memoryHash: null } as const;
  const digests = { outputDigest: DIGEST, stdoutDigest: DIGEST, stderrDigest: DIGEST, stateRoot: null, nonce: DIGEST, detail: "" };
  return {
    party: { party, name: "p", rootKey: customer.root.publicKey, recoveryKey: null },
    "key-grant": world.grantOf(customer, known, "server"),
    "key-revoke": { party, key: signers.revoked.publicKey, reason: "" },
    "key-rotate": { party, newRootKey: known, newRecoveryKey: null },
    login: { party, challenge: DIGEST },
    account: { party, parent: customer.account, name: "B", limitNanos: null, clientId: newId() },
    "account-limit": { party, account: customer.account, limitNanos: null, clientId: newId() },
    payout: { party, destination: "", ...money },
    stake: { party, direction: "deposit", ...money },
    credit: { party, source: "operator", reference: "", ...money },
    suspension: { party, suspended: false, reason: "", clientId: newId() },
    fee: { basisPoints: 0, effectiveAt: at, clientId: newId() },
    ruling: { lease, ownerNanos: "0", reason: "" },
    offer,
    "offer-withdrawal": { owner, server: server.id, sequence: 1 },
    batch: { party, account: customer.account, budgetNanos: "0", ...batchTerms() },
    "batch-close": { party, batch },
    order: world.orderOf(customer),
    "purchase-order": {
      ...{ order: envelope, offer: envelope, fee: null, orderId: order, offerId: DIGEST, slot: 0, attempt: 1, customer: party, account: customer.account },
      ...{ owner, server: server.id, serverKey: server.key.publicKey, resources, price, terms: "by-interval", durationMsMax: 1, fuelMax: "1" },
      ...{ egressMibMax: 0, timeBound: "budget", fuelBound: "budget", holdNanos: "0", cancellationNanos: "0", feeBasisPoints: 0, stakeNanos: "0" },
      ...{ timings: DEFAULT_TIMINGS, issuedAt: at, acceptBy: at, startBy: at },
    },
    acceptance: ofServer,
    opening: { lease, order, slot: 0, acceptance: DIGEST, at },
    commitment: { ...ofServer, result: DIGEST },
    reveal: { lease, order, at },
    claim: { lease, incarnation: 1, sequence: 1, previous: DIGEST, ...use },
    "claim-receipt": { lease, claim: DIGEST, sequence: 1, at, ...use },
    stop: { lease, party, reason: "" },
    extension: { lease, party, durationMsMax: 1, previous: DIGEST },
    amendment: { lease, extension: envelope, durationMsMax: 1, holdNanos: "0", previous: DIGEST, at },
    closing: { lease, reason: "completed", at, lastClaim: null },
    result: { ...result, ...digests, ...use, server: server.id },
    delivery: { lease, result: DIGEST, sealed: null },
    settlement: {
      ...{ lease, result: null, closing: DIGEST, reason: "completed", blame: "nobody", billableMs: 0, billableFuel: "0", billableEgressBytes: 0 },
      ...{ dueNanos: "0", feeNanos: "0", ownerNanos: "0", refundNanos: "0", windowEndsAt: at, at },
    },
    objection: { lease, party, expectedDueNanos: "0", reason: "" },
    gap: { from: 0, to: 1 },
    referee: { server: server.id, active: false, clientId: newId() },
    witness: { name: "w", key: DIGEST, active: false, clientId: newId() },
    "trace-request": { lease, party, step: "1" },
    trace: { ...ofServer, request: DIGEST, jobHash: DIGEST, engine: "", step: "1", roots: [], detail: "" },
    dispute: { lease, party, refereeLease: lease, segment: null },
    verdict: {
      ...{ lease, server: server.id, owner, referee: server.id, result: envelope, ruling: envelope, trace: null, segment: null, why: "" },
      ...{ refundNanos: "0", slashedNanos: "0", at },
    },
    epoch: { epoch: 1, previousOrigin: null, previousSize: 0, previousRoot: null, reason: "", at },
  };
}

/** Whose it is, as far as a refusal says so; `+` for everything else. */
const verdictOf = (code: unknown): string => Object.entries(CODES).find(([, known]) => known === code)?.[0] ?? "+";

const of = <T extends { row: string }>(cells: readonly T[], row: string): T[] => cells.filter((cell) => cell.row === row);
const signWith = <K extends Kind>(kind: K, key: Key): Envelope => world.sign(signers[key], kind, payloads()[kind]).envelope;

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
  ...{ submit: { envelope: {} }, submitMany: { envelopes: [{}] }, token: { login: {} }, cosign: { note: "" } },
};

async function ask(name: RouteName, key: Key, id = sealed.lease) {
  const route: Route = API[name];
  const token = await tokenOf(key);
  const path = PATHS[name] ?? route.path.replace(":id", id);
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
    expect((await ask("sealResult", "server")).statusCode).toBe(200);
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
      const declared: readonly string[] = names.includes(row as RouteName) ? API[row as RouteName].refusals : [];
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
      for (const route of ["lease", "receipt"] as const)
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
    const accounts = async (key: Key) => (await ask("accounts", key)).json<{ balances: Record<string, string>; accounts: { id: string }[] }>();
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
  say(JSON.stringify({ t: "hello", protocol: 1, login }));
  const answer = await next(({ t }) => t === "welcome" || t === "refused");
  return { say: (message) => say(JSON.stringify(message)), next, admitted: answer.t === "welcome", code: answer.t === "refused" ? answer.error["code"] : null };
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
    const allowed = key === "spend" ? [] : key === "acct" ? ["inA", "both"] : key === "label" ? ["labelX", "both"] : [...LEASES, "of-the-party"];
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
    const [byServer, byOther, link] = [await linkOf("server"), await linkOf("other"), await linkOf(key === "server" || key === "other" ? "none" : key)];
    const target = row === "elsewhere" ? byOther : byServer;
    const session = newId();
    if (!link.admitted) return expect(cell).toBe(".");
    link.say({ t: "channel-open", lease: leases[row as LeaseName].lease, session });
    if (cell === "+") await target.next((message) => message.t === "channel-open" && message.session === session);
    else await link.next((message) => message.t === "channel-close" && message.session === session);
  });
});

// --- what was tried -----------------------------------------------------------------------------------------------------------------------

describe("a key that may spend little in a day", () => {
  const LIMIT = 100_000n;
  let key: Signer;
  const spent = async (): Promise<bigint> => -(await dayOf(key));
  async function dayOf({ publicKey }: Signer): Promise<bigint> {
    return [...(await world.store.balances([`${publicKey}/`])).values()].reduce((sum, amount) => sum + amount, 0n);
  }
  const lease = (over: Partial<Payload<"order">> = {}, signer = key) => world.act(signer, "order", world.orderOf(customer, over));
  const holdOf = async (answer: Record<string, unknown>): Promise<bigint> => BigInt((await world.row(String(answer["lease"]))).holdNanos);

  beforeEach(async () => {
    world.now += 86_400_000;
    await world.renew(server);
    key = await world.key(customer, "ci", { maxSpendPerDayNanos: LIMIT.toString() });
  });

  it("draws no more than that from a batch that another key opened", async () => {
    const terms = { party: customer.id, account: customer.account, budgetNanos: "990000000", expiresAt: world.now + 600_000 };
    const { batch: of } = await world.must(customer.root, "batch", { ...terms, clientId: newId() });
    expect(await lease({ batch: String(of), budgetNanos: "990000000", durationMsMax: 3_000_000 })).toMatchObject({ code: "limit_reached" });
    const small = await lease({ batch: String(of), budgetNanos: "60000" });
    expect(await spent()).toBe(await holdOf(small));
    expect(await lease({ batch: String(of), budgetNanos: "60000" })).toMatchObject({ code: "limit_reached" });
    expect((await lease({ batch: String(of), budgetNanos: "60000" }, customer.root))["code"]).toBeUndefined();
  });

  it("counts its own batch once, and may draw all of it", async () => {
    const terms = { party: customer.id, account: customer.account, budgetNanos: "90000", expiresAt: world.now + 600_000 };
    const { batch: of } = await world.must(key, "batch", { ...terms, clientId: newId() });
    expect(await spent()).toBe(90_000n);
    expect((await lease({ batch: String(of), budgetNanos: "60000" }))["code"]).toBeUndefined();
    expect(await spent()).toBe(90_000n);
  });

  it("extends nobody's lease by more than that, and wins nothing back by it", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "100000000", durationMsMax: 1_000_000 });
    const row = await world.row(id);
    const extension = (durationMsMax: number, signer = key) =>
      world.act(signer, "extension", { ...{ lease: id, party: customer.id, durationMsMax }, previous: row.lastAmendment ?? id });
    expect(await extension(3_000_000)).toMatchObject({ code: "limit_reached" });
    expect((await extension(1_050_000))["code"]).toBeUndefined();
    expect(await spent()).toBe(50_000n);
    await world.must(customer.root, "stop", { lease: id, party: customer.id, reason: "" });
    await world.pass(60_000);
    expect((await world.row(id)).state).toBe("settled");
    expect(await spent()).toBe(50_000n);
  });

  it("gets its day back where its own lease costs less than it held", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "60000" }, key);
    const held = await spent();
    expect(held).toBeGreaterThan(0n);
    await world.must(customer.root, "stop", { lease: id, party: customer.id, reason: "" });
    await world.pass(60_000);
    expect(await spent()).toBe(BigInt((await world.row(id)).end?.dueNanos ?? -1));
  });

  it("is not extended from its own day by another key", async () => {
    const { lease: id } = await world.lease(customer, server, { budgetNanos: "60000" }, key);
    const before = await spent();
    const extension = { lease: id, party: customer.id, durationMsMax: 3_000_000, previous: id };
    await world.must(customer.root, "extension", extension);
    expect(await spent()).toBe(before);
  });
});

describe("a grant", () => {
  const refused: readonly [what: string, role: "ci" | "server" | "enrol", over: () => Given, code: string][] = [
    ["scopes beyond its role", "ci", () => ({ scopes: ["read", "manage"] }), "bad_payload"],
    ["a scope twice", "ci", () => ({ scopes: ["read", "read"] }), "bad_payload"],
    ["a server that spends", "server", () => ({ scopes: ["serve", "spend"] }), "bad_payload"],
    ["a server of one account", "server", () => ({ account: customer.account }), "bad_payload"],
    ["a server of one label", "server", () => ({ leaseLabel: "x" }), "bad_payload"],
    ["a token with an amount per day", "enrol", () => ({ maxSpendPerDayNanos: "1" }), "bad_payload"],
    ["another party's account", "ci", () => ({ account: stranger.account }), "not_found"],
    ["what is over", "ci", () => ({ expiresAt: 1 }), "expired"],
  ];
  it.each(refused)("never gives %s", async (_what, role, over, code) => {
    const grant = world.grantOf(customer, newSigner().publicKey, role, over());
    expect(await world.act(customer.root, "key-grant", grant)).toMatchObject({ code });
  });

  it("by a token enrols one server, and nothing else", async () => {
    const token = await world.key(customer, "enrol");
    expect(await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "device"))).toMatchObject({ code: "key_not_allowed" });
    expect((await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "server")))["code"]).toBeUndefined();
    expect(await world.act(token, "key-grant", world.grantOf(customer, newSigner().publicKey, "server"))).toMatchObject({ code: "key_revoked" });
  });

  it("of a key that somebody else has already is refused, and a rotation's key is nobody else's meanwhile", async () => {
    const recovery = newSigner();
    const root = newSigner();
    const { id, root: old } = await world.party();
    const next = newSigner();
    await world.must(old, "key-rotate", { party: id, newRootKey: root.publicKey, newRecoveryKey: recovery.publicKey });
    // somebody has the recovery key, which everyone can read, granted to a party of his own
    await world.must(stranger.root, "key-grant", world.grantOf(stranger, recovery.publicKey, "device"));
    const rotation = { party: id, newRootKey: next.publicKey, newRecoveryKey: null };
    await world.must(recovery, "key-rotate", rotation);
    expect(await world.act(stranger.root, "key-grant", world.grantOf(stranger, next.publicKey, "device"))).toMatchObject({ code: "id_reused" });
    world.now += world.services.config.recoveryDelayMs;
    const again = world.sign(recovery, "key-rotate", rotation);
    expect((await world.desk.submit(again.envelope)).ok).toBe(true);
    const later = signDocument(nodeCrypto, recovery, "key-rotate", { ...again.payload, seen: { size: 1, root: DIGEST } });
    expect((await world.desk.submit(later.envelope)).ok).toBe(true);
    expect(
      (await world.act(next, "account", { party: id, parent: `a_${id.slice(2)}`, name: "n", limitNanos: null, clientId: newId() }))["code"],
    ).toBeUndefined();
    // whoever learns the new root's documents in order arrives at the same key
    const { envelope } = world.sign(next, "key-revoke", { party: id, key: recovery.publicKey, reason: "" });
    const book = new KeyBook(nodeCrypto, world.services.market.origin);
    for (const document of await new Credentials(world.services).of([envelope])) expect(book.learn(document.envelope, document.at)).toBe(true);
    expect(book.keyOf(next.publicKey)).toMatchObject({ party: id, role: "root", revokedAt: null });
    expect(book.keyOf(root.publicKey)?.revokedAt).not.toBeNull();
  });
});

it("answers a repetition to whoever signed it, not to who signs the same words", async () => {
  await world.renew(server);
  const order = world.orderOf(customer);
  const first = await world.must(customer.root, "order", order);
  expect(await world.act(customer.root, "order", order)).toEqual(first);
  for (const key of ["stranger", "server", "read", "none"] as const) expect((await world.act(signers[key], "order", order))["salt"]).toBeUndefined();
});
