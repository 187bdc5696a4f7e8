/** Routes: what a token that is sent changes, and that no reply leaves the broker that is not what the API promises. */
import { once } from "node:events";
import { connect, type AddressInfo } from "node:net";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import Fastify from "fastify";
import { pino } from "pino";
import { NANOS_MAX } from "@xenoservers/market";
import type { OfferView, RouteReply, Signer } from "@xenoservers/protocol";
import { callers } from "./caller.ts";
import { systemTimers } from "@xenoservers/protocol/link";
import { createReads } from "./reads.ts";
import { Routes } from "./routes.ts";
import { World, newId, newSigner, type Party } from "./world.fixture.ts";
import { createWrites } from "./writes.ts";

let world: World;
let customer: Party;

beforeEach(async () => {
  world = new World();
  await world.start();
  customer = await world.party(1_000_000n);
});
afterEach(() => world.close());

async function headersOf(signer: Signer): Promise<{ authorization: string }> {
  const key = (await world.store.load("key", [signer.publicKey])).get(signer.publicKey)?.data;
  if (!key) throw new Error("no such key");
  return { authorization: `Bearer ${world.sessions.token({ by: "party", party: key.party, key }).token}` };
}

async function found(query: string, signer: Signer | null): Promise<string[]> {
  const headers = signer ? await headersOf(signer) : {};
  const response = await world.app.inject({ method: "GET", url: `/api/v1/offers?${query}`, headers });
  return response.json<{ offers: OfferView[] }>().offers.map(({ server }) => server);
}

it("a search with a token finds one's own servers, and those that serve only some", async () => {
  const own = await world.server(customer);
  const forOne = await world.server(await world.party(), { allowedParties: [customer.id] });
  const all = [own.id, forOne.id].toSorted();
  const ci = await world.key(customer, "ci", { scopes: ["read"] });
  expect((await found("", customer.root)).toSorted()).toEqual(all);
  expect((await found("", ci)).toSorted()).toEqual(all);
  expect(await found("on=mine", customer.root)).toEqual([own.id]);
  expect(await found("", null)).toEqual([own.id]);
  expect(await found("on=mine", null)).toEqual([]);
});

it("whom a full disk keeps waiting is told of it, and of nothing else that the database says", async () => {
  const full = Object.assign(new Error('could not extend file "base/5/16447": No space left on device'), { code: "53100" });
  const headers = await headersOf(customer.root);
  vi.spyOn(world.store, "load").mockRejectedValueOnce(full);
  const { statusCode, body } = await world.app.inject({ url: "/api/v1/offers?on=mine", headers });
  expect([statusCode, body]).toEqual([503, expect.stringContaining("the disk of the broker's database is full")]);
  expect(body).not.toContain("base/5");
});

it("a server whose last room is taken while it is looked for is found with none left", async () => {
  const server = await world.server(await world.party());
  const [offer] = [...world.services.index.all()];
  const { vcpu, memoryMib } = offer!.free;
  const load = world.store.load.bind(world.store);
  vi.spyOn(world.store, "load").mockImplementationOnce(async (...asked) => {
    await world.lease(customer, server, { resources: { vcpu, memoryMib, diskMib: 0 } });
    return load(...asked);
  });
  const { statusCode, body } = await world.app.inject("/api/v1/offers?vcpu=1");
  expect([statusCode, JSON.parse(body)]).toMatchObject([200, { offers: [{ server: server.id, free: { vcpu: 0, memoryMib: 0 } }] }]);
});

it("what one owner asks spoils no search, however much it is", async () => {
  const most = NANOS_MAX.toString();
  const price = {
    vcpuNanosPerSecond: most,
    memoryGibNanosPerSecond: most,
    diskGibNanosPerSecond: most,
    gigaFuelNanos: most,
    egressGibNanos: most,
  };
  const [usual, dear] = [await world.server(customer), await world.server(await world.party(), { price })];
  for (const terms of ["on-result", "by-interval"])
    expect(await found(`vcpu=8&diskMib=4096&terms=${terms}`, customer.root)).toEqual([usual.id, dear.id]);
});

it("a party that was credited more than once reads what it has, however much it is", async () => {
  const pay = () => ({ party: customer.id, amountNanos: NANOS_MAX.toString(), source: "bank" as const, reference: "", clientId: newId() });
  for (let times = 0; times < 2; times++) await world.must(world.operator, "credit", pay());
  const { balances } = (await world.app.inject({ url: "/api/v1/accounts", headers: await headersOf(customer.root) })).json<
    RouteReply<"accounts">
  >();
  expect(BigInt(balances.available)).toBe(2n * NANOS_MAX + 1_000_000n);
});

it("the time of a request is counted, answered or refused", async () => {
  for (const url of ["/api/v1/market", "/api/v1/leases"]) await world.app.inject({ method: "GET", url });
  expect(world.took).toHaveLength(2);
  for (const seconds of world.took) expect(seconds).toBeGreaterThan(0);
});

it("a search asks for what holds guests, by the offers as their owners signed them", async () => {
  const held = await world.server(await world.party(), { holds: { wasm: ["seccomp", "cgroup-memory"] } });
  const unheld = await world.server(await world.party());
  expect((await found("", null)).toSorted()).toEqual([held.id, unheld.id].toSorted());
  expect(await found(`q=${encodeURIComponent("holds=seccomp holds=cgroup-memory")}`, null)).toEqual([held.id]);
  expect(await found(`q=${encodeURIComponent("holds=own-user")}`, null)).toEqual([]);
});

it("an offer that an earlier broker kept says nothing of what holds guests, and is found", async () => {
  const server = await world.server(await world.party(), { holds: { wasm: ["seccomp"] } });
  const row = (await world.store.load("server", [server.id])).get(server.id)?.data;
  if (!row?.offer) throw new Error("there is no offer");
  const { holds: _, ...earlier } = row.offer;
  world.services.index.put({ ...row, offer: earlier });
  expect(await found("", null)).toEqual([server.id]);
  expect(await found(`q=${encodeURIComponent("holds=seccomp")}`, null)).toEqual([]);
});

it("a token that is wrong is refused wherever it is sent", async () => {
  const stranger = newSigner();
  const headers = { authorization: `Bearer ${customer.id}.${stranger.publicKey}.99999999999999.${"00".repeat(32)}` };
  for (const url of ["/api/v1/offers", "/api/v1/market", "/api/v1/leases"])
    expect((await world.app.inject({ method: "GET", url, headers })).json()).toMatchObject({ error: { code: "bad_token" } });
});

it("a reply that is not what the API promises is the broker's failure, and says nothing more", async () => {
  const logged: string[] = [];
  const app = Fastify();
  const reads = createReads(world.services, () => Promise.reject(new Error("unused")));
  const wrong = { ...reads, market: async () => ({ ok: true as const, reply: { secret: "x" } as never }) };
  new Routes(
    { ...wrong, ...createWrites(world.desk, world.sessions) },
    {
      ...{
        sessions: world.sessions,
        live: world.hub.live,
        store: world.store,
        feed: world.feed,
        timers: systemTimers,
        count: () => {},
        callers: callers([]),
        door: world.hub.door,
        faults: { failed: () => {} },
      },
      logger: pino({ level: "error" }, { write: (line: string) => void logged.push(line) }),
    },
  ).register(app, "market");
  const response = await app.inject({ method: "GET", url: "/api/v1/market" });
  expect(response.statusCode).toBe(500);
  expect(response.json()).toMatchObject({ error: { code: "internal" } });
  expect(response.payload).not.toContain("secret");
  const id = String(response.headers["x-request-id"]);
  expect(logged.map((line) => JSON.parse(line))).toMatchObject([
    { requestId: id, route: "market", msg: "a reply is not what the API promises" },
  ]);
});

it.each(["/api/v1/%zz", "/api/v1/leases/%", `/api/v1/leases/${"a".repeat(300)}`])(
  "an address that no route can have is refused in words",
  async (url) => {
    const response = await world.app.inject({ method: "GET", url });
    expect(response.statusCode).toBe(400);
    expect(response.json()).toMatchObject({ error: { code: "bad_request" } });
  },
);

it("a connection that sends request after request and waits for no answer is cut; a few at once are answered", async () => {
  await world.app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = world.app.server.address() as AddressInfo;
  const answersTo = async (requests: number): Promise<number> => {
    const socket = connect(port, "127.0.0.1");
    let heard = "";
    socket.on("data", (bytes: Buffer) => void (heard += bytes.toString())).on("error", () => {});
    socket.write(
      `${"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(requests - 1)}GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
    );
    await once(socket, "close");
    return heard.split('"alive"').length - 1;
  };
  expect(await answersTo(16)).toBe(16);
  expect(await answersTo(64)).toBeLessThan(64);
});

it("a body that is no JSON, of another type or too large is refused in words", async () => {
  const post = async (payload: string, type: string) => {
    const response = await world.app.inject({ method: "POST", url: "/api/v1/documents", headers: { "content-type": type }, payload });
    return response.json<{ error: { code: string } }>().error.code;
  };
  expect(await post("{", "application/json")).toBe("bad_request");
  expect(await post("bytes", "application/octet-stream")).toBe("bad_request");
  expect(await post("text", "text/css")).toBe("bad_request");
  expect(await post(JSON.stringify({ envelope: "x".repeat(300_000) }), "application/json")).toBe("body_too_large");
});
