/** A customer's verbs against a broker on paper, from the words that were typed to what is said and signed. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { FETCH_CONDITION, ROLE_SCOPES } from "@xenoservers/market";
import { refuse, toHex, type OfferView, type SignedDocument } from "@xenoservers/protocol";
import { type Context, MarketClient, channelKeyFor, currentContext, parseCiToken, readContexts, saveContext } from "@xenoservers/sdk";
import { PaperMarket, Random, type Own, type PaperParty, type PaperServer } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { clientOf } from "../input/client.ts";
import { SMALLEST_MODULE } from "../../../../test/support/smallest-module.ts";
import { Typed } from "../typed.fixture.ts";

const SEED = new Uint8Array(32).fill(3);
const ACCOUNT = `a_${"9".repeat(40)}`;

let folder: string;
let market: PaperMarket;
let broker: PaperBroker;
let carl: PaperParty;
let server: PaperServer;
const typed = new Typed();

const context = (over: Partial<Context> = {}): Context => ({
  ...{ url: broker.url, pins: market.pins, currency: "credits", party: carl.party, account: carl.account, role: "root" },
  ...{ scopes: [...ROLE_SCOPES.root], label: "carl", leaseLabel: null, seed: Buffer.from(SEED).toString("hex") },
  ...over,
});

function offerView(of: Partial<Own<"offer">> = {}): OfferView {
  const { payload, id } = market.offer(server, of);
  const { resources, price, drivers, assurances, sandbox, engine, labels, validUntil, maxLeaseMs } = payload;
  return {
    ...{
      server: server.id,
      owner: server.owner.party,
      offerId: id,
      resources,
      free: resources,
      price,
      priceNanosPerHour: "21600",
      drivers,
      assurances,
    },
    ...{
      sandbox,
      engine,
      labels,
      validUntil,
      maxLeaseMs,
      accel: "none",
      vmScore: 0,
      limits: "cgroup2",
      holds: {},
      egress: "none",
      fetches: false,
      vmEngine: "",
    },
    ...{ cpuScore: 100, record: { leases: 0, completed: 0, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 } },
  };
}

const xeno = (...argv: string[]): Promise<number> => typed.xeno(...argv);

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-customer-"));
  vi.stubEnv("XENO_HOME", folder);
  market = new PaperMarket(new Random(4), Date.now());
  broker = await PaperBroker.start(market);
  carl = market.party("carl", SEED);
  server = market.server(market.party("olga"));
  broker.offers = () => [offerView()];
  broker.reads["/api/v1/accounts"] = () => ({
    balances: { available: "5000000000", held: "0", pending: "0", staked: "0", locked: "0" },
    accounts: [{ id: ACCOUNT, parent: carl.account, name: "ci", limitNanos: "2000000000", spentNanos: "500000000" }],
  });
  await writeFile(path.join(folder, "job.wasm"), SMALLEST_MODULE);
  await saveContext("m", context());
  typed.listen();
});
afterEach(async () => {
  typed.leave();
  vi.unstubAllEnvs();
  broker.close();
  await rm(folder, { recursive: true, force: true });
});

const job = (): string => path.join(folder, "job.wasm");
const kinds = (): string[] => broker.filed.map(({ kind }) => kind);
const payloadOf = (kind: string): Record<string, unknown> => ({ ...broker.filed.find((each) => each.kind === kind)?.payload });

describe("search", () => {
  it("finds what serves only who asks: the broker is told who that is", async () => {
    broker.offers = (caller) => (caller === carl.signer.publicKey ? [offerView({ allowedParties: [carl.party] })] : []);
    expect(await xeno("search", "--on", "mine", "--account", "ci")).toBe(0);
    expect(typed.said.stdout).toContain(server.id.slice(0, 12));
    expect(typed.said.stderr).toContain("the account ci may still spend 1.5000 credits");
  });

  it("says why nothing fits where it is asked", async () => {
    broker.offers = () => [];
    expect(await xeno("search", "--explain")).toBe(1);
    expect(typed.said.stderr).toContain("no server fits: not-allowed excluded 1");
  });
});

describe("run", () => {
  it("shows what it costs at worst, by the market's terms, before anything is ordered", async () => {
    expect(await xeno("quote", job(), "--account", "ci")).toBe(0);
    expect(typed.said.stderr).toMatch(/hold .*\nworst .*wallet after that .*\nfee {6}0 % of what you pay/);
    expect(typed.said.stderr).toMatch(
      /you pay {2}what was used, at most .*\nyou pay {2}nothing, when .*\ndoubts {3}an objection puts down/,
    );
    expect(kinds()).toEqual([]);
  });

  it("is none of a run on this machine, which would begin", async () => {
    expect(await xeno("run", "--local", "--dry-run", job())).toBe(125);
    expect(typed.said.stderr).toMatch(/--dry-run shows a quote, and what runs on this machine has none/);
  });

  it("says in one line what it costs on terms that were shown before, and all of it where that is asked for", async () => {
    expect(await xeno("quote", job(), "--max-fuel", "7")).toBe(0);
    expect(await xeno("quote", job(), "--max-fuel", "7")).toBe(0);
    expect(typed.said.stderr).toMatch(/hold .*\nworst .*\nfee /);
    // what this broker answers to an order ends the run
    await xeno("run", job(), "--max-fuel", "7");
    expect(typed.said.stderr).toMatch(/^quote {4}on terms that you know \(-v shows them\): s_\w+ at .*\/h, at worst .*wallet after that/m);
    expect(typed.said.stderr).not.toMatch(/^(?:hold|terms|fee) /m);
    const others = [
      ["-v", job(), "--max-fuel", "7"],
      ["--dry-run", job(), "--max-fuel", "7"],
      [job(), "--max-fuel", "8"],
    ];
    for (const words of others) {
      await xeno("run", ...words);
      expect(typed.said.stderr, words.join(" ")).toMatch(/^hold .*\nworst .*\nfee /m);
    }
  });

  it("is quoted for who may only look, and says for how many the money of that account is enough", async () => {
    await saveContext("reader", context({ role: "ci", scopes: ["read"] }));
    expect(await xeno("quote", job(), "--account", "ci", "--json")).toBe(0);
    const { quote } = JSON.parse(typed.said.stdout) as { quote: { holdNanos: string; walletAfterNanos: string; atOnce: number } };
    expect(BigInt(quote.walletAfterNanos) + BigInt(quote.holdNanos)).toBe(1_500_000_000n);
    expect(quote.atOnce).toBe(Number(1_500_000_000n / BigInt(quote.holdNanos)));
    expect(await xeno("quote", job(), "--account", "ci", "--max-fuel", "1")).toBe(0);
    expect(typed.said.stderr).toMatch(/worst .*; (?:enough for \d+ of these at once|there is not enough for one)/);
    expect(await xeno("run", job())).toBe(125);
  });

  it("of an image at an address asks for a server that fetches, and says what helps where none does", async () => {
    const image = createServer((_, response) => void response.writeHead(206, { "content-range": "bytes 0-0/1000" }).end("x"));
    await new Promise<void>((resolve) => image.listen(0, "127.0.0.1", resolve));
    const address = `http://127.0.0.1:${(image.address() as AddressInfo).port}/disk.qcow2`;
    broker.offers = () => [{ ...offerView(), drivers: ["qemu"], assurances: ["isolated"], accel: "emulated", fetches: true }];
    broker.answer = () => refuse("no_match", { excluded: { "fetches=yes": 1 } });
    try {
      expect(await xeno("run", "--vm", address, "--digest", "ab".repeat(32), "--disk", "1M", "--accel", "any")).toBe(125);
      expect(payloadOf("order")["conditions"]).toEqual([FETCH_CONDITION]);
      expect(typed.said.stderr).toContain("fetches=yes: fetches no images: bring the image here and name its file (--vm FILE)");
    } finally {
      image.close();
    }
  });

  it("ends a lease that the broker bound under what was not ordered: its own code, in words, with the proof kept", async () => {
    broker.answer = (document) => {
      if (document.kind !== "order") return { ok: true, answer: {} };
      const po = market.purchaseOrder(document as SignedDocument<"order">, server, market.offer(server, { labels: { region: "us" } }));
      return { ok: true, answer: { lease: po.id, purchaseOrder: po.envelope, grants: [...carl.grants, ...server.grants] } };
    };
    expect(await xeno("run", job(), "--where", "region=eu", "--account", "ci")).toBe(123);
    expect(typed.said.stderr).toMatch(
      /is not what was ordered: the offer does not meet the order \(region=eu\); nothing of the job was sent/,
    );
    expect(kinds()).toEqual(["order", "stop"]);
    expect(payloadOf("order")).toMatchObject({ account: ACCOUNT, feeBasisPointsMax: 0 });
    const [, file = ""] = /xeno verify (\S+\.json)/.exec(typed.said.stderr) ?? [];
    expect(await xeno("verify", file)).toBe(1);
    expect(typed.said.stdout).toMatch(/FAILED .*purchase order .*does not hold/);
  });

  it("orders nothing where the broker keeps more than its customer allows", async () => {
    market.announceFee(300);
    expect(await xeno("run", job(), "--max-fee", "2.5%")).toBe(125);
    expect(typed.said.stderr).toContain("the broker keeps 3 % of what is paid, more than --max-fee 2.5 %: nothing was ordered");
    expect(kinds()).toEqual([]);
  });

  it("says what a key lacks before anything is sent", async () => {
    await saveContext("reader", context({ role: "ci", scopes: ["read"] }));
    expect(await xeno("run", job())).toBe(125);
    expect(typed.said.stderr).toContain("takes a key that may spend; the ci key of the context reader may only read");
    expect(await xeno("map", job(), "--array", "1-2")).toBe(125);
    expect(typed.said.stderr).toContain("takes a key that may spend; the ci key of the context reader may only read");
    expect(typed.said.stderr).not.toMatch(/^map /m);
    await saveContext("spender", context({ role: "ci", scopes: ["spend"] }));
    expect(await xeno("run", job())).toBe(125);
    expect(typed.said.stderr).toMatch(/this key may order and not look: add --detach/);
    expect(typed.said.stderr).not.toContain("wallet after that");
    expect(kinds()).toEqual([]);
  });

  it("orders under a key's own label and no other", async () => {
    await saveContext("bound", context({ role: "ci", leaseLabel: "nightly" }));
    broker.answer = () => ({ ok: false, code: "no_match", facts: {} });
    expect(await xeno("run", job(), "--label", "other")).toBe(125);
    expect(typed.said.stderr).toContain("acts on leases labelled 'nightly' alone");
    await xeno("run", job());
    expect(payloadOf("order")).toMatchObject({ label: "nightly" });
  });

  it("passes on the broker's refusal in words", async () => {
    broker.answer = () => ({ ok: false, code: "key_not_allowed", facts: { kind: "order", role: "ci", scopes: "read" } });
    expect(await xeno("run", job())).toBe(125);
    expect(typed.said.stderr).toMatch(/a document of kind order takes another key: the ci key of this context may only read/);
  });
});

describe("tokens", () => {
  it("carry their bounds to whoever logs in with them", async () => {
    expect(
      await xeno(
        "token",
        "create",
        "--label",
        "nightly",
        "--account",
        "ci",
        "--lease-label",
        "n",
        "--max-per-day",
        "2.5",
        "--expires",
        "30d",
      ),
    ).toBe(0);
    expect(typed.said.stderr).toMatch(
      /it may spend, control, read: at most 2\.5000 credits a day, in the account a_9+ alone, on leases labelled 'n' alone, until /,
    );
    expect(payloadOf("key-grant")).toMatchObject({
      ...{
        role: "ci",
        label: "nightly",
        scopes: ["spend", "control", "read"],
        account: ACCOUNT,
        leaseLabel: "n",
        maxSpendPerDayNanos: "2500000000",
      },
    });
    const token = typed.said.stdout.trim();
    expect(parseCiToken(token).pins).toEqual(market.pins);
    vi.stubEnv("XENO_HOME", "/proc/xeno");
    expect(await xeno("login", "--token", token, "--context", "ci")).toBe(125);
    expect(typed.said.stderr).toMatch(/nothing can be kept in \/proc\/xeno\/config \(\/proc: nothing can be made there\).*XENO_HOME/);
    vi.stubEnv("XENO_HOME", folder);
    expect(await xeno("login", "--token", token, "--context", "ci")).toBe(0);
    expect(typed.said.stdout).toMatch(/with a ci key that may spend, control, read/);
    expect((await currentContext()).context).toMatchObject({
      role: "ci",
      account: ACCOUNT,
      leaseLabel: "n",
      label: "nightly",
      party: carl.party,
    });
    // and it makes no other keys
    expect(await xeno("token", "create", "--read-only")).toBe(125);
    expect(typed.said.stderr).toContain("takes a key that may manage");
  });

  it("replace nobody's own key", async () => {
    const { name } = await currentContext();
    await xeno("token", "create", "--read-only", "--label", "r");
    const token = typed.said.stdout.trim();
    expect(await xeno("login", "--token", token, "--context", name)).toBe(125);
    expect(typed.said.stderr).toContain("holds your own key");
    const own = market.pins.origin.split("/")[0]!;
    const contexts = (await readContexts()).contexts;
    await saveContext(own, contexts[name]!);
    expect(await xeno("login", "--token", token)).toBe(0);
    expect((await currentContext()).name).toBe(`${own}-ci`);
    expect((await readContexts()).contexts[own]).toEqual(contexts[name]);
  });

  it("of a market that calls itself as one's own does, with other keys, are not used", async () => {
    const { name, context } = await currentContext();
    const own = market.pins.origin.split("/")[0]!;
    await xeno("token", "create", "--read-only", "--label", "r");
    const token = typed.said.stdout.trim();
    await saveContext(own, { ...context, pins: new PaperMarket(new Random(5)).pins }, { current: name });
    expect(await xeno("login", "--token", token)).toBe(125);
    expect(typed.said.stderr).toContain(`the context ${own} pins other keys`);
    expect((await currentContext()).name).toBe(name);
  });

  it("of a market with other keys are not used", async () => {
    await xeno("token", "create", "--read-only", "--label", "r");
    const token = typed.said.stdout.trim();
    const other = await PaperBroker.start(new PaperMarket(new Random(5)));
    expect(await xeno("login", other.url, "--token", token)).toBe(125);
    expect(typed.said.stderr).toContain("shows other keys than the token pins");
    other.close();
  });

  it("are listed with what they may do, and revoked by their label", async () => {
    const key = (label: string, over: object = {}) => ({
      ...{ key: label.charCodeAt(0).toString(16).repeat(32), role: "ci", label, scopes: ["read"], account: ACCOUNT, leaseLabel: "n" },
      ...{ maxSpendPerDayNanos: "1000000000", expiresAt: null, revokedAt: null, ...over },
    });
    broker.reads["/api/v1/whoami"] = () => ({
      ...{ party: carl.party, name: "carl", account: carl.account, role: "root", suspended: false },
      keys: [key("root", { role: "root" }), key("nightly"), key("old", { revokedAt: 1 })],
    });
    expect(await xeno("token", "list")).toBe(0);
    expect(typed.said.stdout).toMatch(/nightly +read +account a_9+, label n +1\.0000 credits/);
    expect(typed.said.stdout).not.toContain("old");
    expect(await xeno("key", "ls")).toBe(0);
    expect(typed.said.stdout).toMatch(/ root +root [^]* ci +nightly /);
    expect(typed.said.stdout).not.toContain("old");
    expect(await xeno("key", "list", "--all", "--json")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toEqual({ keys: [key("root", { role: "root" }), key("nightly"), key("old", { revokedAt: 1 })] });
    expect(await xeno("token", "revoke", "nightly", "--reason", "lost")).toBe(0);
    expect(payloadOf("key-revoke")).toMatchObject({ key: key("nightly").key, reason: "lost" });
    expect(typed.said.stdout).toContain("(nightly) is revoked; what it had open is cut");
  });
});

describe("accounts", () => {
  it("are named by name wherever one is asked for", async () => {
    broker.reads["/api/v1/statement"] = () => ({
      entries: [
        { id: "x", debit: `${ACCOUNT}/available`, credit: `${ACCOUNT}/held`, amountNanos: "7", at: 1 },
        { id: "y", debit: `${carl.account}/available`, credit: `${carl.account}/held`, amountNanos: "8", at: 1 },
      ],
    });
    expect(await xeno("wallet", "--account", "ci", "--csv")).toBe(0);
    expect(typed.said.stdout.trim().split("\n")).toHaveLength(2);
    broker.answer = () => ({ ok: true, answer: { batch: "b1".repeat(32) } });
    expect(await xeno("batch", "open", "1.00", "--account", "ci")).toBe(0);
    expect(payloadOf("batch")).toMatchObject({ account: ACCOUNT, budgetNanos: "1000000000" });
    expect(await xeno("wallet", "--account", "qa")).toBe(125);
    expect(typed.said.stderr).toContain("no account is called 'qa'; there are: ci");
  });
});

it("what is to hold for an hour holds for one by the broker's clock, however wrong this machine's is", async () => {
  const [hour, right] = [3_600_000, Date.now.bind(Date)];
  broker.answer = ({ kind }) => ({ ok: true, answer: kind === "batch" ? { batch: "b1".repeat(32) } : {} });
  for (const wrongMs of [-2 * hour, 2 * hour]) {
    vi.spyOn(Date, "now").mockImplementation(() => right() + wrongMs);
    broker.filed.length = 0;
    expect(await xeno("token", "create", "--label", "t", "--read-only", "--expires", "1h")).toBe(0);
    expect(await xeno("token", "create", "--server", "--expires", "1h")).toBe(0);
    expect(await xeno("batch", "open", "1.00", "--expires", "1h")).toBe(0);
    expect(kinds()).toEqual(["key-grant", "key-grant", "batch"]);
    for (const { payload } of broker.filed) {
      const { expiresAt } = payload as { expiresAt: number };
      expect(Math.abs(expiresAt - market.info.now - hour)).toBeLessThan(hour);
    }
  }
});

describe("key restore", () => {
  const file = (): string => path.join(folder, "keys.json");
  const elsewhere = (): string => path.join(folder, "elsewhere");

  it("brings a backup's keys back, and says which are not", async () => {
    expect(await xeno("key", "backup", file())).toBe(0);
    vi.stubEnv("XENO_HOME", elsewhere());
    expect(await xeno("key", "backup", file())).toBe(125);
    expect(typed.said.stderr).toContain("there are no keys here yet");
    expect(await xeno("key", "restore", file())).toBe(0);
    expect([typed.said.stdout, await readContexts()]).toEqual(["m is restored\n", { current: "m", contexts: { m: context() } }]);
    expect(await xeno("key", "restore", file())).toBe(0);
    expect(typed.said.stdout).toBe("m is here already\n");
    await saveContext("m", context({ seed: "7".repeat(64) }));
    expect(await xeno("key", "restore", file(), "--json")).toBe(125);
    expect(JSON.parse(typed.said.stdout.split("\n")[0]!)).toEqual({ restored: [], there: [], differs: ["m"] });
    expect((await currentContext()).context.seed).toBe("7".repeat(64));
    expect(await xeno("key", "restore", path.join(folder, "job.wasm"))).toBe(125);
    expect(typed.said.stderr).toContain("is no backup of keys");
  });
});

describe("key rotate", () => {
  const channelKeyOf = (client: ReturnType<typeof clientOf>): string => toHex(client.identity.channelKey.publicKey);
  const keyNow = async () => (await currentContext()).context;

  it("keeps what opens the leases that the old keys ordered, however often it is done", async () => {
    const ordered = [];
    for (let times = 0; times < 3; times++) {
      ordered.push(channelKeyOf(clientOf(await keyNow())));
      expect(await xeno("key", "rotate")).toBe(0);
    }
    const { identity } = clientOf(await keyNow());
    expect(new Set([...ordered, channelKeyOf(clientOf(await keyNow()))]).size).toBe(4);
    for (const key of ordered) expect(channelKeyFor(identity, key)).not.toBe(null);
    expect(payloadOf("key-rotate")).toMatchObject({ party: carl.party, newRootKey: expect.any(String) });
    expect(Object.keys((await readContexts()).contexts)).toEqual(["m"]);
  });

  it("of a context that is not the one in use leaves the other in use", async () => {
    await saveContext("other", { ...context(), label: "other" });
    vi.stubEnv("XENO_CONTEXT", "m");
    expect(await xeno("key", "rotate")).toBe(0);
    const { current, contexts } = await readContexts();
    expect([current, Object.keys(contexts).toSorted(), contexts["other"]?.seed]).toEqual(["other", ["m", "other"], context().seed]);
    expect(contexts["m"]?.seed).not.toBe(context().seed);
  });

  it("that is refused changes nothing here", async () => {
    broker.answer = () => refuse("suspended", { reason: "x" });
    expect(await xeno("key", "rotate")).toBe(125);
    expect(await readContexts()).toEqual({ current: "m", contexts: { m: context() } });
  });

  it("that broke off goes on from there: the old key stays in use until it is known that the market has the next", async () => {
    broker.answer = () => refuse("unavailable");
    vi.spyOn(MarketClient.prototype, "sleep").mockResolvedValue();
    expect(await xeno("key", "rotate")).toBe(125);
    expect(typed.said.stderr).toContain("run `xeno key rotate` again");
    expect(await keyNow()).toEqual(context());
    const { seed } = (await readContexts()).contexts["m.next"] ?? {};
    broker.answer = () => refuse("key_revoked");
    broker.reads["/api/v1/whoami"] = () => ({
      party: carl.party,
      name: "c",
      account: carl.account,
      role: "root",
      suspended: false,
      keys: [],
    });
    expect(await xeno("key", "rotate")).toBe(0);
    expect(await keyNow()).toMatchObject({ seed });
    expect(Object.keys((await readContexts()).contexts)).toEqual(["m"]);
  });
});

describe("what comes back", () => {
  it("has its place looked at before anything is asked for", async () => {
    await writeFile(path.join(folder, "in-the-way"), "");
    const [out, lease] = [path.join(folder, "in-the-way"), "b".repeat(64)];
    const asked = vi.spyOn(broker, "offers");
    for (const words of [
      ["run", job(), "--out", out],
      ["run", "--local", job(), "--out", out],
      ["run", "--replicas", "3", job(), "--out", `${out}/below`],
      ["lease", "result", lease, "--out", out],
      ["fetch", lease, "--out", out],
      ["attach", lease, "--out", out],
      ["cp", `${lease}:/x`, `${out}/x`],
    ]) {
      expect([words, await xeno(...words)]).toEqual([words, 125]);
      expect(typed.said.stderr).toMatch(/cannot be written to .*in-the-way: it is no folder\): nothing was asked for; take another folder/);
    }
    expect([broker.filed, asked.mock.calls]).toEqual([[], []]);
  });

  it("of a folder that is shared is only told, because it may be nothing", async () => {
    // an empty folder in which nobody can make anything
    expect(await xeno("run", job(), "--dir", "/proc/tty/ldisc::/data")).toBe(125);
    expect(typed.said.stderr).toMatch(/what it changes in \/proc\/tty\/ldisc cannot come back \(.*nothing can be made there\)/);
    expect(typed.said.stderr).not.toContain("nothing was asked for");
  });
});
