/** Results that wait for their customers: who may leave and fetch them, how large, how many, how long, and what is said of it. */
import { beforeEach, afterEach, describe, expect, it } from "vitest";
import { parseDocument, toHex, type Signer } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import { World, type Party, type Server } from "./world.fixture.ts";
import { SEALED_BYTES_MAX } from "./writes.ts";

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

async function put(lease: string, payload: Buffer, signer = server.key): Promise<Record<string, unknown> & { code?: string | undefined }> {
  const headers = { ...(await headersOf(signer)), "content-type": "application/octet-stream" };
  const response = await world.app.inject({ method: "PUT", url: `/api/v1/leases/${lease}/sealed`, headers, payload });
  const body = response.json<Record<string, unknown> & { error?: { code: string } }>();
  return { ...body, code: body.error?.code };
}

const get = async (lease: string, signer = customer.root) =>
  world.app.inject({ method: "GET", url: `/api/v1/leases/${lease}/sealed`, headers: await headersOf(signer) });

it("settles the lease, and the bytes are its customer's until a day after the window", async () => {
  const lease = await delivering();
  const answer = await put(lease, BYTES);
  expect(answer["settlement"]).toBeDefined();
  expect((await world.row(lease)).delivery).toMatchObject({ by: "broker" });
  const delivery = (await world.store.documentsOf(lease)).find(({ kind }) => kind === "delivery");
  const parsed = parseDocument(nodeCrypto, delivery?.envelope);
  expect(parsed.ok && parsed.document.payload).toMatchObject({ lease, sealed: toHex(nodeCrypto.sha256(BYTES)) });
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

describe("refuses", () => {
  it("bytes of a lease that waits for none, is another server's, or is not there", async () => {
    const { lease } = await world.lease(customer, server);
    expect((await put(lease, BYTES)).code).toBe("wrong_state");
    const waiting = await delivering();
    const other = await world.server(server.owner);
    expect((await put(waiting, BYTES, other.key)).code).toBe("not_found");
    expect((await put("cd".repeat(32), BYTES)).code).toBe("not_found");
    expect((await put(waiting, BYTES, customer.root)).code).toBe("key_not_allowed");
    expect(await world.store.sealedDigest(waiting)).toBeNull();
  });

  it("no bytes, and too many, whether or not they are announced", async () => {
    const lease = await delivering();
    expect((await put(lease, Buffer.alloc(0))).code).toBe("bad_request");
    expect((await put(lease, Buffer.alloc(SEALED_BYTES_MAX + 1))).code).toBe("body_too_large");
    expect(await world.store.sealedDigest(lease)).toBeNull();
    expect((await put(lease, Buffer.alloc(SEALED_BYTES_MAX, 7)))["settlement"]).toBeDefined();
  });

  it("more than the broker keeps in all, until some of it is dropped", async () => {
    world.services.config.sealedBytesMax = BYTES.length + 1;
    const [first, second] = [await delivering(), await delivering()];
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
