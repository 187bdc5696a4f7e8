/** Results that wait for their customers: who may leave and fetch them, how large, how many, how long, and what is said of it. */
import { beforeEach, afterEach, describe, expect, it } from "vitest";
import { SEALED_PART_BYTES_MAX, parseDocument, sealedDigestOf, toHex, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { SEALED_OWNER_SHARE } from "../store/store.ts";
import { World, type Party, type Server } from "./world.fixture.ts";

const BYTES = Buffer.from("sealed for its customer");

let world: World;
let customer: Party;
let server: Server;

beforeEach(async () => {
  world = new World();
  await world.start();
  customer = await world.party(1_000_000_000n);
  server = await world.server(await world.party());
});
afterEach(() => world.close());

/** On result, with a result that waits for its delivery. */
async function delivering(): Promise<string> {
  const { lease } = await world.lease(customer, server, { terms: "on-result" });
  await world.pass(2_000);
  await world.must(server.key, "result", await world.resultOf(lease, server));
  expect((await world.row(lease)).state).toBe("delivering");
  return lease;
}

async function headersOf(signer: Signer): Promise<{ authorization: string }> {
  const key = (await world.store.load("key", [signer.publicKey])).get(signer.publicKey)?.data;
  if (!key) throw new Error("no such key");
  return { authorization: `Bearer ${world.sessions.token({ by: "party", party: key.party, key }).token}` };
}

type Answer = Record<string, unknown> & { code?: string | undefined };

async function asked(method: "PUT" | "POST", path: string, payload: Buffer | object, signer: Signer): Promise<Answer> {
  const type = Buffer.isBuffer(payload) ? "application/octet-stream" : "application/json";
  const headers = { ...(await headersOf(signer)), "content-type": type };
  const response = await world.app.inject({ method, url: `/api/v1/leases/${path}`, headers, payload });
  const body = response.json<Record<string, unknown> & { error?: { code: string } }>();
  return { ...body, code: body.error?.code };
}
const putPart = (lease: string, part: number, payload: Buffer, signer = server.key) =>
  asked("PUT", `${lease}/sealed/${part}`, payload, signer);
const complete = (lease: string, parts: number, signer = server.key) => asked("POST", `${lease}/sealed`, { parts }, signer);

/** One part, which is all. */
async function put(lease: string, payload: Buffer, signer = server.key): Promise<Answer> {
  const kept = await putPart(lease, 0, payload, signer);
  return kept.code === undefined ? complete(lease, 1, signer) : kept;
}

const get = async (lease: string, part = 0, signer = customer.root) =>
  world.app.inject({ method: "GET", url: `/api/v1/leases/${lease}/sealed/${part}`, headers: await headersOf(signer) });

it("settles the lease, and the bytes are its customer's until a day after the window", async () => {
  const lease = await delivering();
  const answer = await put(lease, BYTES);
  expect(answer["settlement"]).toBeDefined();
  expect((await world.row(lease)).delivery).toMatchObject({ by: "broker" });
  const delivery = (await world.store.documentsOf(lease)).find(({ kind }) => kind === "delivery");
  const parsed = parseDocument(nodeCrypto, delivery?.envelope);
  expect(parsed.ok && parsed.document.payload).toMatchObject({
    lease,
    sealed: sealedDigestOf(nodeCrypto, [toHex(nodeCrypto.sha256(BYTES))]),
  });
  const fetched = await get(lease);
  expect([fetched.headers["content-type"], fetched.rawPayload]).toEqual(["application/octet-stream", BYTES]);
  const { disputeWindowMs } = world.services.config.timings;
  expect(await world.store.dropSealed(world.now + disputeWindowMs + 86_400_000 - 1)).toBe(0);
  expect(await world.store.dropSealed(world.now + disputeWindowMs + 86_400_000)).toBe(1);
  expect((await get(lease)).statusCode).toBe(404);
});

it("is answered the same when it is said again, and the first bytes stay", async () => {
  const lease = await delivering();
  const first = await put(lease, BYTES);
  expect(await put(lease, Buffer.from("other bytes"))).toEqual(first);
  expect((await get(lease)).rawPayload).toEqual(BYTES);
});

it("comes in parts, in any order and again, and counts when it is whole", async () => {
  const lease = await delivering();
  const parts = ["one", "two", "three"].map((text) => Buffer.from(text));
  const bytesOf = async (part: number) => (await get(lease, part)).rawPayload.toString();
  for (const part of [2, 0]) expect((await putPart(lease, part, parts[part] ?? BYTES)).code).toBeUndefined();
  expect((await complete(lease, 3)).code).toBe("conflict");
  expect((await putPart(lease, 1, parts[1] ?? BYTES)).code).toBeUndefined();
  for (const count of [1, 2, 4]) expect((await complete(lease, count)).code).toBe("conflict");
  expect((await world.row(lease)).state).toBe("delivering");
  expect((await putPart(lease, 1, BYTES))["digest"]).toBe(toHex(nodeCrypto.sha256(parts[1] ?? BYTES)));
  const answer = await complete(lease, 3);
  expect(answer["settlement"]).toBeDefined();
  expect(await complete(lease, 3)).toEqual(answer);
  expect([await bytesOf(0), await bytesOf(1), await bytesOf(2)]).toEqual(["one", "two", "three"]);
  expect((await get(lease, 3)).statusCode).toBe(404);
});

describe("refuses", () => {
  it("bytes of a lease that waits for none, is another server's, or is not there", async () => {
    const { lease } = await world.lease(customer, server);
    expect((await put(lease, BYTES)).code).toBe("wrong_state");
    const waiting = await delivering();
    const other = await world.server(server.owner);
    expect((await put(waiting, BYTES, other.key)).code).toBe("not_found");
    expect((await put("cd".repeat(32), BYTES)).code).toBe("not_found");
    expect((await put(waiting, BYTES, customer.root)).code).toBe("key_not_allowed");
    expect(await world.store.sealedDigests(waiting)).toEqual([]);
  });

  it("no bytes, and too many, whether or not they are announced", async () => {
    const lease = await delivering();
    expect((await put(lease, Buffer.alloc(0))).code).toBe("bad_request");
    expect((await put(lease, Buffer.alloc(SEALED_PART_BYTES_MAX + 1))).code).toBe("body_too_large");
    expect(await world.store.sealedDigests(lease)).toEqual([]);
    expect((await put(lease, Buffer.alloc(SEALED_PART_BYTES_MAX, 7)))["settlement"]).toBeDefined();
  });

  it("more than the broker keeps in all, until some of it is dropped", async () => {
    world.services.config.sealedBytesMax = SEALED_OWNER_SHARE * (BYTES.length + 1);
    const [first, second] = [await delivering(), await delivering()]; // of one owner
    expect((await put(first, BYTES))["settlement"]).toBeDefined();
    expect((await put(second, BYTES)).code).toBe("limit_reached");
    expect((await world.row(second)).state).toBe("delivering");
    await world.store.dropSealed(Number.MAX_SAFE_INTEGER);
    expect((await put(second, BYTES))["settlement"]).toBeDefined();
  });

  it("what comes when the time for it is over, and nobody is paid for it", async () => {
    const lease = await delivering();
    await world.pass(world.services.config.timings.deliverWithinMs + 1_000);
    expect((await world.row(lease)).end).toMatchObject({ reason: "not-delivered", dueNanos: "0" });
    expect((await put(lease, BYTES)).code).toBe("wrong_state");
  });
});
