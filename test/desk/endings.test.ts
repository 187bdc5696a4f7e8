/** How leases end: pay follows delivery, the broker's absence is nobody's silence, objections cost and end. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Identity } from "@xenoservers/sdk";
import type { Payload } from "@xenoservers/protocol";
import { Desk } from "@xenoservers/xenocorp/parts";
import { Harness, type ServerParty } from "./harness.ts";

let h: Harness;
let customer: Identity;
let server: ServerParty;
const available = (who: Identity) => h.balance(`${who.account}/available`);
const CREDIT = 10_000_000n;
const DAY_MS = 86_400_000;

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(CREDIT);
  server = await h.server();
});

const open = async (over: Parameters<Harness["order"]>[1] = {}) => {
  const answer = await h.submit(h.order(customer, over));
  expect(answer.code).toBeUndefined();
  const lease = String(answer["lease"]);
  expect((await h.accept(server, lease)).code).toBeUndefined();
  return lease;
};
const onResult = { terms: "on-result" as const, fuelMax: "1000000000", budgetNanos: "1000000" };
const resultOf = async (lease: string, over: Partial<Payload<"result">> = {}) => {
  const row = await h.lease(lease);
  return h.sign(server.signer, "result", {
    ...{ lease, server: server.id, jobHash: "ab".repeat(32), engine: "e", reason: "completed", exitCode: 0, usedMs: 0, egressBytes: 0 },
    ...{
      incarnation: 1,
      lastClaim: row.lastClaim?.id ?? row.openingId ?? "",
      fuelMax: row.fuelMax,
      fuel: "1000000",
      memoryHash: "00".repeat(32),
      outputDigest: "00".repeat(32),
    },
    ...{ stdoutDigest: "00".repeat(32), stderrDigest: "00".repeat(32), stateRoot: null, nonce: "00".repeat(32), detail: "" },
    ...over,
  });
};
const claim = async (lease: string, sequence: number, usedMs: number) => {
  const row = await h.lease(lease);
  const previous = row.lastClaim?.id ?? row.openingId ?? "";
  return h.act(server.signer, "claim", { lease, incarnation: 1, sequence, usedMs, egressBytes: 0, previous });
};

describe("pay follows delivery", () => {
  it("settles at once with the customer's receipt, and later by its own word", async () => {
    const lease = await open(onResult);
    await h.pass(1_000);
    const result = await resultOf(lease);
    const delivery = h.sign(customer.signer, "delivery", { lease, result: result.id, sealed: null });
    const answer = await h.desk.submit(result.envelope, delivery.envelope);
    expect(answer.ok && answer.answer["settlement"]).toBeDefined();
    expect(await h.lease(lease)).toMatchObject({
      state: "settled",
      delivery: { by: "customer" },
      end: { dueNanos: "0", reason: "completed" },
    });

    const other = await open(onResult);
    await h.pass(1_000);
    const alone = await resultOf(other, { fuel: "1000000000" });
    expect(await h.submit(alone)).toMatchObject({ deliverBy: expect.any(Number) });
    expect((await h.lease(other)).state).toBe("delivering");
    expect(await h.balance(`${server.id}/vcpu`)).toBe(2n);
    expect((await h.act(customer.signer, "delivery", { lease: other, result: alone.id, sealed: null }))["settlement"]).toBeDefined();
    expect((await h.lease(other)).end).toMatchObject({ dueNanos: "600" });
  });

  it("pays nothing for digests whose bytes reached nobody", async () => {
    const lease = await open(onResult);
    await h.pass(1_000);
    await h.submit(await resultOf(lease, { fuel: "1000000000" }));
    await h.later(61_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "not-delivered", blame: "nobody", dueNanos: "0" });
    await h.later(60_000);
    expect(await available(customer)).toBe(CREDIT);
    const owner = (await h.store.load("party", [server.owner.party])).get(server.owner.party);
    expect(owner?.data.record).toMatchObject({ completed: 0, ownerFailures: 0 });
  });

  it("takes the broker's seal for it, and no stranger's word", async () => {
    const lease = await open(onResult);
    await h.pass(1_000);
    const result = await resultOf(lease, { fuel: "1000000000" });
    await h.submit(result);
    const stranger = await h.party();
    expect(await h.act(stranger.signer, "delivery", { lease, result: result.id, sealed: null })).toMatchObject({ code: "not_found" });
    expect(await h.act(server.owner.signer, "delivery", { lease, result: result.id, sealed: null })).toMatchObject({ code: "not_yours" });
    expect((await h.desk.sealed(lease, "11".repeat(32))).ok).toBe(true);
    expect(await h.lease(lease)).toMatchObject({ state: "settled", delivery: { by: "broker" }, end: { dueNanos: "600" } });
  });

  it("bills no more fuel than a machine can burn between opening and result", async () => {
    const lease = await open({ ...onResult, fuelMax: "1000000000000000" });
    await h.pass(10);
    const result = await resultOf(lease, { fuel: "1000000000000000" });
    await h.submit(result);
    await h.act(customer.signer, "delivery", { lease, result: result.id, sealed: null });
    expect((await h.lease(lease)).end).toMatchObject({ billableFuel: "200000000", dueNanos: "120" });
  });
});

describe("the judge's absence is nobody's silence", () => {
  it("costs nobody anything when no broker hears for ten minutes", async () => {
    const lease = await open({ durationMsMax: 3_000_000, budgetNanos: "3000000" });
    await h.pass(10_000);
    await claim(lease, 1, 9_000);
    h.now += 600_000; // nobody hears
    await h.desk.runTimers();
    expect((await h.lease(lease)).state).toBe("open");
    await h.pass(5_000);
    expect((await claim(lease, 2, 14_000)).code).toBeUndefined();
    await h.pass(1_000);
    await h.submit(await resultOf(lease, { usedMs: 15_000, fuel: "0" }));
    expect((await h.lease(lease)).end).toMatchObject({ reason: "completed", dueNanos: "15000" });
    const gaps = (await h.store.load("setting", ["gaps"])).get("gaps")?.data.value;
    expect(gaps).toMatchObject([{ to: expect.any(Number) }]);
  });

  it("ends as the broker's failure where a server stays away after a long gap, and pays what was receipted", async () => {
    const lease = await open({ durationMsMax: 3_000_000, budgetNanos: "3000000" });
    await h.pass(10_000);
    await claim(lease, 1, 9_000);
    h.now += 600_000;
    await h.later(45_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "broker-failed", blame: "broker", dueNanos: "9000" });
    await h.later(60_000);
    const owner = (await h.store.load("party", [server.owner.party])).get(server.owner.party);
    expect(owner?.data.record).toMatchObject({ completed: 0, ownerFailures: 0 });
  });

  it("is there too where nothing can be written down, as on a full disk, though the database answers", async () => {
    const lease = await open({ durationMsMax: 3_000_000, budgetNanos: "3000000" });
    await h.pass(10_000);
    await claim(lease, 1, 9_000);
    const { commit } = h.store;
    h.store.commit = () => Promise.reject(Object.assign(new Error("could not extend file: No space left on device"), { code: "53100" }));
    expect(h.desk.unwritten).toBeNull();
    for (let at = 0; at < 90; at++) {
      h.now += 1_000;
      await h.desk.runTimers().catch(() => {});
      if (at % 10 === 9) await expect(claim(lease, 2, 10_000 + at * 1_000)).rejects.toThrow("No space left");
    }
    expect(h.desk.unwritten).toBe("the disk of the broker's database is full");
    h.store.commit = commit;
    await h.desk.runTimers();
    expect(h.desk.unwritten).toBeNull();
    expect((await h.lease(lease)).state).toBe("open");
    await h.pass(1_000);
    expect((await claim(lease, 2, 15_000)).code).toBeUndefined();
  });

  it("is over for each broker, also where another has filed it and nobody sends anything to one that is not ready", async () => {
    await h.desk.hear();
    const { commit } = h.store;
    h.store.commit = () => Promise.reject(new Error("it was restarted"));
    await expect(h.submit(h.order(customer))).rejects.toThrow("it was restarted");
    expect(h.desk.unwritten).toBe("the latest change could not be written down");
    h.store.commit = commit;
    h.now += 10_000;
    const other = new Desk(h.desk.services, { toServer: () => {}, event: () => {}, keyRevoked: () => {} });
    await other.hear();
    await h.desk.hear();
    expect(h.desk.unwritten).toBeNull();
  });

  it("is filed by the next start where a broker ends before it has", async () => {
    const lease = await open({ durationMsMax: 3_000_000, budgetNanos: "3000000" });
    await h.pass(10_000);
    await claim(lease, 1, 9_000);
    h.now += 600_000;
    const { commit } = h.store;
    h.store.commit = () => Promise.reject(new Error("it ends here"));
    await expect(h.desk.hear()).rejects.toThrow("it ends here");
    h.store.commit = commit;
    const next = new Desk(h.desk.services, { toServer: () => {}, event: () => {}, keyRevoked: () => {} });
    h.now += 2_000;
    await next.runTimers();
    expect((await h.lease(lease)).state).toBe("open");
  });

  it("gives an acceptance, a delivery and a window the time that a gap took", async () => {
    const answer = await h.submit(h.order(customer));
    const lease = String(answer["lease"]);
    h.now += 600_000;
    await h.desk.runTimers();
    expect((await h.accept(server, lease))["opening"]).toBeDefined();
    await h.pass(1_000);
    await h.submit(await resultOf(lease, { usedMs: 900 }));
    await h.pass(1_000);
    h.now += 600_000;
    await h.desk.runTimers();
    expect((await h.lease(lease)).state).toBe("settled");
    const objected = await h.act(customer.signer, "objection", { lease, party: customer.party, expectedDueNanos: "0", reason: "late" });
    expect(objected.code).toBeUndefined();
  });
});

describe("objections", () => {
  const settled = async () => {
    const lease = await open();
    await h.pass(3_000);
    await h.submit(await resultOf(lease, { usedMs: 2_000 }));
    return lease;
  };
  const object = (lease: string, expectedDueNanos = "0", who = customer) =>
    h.act(who.signer, "objection", { lease, party: who.party, expectedDueNanos, reason: "wrong" });

  it("cost a deposit in proportion, which comes back when nobody rules in time", async () => {
    const lease = await settled();
    expect(await object(lease)).toMatchObject({ depositNanos: "200" });
    expect(await available(customer)).toBe(CREDIT - 2_000n - 200n);
    expect(await object(lease, "1")).toMatchObject({ code: "wrong_state" });
    await h.later(8 * DAY_MS);
    expect((await h.lease(lease)).state).toBe("final");
    expect(await available(customer)).toBe(CREDIT - 2_000n);
    expect(await available(server.owner)).toBe(2_000n);
  });

  it("lose the deposit to the other side where the operator finds them wrong", async () => {
    const lease = await settled();
    await object(lease);
    await h.act(h.operator, "ruling", { lease, ownerNanos: "2000", reason: "it ran" });
    expect(await available(server.owner)).toBe(2_200n);
    expect(await available(customer)).toBe(CREDIT - 2_200n);
  });

  it("are refused where there is nothing to object to, where more is wanted than was held, and after the window", async () => {
    const lease = await settled();
    expect(await object(lease, "2000")).toMatchObject({ code: "bad_payload" });
    expect(await object(lease, "99999999")).toMatchObject({ code: "bad_payload" });
    await h.pass(61_000);
    expect(await object(lease)).toMatchObject({ code: "too_late" });
  });

  it("freeze nothing that nobody could decide: a doubt needs a referee in the market", async () => {
    const lease = await open({ ...onResult, fuelMax: "100000000000" });
    await h.pass(10_000);
    const result = await resultOf(lease, { fuel: "10000000000" });
    await h.submit(result);
    await h.act(customer.signer, "delivery", { lease, result: result.id, sealed: null });
    const doubt = await h.act(customer.signer, "trace-request", { lease, party: customer.party, step: "1000000000" });
    expect(doubt).toMatchObject({ code: "no_referee" });
    expect((await h.lease(lease)).state).toBe("settled");
    await h.later(60_000);
    expect((await h.lease(lease)).state).toBe("final");
  });
});

describe("the fee", () => {
  it("holds after notice only, and never more than both sides signed", async () => {
    const announce = (basisPoints: number, effectiveAt: number) => h.act(h.operator, "fee", { basisPoints, effectiveAt, clientId: h.id() });
    expect((await announce(500, h.now)).code).toBeUndefined();
    expect(await announce(5_000, h.now)).toMatchObject({ code: "too_early" });
    expect((await announce(5_000, h.now + DAY_MS)).code).toBeUndefined();
    const lease = await open();
    expect((await h.lease(lease)).feeBasisPoints).toBe(500);
    await h.pass(DAY_MS);
    const fresh = { expiresAt: h.now + 60_000 };
    expect(await h.submit(h.order(customer, fresh))).toMatchObject({ code: "stale_terms", feeBasisPoints: 5_000 });
    await h.submit(server.offer({ sequence: 2, validUntil: h.now + 600_000 }));
    expect(await h.submit(h.order(customer, { ...fresh, feeBasisPointsMax: 5_000 }))).toMatchObject({
      code: "busy",
      excluded: { terms: 1 },
    });
  });
});
