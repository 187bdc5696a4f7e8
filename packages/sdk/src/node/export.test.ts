/** What a market knows of its party, as files: from a broker on paper that gives lists in pages, and receipts in one part or several. */
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { LeaseView } from "@xenoservers/protocol";
import { PaperMarket, Random } from "@xenoservers/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PaperBroker } from "../../../../test/support/paper-broker.ts";
import { MarketClient } from "../client.ts";
import { identityOf } from "../identity.ts";
import { Market } from "./market.ts";

const SEED = new Uint8Array(32).fill(3);
const LEASES = 1_003;

let out: string;
let broker: PaperBroker;
let market: Market;
const id = (i: number): string => String(i).padStart(64, "0");

beforeEach(async () => {
  out = await mkdtemp(path.join(tmpdir(), "xeno-export-"));
  const paper = new PaperMarket(new Random(5), Date.now());
  broker = await PaperBroker.start(paper);
  const carl = paper.party("carl", SEED);
  const server = paper.server(paper.party("olga"));
  const view = paper.view(paper.purchaseOrder(paper.order(carl), server, paper.offer(server)));
  const balances = { available: "5", held: "0", pending: "0", staked: "0", locked: "0" };
  broker.reads = {
    "/api/v1/leases": (query) => {
      const from = Number(query.get("after") ?? 0);
      const end = Math.min(LEASES, from + Number(query.get("limit")));
      const leases = Array.from({ length: end - from }, (_, i): LeaseView => ({ ...view, id: id(from + i) }));
      return { leases, next: end < LEASES ? String(end) : null };
    },
    "/api/v1/statement": () => ({ entries: [], next: null }),
    "/api/v1/accounts": () => ({ balances, accounts: [] }),
    "/api/v1/whoami": () => ({ party: carl.party, name: "carl", account: carl.account, role: "root", suspended: false, keys: [] }),
    "/log/checkpoint": () => "c",
  };
  const receipt = { format: "xenoservers-receipt-1", market: paper.pins, documents: [], leaves: [], checkpoint: "c", size: 5 };
  for (let i = 0; i < LEASES; i++) broker.reads[`/api/v1/leases/${id(i)}/receipt`] = () => ({ ...receipt, lease: id(i) });
  market = Market.of(new MarketClient(broker.url, paper.pins, identityOf(SEED)));
});
afterEach(async () => {
  broker.close();
  await rm(out, { recursive: true, force: true });
});

const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(path.join(out, name), "utf8"));

it("has all of every list, a receipt for each lease, and last the checkpoint", async () => {
  const told: number[] = [];
  expect(await market.export(out, { onLease: (leases) => void told.push(leases) })).toEqual({ leases: LEASES });
  expect(told).toEqual(Array.from({ length: LEASES }, (_, i) => i + 1));
  const names = await readdir(out);
  expect(names.length).toBe(LEASES + 5);
  expect(await read("leases.json")).toMatchObject({ leases: { length: LEASES, [LEASES - 1]: { id: id(LEASES - 1) } } });
  expect(await read(`receipt-${id(7)}.json`)).toMatchObject({ lease: id(7) });
  expect([await read("statement.json"), await read("checkpoint.json")]).toEqual([{ entries: [] }, { checkpoint: '"c"' }]);
});

it("is not whole where it was called off or the broker could not give all: no checkpoint says so, not even an earlier one", async () => {
  const off = new AbortController();
  await expect(market.export(out, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
  expect(await readdir(out)).toEqual([]);
  await writeFile(path.join(out, "checkpoint.json"), "{}");
  const stopping = market.export(out, { signal: off.signal, onLease: (leases) => leases === 3 && off.abort() });
  await expect(stopping).rejects.toMatchObject({ code: "aborted" });
  expect((await readdir(out)).filter((name) => /^(receipt|checkpoint)/.test(name)).length).toBeLessThanOrEqual(4);
  expect(await readdir(out)).not.toContain("checkpoint.json");
  broker.reads["/api/v1/leases"] = () => ({ leases: [], away: [{ id: id(1), state: "final", issuedAt: 5 }], next: null });
  await expect(market.export(out)).rejects.toMatchObject({ code: "unavailable" });
  expect(await readdir(out)).not.toContain("checkpoint.json");
});

it("is refused where nothing can be kept", async () => {
  await writeFile(path.join(out, "in-the-way"), "");
  await expect(market.export(path.join(out, "in-the-way"))).rejects.toMatchObject({ code: "bad_input" });
});
