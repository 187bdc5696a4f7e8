/** Lists over HTTP: page by page, by what each page says of the next, whatever comes meanwhile; and events that are not kept any more. */
import { API, type OfferView } from "@xenoservers/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dropOld } from "../loops/retention.ts";
import { World, type Party, type Server } from "./world.fixture.ts";

let world: World;
let customer: Party;
let server: Server;
beforeAll(async () => {
  world = new World();
  await world.start();
  [customer, server] = [await world.party(1_000_000_000n), await world.server(await world.party())];
});
afterAll(() => world.close());

type ListName = "leases" | "statement" | "offers" | "events";
async function ask(name: ListName, query: Record<string, string> = {}, accept = "application/json") {
  const key = (await world.store.load("key", [customer.root.publicKey])).get(customer.root.publicKey)?.data;
  if (!key) throw new Error("the customer has its key");
  const { token } = world.sessions.token({ by: "party", party: customer.id, key });
  const url = `${API[name].path}?${new URLSearchParams(query).toString()}`;
  return world.app.inject({ method: "GET", url, headers: { authorization: `Bearer ${token}`, accept } });
}

type Pages = { next: string | null } & Record<string, { id: string }[]>;

/** All rows of a list, and how many each page had. */
async function walk<R = { id: string }>(name: ListName, rows: string, query: Record<string, string>) {
  const all: R[] = [];
  const counts: number[] = [];
  for (let after: string | null | undefined; after !== null;) {
    const page: Pages = (await ask(name, { ...query, ...(after === undefined ? {} : { after }) })).json();
    all.push(...((page[rows] ?? []) as R[]));
    counts.push(page[rows]?.length ?? 0);
    after = page.next;
  }
  return { all, counts };
}

describe("leases and statement", () => {
  it("are the same in pages as in one", async () => {
    const made: string[] = [];
    for (let i = 0; i < 7; i++) {
      if (i % 3 === 0) world.now += 1; // several of one time
      made.push((await world.lease(customer, server)).lease);
    }
    const whole: Pages = (await ask("leases", { live: "true" })).json();
    expect(whole.next).toBeNull();
    expect(whole["leases"]?.map(({ id }) => id).sort()).toEqual(made.toSorted());
    for (const live of ["true", "false"]) {
      const { all, counts } = await walk("leases", "leases", { live, limit: "3" });
      expect(all).toEqual(whole["leases"]);
      expect(counts).toEqual([3, 3, 1]);
    }
    const statement: Pages = (await ask("statement")).json();
    expect(statement["entries"]?.length).toBeGreaterThan(7);
    expect((await walk("statement", "entries", { limit: "2" })).all).toEqual(statement["entries"]);
  });

  it("take no place that is none of theirs", async () => {
    for (const [name, after] of [
      ["leases", "5"],
      ["leases", "x.y"],
      ["statement", "1.2"],
      ["statement", "-1"],
      ["statement", "9".repeat(20)],
      ["offers", "12"],
      ["offers", `0.1.1.${server.id}x`],
    ] as const)
      expect((await ask(name, { after })).json(), `${name} ${after}`).toMatchObject({
        error: { code: "bad_request", path: "query.after" },
      });
    expect((await ask("leases", { limit: "1001" })).json()).toMatchObject({ error: { code: "bad_request" } });
    // far out of every list
    expect((await ask("leases", { after: `${"9".repeat(16)}.ff` })).json()).toMatchObject({ next: null });
    expect((await ask("statement", { after: "9".repeat(19) })).json()).toMatchObject({ next: null });
    expect((await ask("statement", { after: "0" })).json()).toEqual({ entries: [], next: null });
  });
});

describe("offers", () => {
  const price = (vcpu: number) => ({
    ...{ vcpuNanosPerSecond: String(vcpu), memoryGibNanosPerSecond: "0", diskGibNanosPerSecond: "0" },
    ...{ gigaFuelNanos: "0", egressGibNanos: "0" },
  });

  it.each(["price", "cost-per-work"])(
    "come by %s page by page, also those of one price, those for nothing and those that came late",
    async (order) => {
      const owner = await world.party();
      for (const vcpu of [9, 10, 99, 100, 100, 100, 0, 0, 1_000])
        await world.server(owner, { price: price(vcpu), cpuScore: 1 + (vcpu % 7) });
      const query = { order, terms: "by-interval" };
      const whole = (await ask("offers", { ...query, limit: "200" })).json<{ offers: OfferView[]; next: null }>();
      expect(whole.next).toBeNull();
      for (const limit of ["1", "2", "3"]) {
        const { all } = await walk<OfferView>("offers", "offers", { ...query, limit });
        expect(all).toEqual(whole.offers);
      }
      const first = (await ask("offers", { ...query, limit: "4" })).json<{ offers: OfferView[]; next: string }>();
      // a cheaper one than where the page ended is not read any more, a dearer one is; one that is gone is not
      const [cheaper, dearer] = [await world.server(owner, { price: price(1) }), await world.server(owner, { price: price(50_000) })];
      const gone = whole.offers[5]?.server ?? "";
      world.services.index.setOnline(gone, false);
      const rest = await walk<OfferView>("offers", "offers", { ...query, limit: "4", after: first.next });
      const ids = rest.all.map((offer) => offer.server);
      expect(ids.filter((id) => id !== dearer.id)).toEqual(
        whole.offers
          .slice(4)
          .map((offer) => offer.server)
          .filter((id) => id !== gone),
      );
      expect(ids).toContain(dearer.id);
      expect(ids).not.toContain(cheaper.id);
    },
  );
});

describe("events", () => {
  it("that were dropped are said to be, to a page and to a stream; what is kept can be read", async () => {
    const before = (await ask("events")).json<{ events: { cursor: string; at: number }[] }>().events;
    const [first] = before;
    world.now += 1_000;
    await world.lease(customer, server);
    expect(await dropOld(world.store, world.now, { eventsMs: 500, answersMs: 500 })).toBeGreaterThan(before.length);
    const after = first?.cursor ?? "";
    const page = await ask("events", { after });
    expect([page.statusCode, page.json()]).toMatchObject([410, { error: { code: "cursor_expired", retryable: false } }]);
    const stream = await ask("events", { after }, "text/event-stream");
    expect(stream.payload).toMatch(/^event: cut\ndata: \{"error":\{"code":"cursor_expired"/);
    const kept = (await ask("events")).json<{ events: { cursor: string; at: number }[] }>().events;
    expect(kept.length).toBeGreaterThan(0);
    expect(kept.every(({ at }) => at === world.now)).toBe(true);
    expect((await ask("events", { after: before.at(-1)?.cursor ?? "" })).json()).toEqual({ events: kept });
  });
});
