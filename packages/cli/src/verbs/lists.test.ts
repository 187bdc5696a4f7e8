/** Lists as they are asked for on the command line, against a broker on paper that gives them in pages. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import type { LeaseView } from "@xenoservers/protocol";
import { PaperMarket, Random, type PaperParty } from "@xenoservers/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { saveContext } from "@xenoservers/sdk";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { Typed } from "../typed.fixture.ts";

const LEASES = 1_203;
const ENTRIES = 25;

let folder: string;
let broker: PaperBroker;
let carl: PaperParty;
const typed = new Typed();
let asked: string[];

/** `rows` from the place that is asked for, as many as that. */
function pageOf(rows: readonly unknown[], name: string) {
  return (query: URLSearchParams) => {
    asked.push(query.toString());
    const from = Number(query.get("after") ?? 0);
    const end = from + Number(query.get("limit"));
    return { [name]: rows.slice(from, end), next: end < rows.length ? String(end) : null };
  };
}

function xeno(...argv: string[]): Promise<number> {
  asked = [];
  return typed.xeno(...argv);
}

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "xeno-lists-"));
  vi.stubEnv("XENO_HOME", folder);
  const market = new PaperMarket(new Random(5), Date.now());
  const seed = new Uint8Array(32).fill(3);
  broker = await PaperBroker.start(market);
  carl = market.party("carl", seed);
  const server = market.server(market.party("olga"));
  const view = market.view(market.purchaseOrder(market.order(carl), server, market.offer(server)));
  const leases = Array.from({ length: LEASES }, (_, i): LeaseView => ({ ...view, id: String(i).padStart(64, "0") }));
  const amounts = Array.from({ length: ENTRIES }, (_, i) => String(ENTRIES - i));
  const entries = amounts.map((amountNanos) => ({ id: `t${amountNanos}`, debit: "source/x", credit: "a/available", amountNanos, at: 5 }));
  const balances = { available: "5", held: "0", pending: "0", staked: "0", locked: "0" };
  broker.reads = {
    "/api/v1/leases": pageOf(leases, "leases"),
    "/api/v1/statement": pageOf(entries, "entries"),
    "/api/v1/accounts": () => ({ balances, accounts: [] }),
    "/api/v1/whoami": () => ({ party: carl.party, name: "carl", account: carl.account, role: "root", suspended: false, keys: [] }),
  };
  await saveContext("m", {
    ...{ url: broker.url, pins: market.pins, currency: "credits", party: carl.party, account: carl.account, role: "root" },
    ...{ scopes: [...ROLE_SCOPES.root], label: "carl", leaseLabel: null, seed: Buffer.from(seed).toString("hex") },
  });
  typed.listen();
});
afterEach(async () => {
  typed.leave();
  vi.unstubAllEnvs();
  broker.close();
  await rm(folder, { recursive: true, force: true });
});

const rowsShown = (): number => typed.said.stdout.trim().split("\n").length - 1;

describe("ps", () => {
  it("shows so many, and how to read on", async () => {
    expect(await xeno("ps", "--all", "--limit", "3")).toBe(0);
    expect(rowsShown()).toBe(3);
    expect(typed.said.stderr).toMatch(/per hour as far as shown here\nmore: xeno ps --all --after 3\n/);
    expect(await xeno("ps", "--after", "1201")).toBe(0);
    expect(rowsShown()).toBe(2);
    expect(typed.said.stderr).not.toContain("more:");
  });

  it("shows all of them where that is asked", async () => {
    expect(await xeno("ps", "--limit", "all")).toBe(0);
    expect(rowsShown()).toBe(LEASES);
    expect(typed.said.stderr).toMatch(/per hour in all\n$/);
    expect(await xeno("ps", "--limit", "0")).toBe(125);
    expect(typed.said.stderr).toContain("--limit '0' must be a number");
  });

  it("is one JSON object, however many pages it takes", async () => {
    expect(await xeno("ps", "--all", "--json", "--limit", "all")).toBe(0);
    expect(asked).toEqual(["live=false&limit=1000", "live=false&after=1000&limit=1000"]);
    const { leases, next } = JSON.parse(typed.said.stdout) as { leases: { id: string }[]; next: unknown };
    expect([leases.length, new Set(leases.map(({ id }) => id)).size, next]).toEqual([LEASES, LEASES, null]);
    expect(await xeno("ps", "--json", "--limit", "2")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toMatchObject({ leases: [{}, {}], next: "2" });
    broker.reads["/api/v1/leases"] = pageOf([], "leases");
    expect(await xeno("ps", "--json")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toEqual({ leases: [], away: [], next: null });
  });

  it("names leases that their broker cannot read now, and an export does not go without them", async () => {
    const away = Array.from({ length: 12 }, (_, i) => ({ id: String(i).padStart(64, "a"), state: "final", issuedAt: 5 }));
    broker.reads["/api/v1/leases"] = () => ({ leases: [], away, next: null });
    expect(await xeno("ps", "--all")).toBe(0);
    expect(typed.said.stderr).toMatch(
      /^12 leases that are over lie in the market's archive, which its broker cannot read now: a+\S* \(final\), .* and 2 more$/m,
    );
    expect(await xeno("ps", "--all", "--json")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toEqual({ leases: [], away, next: null });
    expect(await xeno("export", path.join(folder, "export"))).not.toBe(0);
    expect(typed.said.stderr).toContain("12 of these leases lie in the market's archive");
  });
});

describe("labels", () => {
  const end = (reason: string, exitCode: number | null, dueNanos: string) => ({
    ...{ reason, exitCode, dueNanos, blame: "nobody", at: 5, billableMs: 1_000, billableFuel: "2000000000", billableEgressBytes: 0 },
    ...{ feeNanos: "0", ownerNanos: dueNanos, refundNanos: "0", result: null, windowEndsAt: 5, audited: null, auditRound: null },
  });
  const all = (view: LeaseView): LeaseView[] =>
    [
      { label: "nightly=1", end: end("completed", 0, "5000000000") },
      { label: "nightly=1", end: end("completed", 2, "1000000000") },
      { label: "nightly=1", end: end("customer-stop", 130, "0") },
      { label: "", end: end("server-failed", null, "0") },
      { label: "other", end: null, state: "open" },
      { label: "other", end: null, state: "lapsed" },
      { label: "theirs", end: end("completed", 0, "7"), customer: `p_${"0".repeat(40)}` },
    ].map((over, i) => ({ ...view, ...over, id: String(i).padStart(64, "0") }) as LeaseView);
  beforeEach(async () => {
    const [view] = ((await (await fetch(`${broker.url}/api/v1/leases?limit=1`)).json()) as { leases: LeaseView[] }).leases;
    broker.reads["/api/v1/leases"] = pageOf(all(view!), "leases");
  });

  it("have totals: how many, how many failed, what they used and cost", async () => {
    expect(await xeno("wallet", "--by-label", "--json")).toBe(0);
    const { labels } = JSON.parse(typed.said.stdout) as { labels: unknown[] };
    expect(labels).toEqual([
      { label: "nightly=1", leases: 3, running: 0, failed: 1, billableMs: 3_000, billableFuel: "6000000000", dueNanos: "6000000000" },
      { label: "", leases: 1, running: 0, failed: 1, billableMs: 1_000, billableFuel: "2000000000", dueNanos: "0" },
      { label: "other", leases: 1, running: 1, failed: 0, billableMs: 0, billableFuel: "0", dueNanos: "0" },
    ]);
    expect(await xeno("wallet", "--by-label")).toBe(0);
    expect(typed.said.stdout).toMatch(/nightly=1 +3 +0 +1 +6\.00 Gfuel +3\.0 s +6\.0000 credits/);
    expect(await xeno("wallet", "--by-label", "--csv")).toBe(125);
  });

  it("choose among leases", async () => {
    expect(await xeno("ps", "--all", "--label", "nightly=1", "--json")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toMatchObject({ leases: { length: 3 } });
    expect(await xeno("ps", "--all", "--label", "a b", "--limit", "2")).toBe(0);
    expect(typed.said.stderr).toContain("more: xeno ps --all --label 'a b' --after 2");
  });
});

describe("wallet", () => {
  it("has its statement in parts, as a table, CSV or JSON", async () => {
    expect(await xeno("wallet")).toBe(0);
    expect(typed.said.stdout).toContain("t6");
    expect(typed.said.stdout).not.toMatch(/t5\b/);
    expect(typed.said.stderr).toContain("more: xeno wallet --after 20\n");
    expect(await xeno("wallet", "--csv", "--after", "20")).toBe(0);
    expect(
      typed.said.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(",")[1]),
    ).toEqual(["id", "t5", "t4", "t3", "t2", "t1"]);
    expect(typed.said.stderr).toBe("");
    expect(await xeno("wallet", "--json", "--limit", "all")).toBe(0);
    expect(JSON.parse(typed.said.stdout)).toMatchObject({
      balances: { available: "5" },
      accounts: [],
      entries: { length: ENTRIES },
      next: null,
    });
  });
});

it("export has all of every list", async () => {
  const out = path.join(folder, "out");
  broker.reads["/api/v1/leases"] = pageOf([], "leases");
  broker.reads["/log/checkpoint"] = () => "c";
  expect(await xeno("export", out)).toBe(0);
  const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(path.join(out, name), "utf8"));
  expect(await read("statement.json")).toMatchObject({ entries: { length: ENTRIES } });
  expect(await read("leases.json")).toEqual({ leases: [] });
});
