import { randomBytes } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { COOL_FIRST_MS } from "@xenoservers/market";
import { createSigner } from "@xenoservers/protocol/node";
import { identityOf, type Identity } from "@xenoservers/sdk";
import { Harness, type ServerParty } from "./harness.ts";

let h: Harness;
let customer: Identity;
let server: ServerParty;
const available = (who: Identity) => h.balance(`${who.account}/available`);

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(10_000_000n);
  server = await h.server();
});

const bind = async (over: Parameters<Harness["order"]>[1] = {}) => {
  const answer = await h.submit(h.order(customer, over));
  expect(answer.code).toBeUndefined();
  return answer["lease"] as string;
};
const open = async (over: Parameters<Harness["order"]>[1] = {}) => {
  const lease = await bind(over);
  expect((await h.accept(server, lease)).code).toBeUndefined();
  return lease;
};
const result = async (lease: string, over: object = {}) => {
  const row = await h.lease(lease);
  return h.sign(server.signer, "result", {
    lease,
    server: server.id,
    jobHash: "ab".repeat(32),
    engine: "e",
    incarnation: 1,
    reason: "completed",
    exitCode: 0,
    usedMs: 1_000,
    egressBytes: 0,
    lastClaim: row.lastClaim?.id ?? row.openingId!,
    fuelMax: row.fuelMax,
    fuel: "1000000",
    memoryHash: "00".repeat(32),
    outputDigest: "00".repeat(32),
    stdoutDigest: "00".repeat(32),
    stateRoot: null,
    nonce: "00".repeat(32),
    stderrDigest: "00".repeat(32),
    detail: "",
    ...over,
  });
};

describe("orders", () => {
  it("gives the same answer to the same order, and id_reused to other bytes under its client id", async () => {
    const order = h.order(customer);
    const [first, second] = await Promise.all([h.submit(order), h.submit(order)]);
    expect(second).toEqual(first);
    expect(await h.submit(order)).toEqual(first);
    expect(await h.balance(`${customer.account}/held`)).toBe(BigInt((await h.lease(first["lease"] as string)).holdNanos));
    expect(await h.submit(h.order(customer, { clientId: order.payload.clientId, durationMsMax: 1 }))).toMatchObject({ code: "id_reused" });
  });

  it("finds as much room as the books have, also where its server lists as it is bound", async () => {
    const resources = { vcpu: 1, memoryMib: 64, diskMib: 1 };
    const free = async () => [h.index.get(server.id)?.free.vcpu, h.index.get(server.id)?.free.memoryMib].map((room) => BigInt(room ?? -1));
    const books = () => Promise.all([h.balance(`${server.id}/vcpu`), h.balance(`${server.id}/memoryMib`)]);
    const [listed, bound] = await Promise.all([h.submit(server.offer({ sequence: 2 })), h.submit(h.order(customer, { resources }))]);
    expect([listed.code, bound.code]).toEqual([undefined, undefined]);
    expect(await free()).toEqual(await books());
    // what cannot be read as it is committed is read later
    await Promise.all([
      h.submit(server.offer({ sequence: 3 })),
      h.index.refreshFree(h.store, [server.id]),
      h.submit(h.order(customer, { resources })),
    ]);
    expect(await free()).toEqual(await books());
  });

  it("sells the last slot once", async () => {
    const answers = await Promise.all(
      [1, 2, 3].map(() => h.submit(h.order(customer, { resources: { vcpu: 2, memoryMib: 64, diskMib: 1 } }))),
    );
    expect(answers.filter(({ code }) => code === undefined)).toHaveLength(1);
    for (const { code } of answers) expect([undefined, "busy", "capacity_taken"]).toContain(code);
    expect(await h.balance(`${server.id}/vcpu`)).toBe(0n);
  });

  it.each([
    ["expired", { expiresAt: 1 }],
    ["bad_condition", { conditions: [{ key: "nonsense", op: "=" as const, value: "1" }] }],
    ["no_match", { conditions: [{ key: "region", op: "=" as const, value: "mars" }] }],
    ["insufficient_funds", { budgetNanos: "100000000", durationMsMax: 31_000_000 }],
    ["not_found", { account: `a_${"0".repeat(40)}` }],
    ["not_found", { batch: "00".repeat(32) }],
  ])("refuses with %s and holds nothing", async (code, over) => {
    const wide = code === "insufficient_funds" ? await h.server({ maxLeaseMs: 31_536_000_000 }) : server;
    expect(wide).toBeDefined();
    expect(await h.submit(h.order(customer, over))).toMatchObject({ code });
    expect(await available(customer)).toBe(10_000_000n);
  });

  it("names what excluded how many", async () => {
    expect(await h.submit(h.order(customer, { conditions: [{ key: "cpu", op: ">", value: "64" }] }))).toMatchObject({
      code: "no_match",
      excluded: { "cpu>64": 1 },
    });
  });

  it("refuses documents for another market, by unknown keys, and for other parties", async () => {
    const other = await h.party();
    expect(
      await h.submit(h.sign(customer.signer, "stop", { lease: "00".repeat(32), party: customer.party, reason: "" }, "elsewhere")),
    ).toMatchObject({
      code: "wrong_origin",
    });
    expect(await h.submit(h.order(customer, {}, createSigner(randomBytes(32))))).toMatchObject({ code: "unknown_key" });
    expect(await h.submit(h.order(customer, {}, other.signer))).toMatchObject({ code: "not_yours" });
    expect(await h.submit(h.order(customer, {}, server.signer))).toMatchObject({ code: "key_not_allowed" });
    expect(
      await h.act(customer.signer, "credit", {
        party: customer.party,
        amountNanos: "1",
        source: "operator",
        reference: "",
        clientId: h.id(),
      }),
    ).toMatchObject({ code: "operator_only" });
    expect(
      await h.submit(
        h.sign(customer.signer, "opening", { lease: "00".repeat(32), order: "00".repeat(32), slot: 0, acceptance: "00".repeat(32), at: 1 }),
      ),
    ).toMatchObject({
      code: "key_not_allowed",
    });
  });
});

describe("credit", () => {
  const pay = (party: string, over: object = {}) =>
    h.act(h.operator, "credit", { party, amountNanos: "5", source: "bank", reference: "wire-1", clientId: h.id(), ...over });

  it("counts once under its reference, and gives the same answer again", async () => {
    const [before, other] = [await available(customer), await h.party()];
    const first = await pay(customer.party);
    expect(first.code).toBeUndefined();
    expect(first["document"]).toMatchObject({ payloadType: expect.stringContaining("credit") });
    expect(await pay(customer.party)).toEqual(first);
    for (const different of [{ amountNanos: "6" }, { source: "card" }, { party: other.party }])
      expect(await pay(customer.party, different)).toMatchObject({
        ...{ code: "id_reused", reference: "wire-1" },
        why: `wire-1 is booked: 0.000000005 credits from bank to ${customer.party}; another payment needs another reference`,
      });
    expect(await available(customer)).toBe(before + 5n);
    expect(await available(other)).toBe(0n);
  });

  it("counts once also when what was answered is not kept any more", async () => {
    const [before, first] = [await available(customer), await pay(customer.party)];
    expect(await h.store.dropAnswers(h.now + 1, 1_000)).toBeGreaterThan(0);
    expect(await pay(customer.party)).toMatchObject({ code: "answer_gone", id: first["id"], reference: "wire-1" });
    expect(await available(customer)).toBe(before + 5n);
  });

  it("counts once when the same arrives many times at once", async () => {
    const before = await available(customer);
    const answers = await Promise.all(Array.from({ length: 5 }, () => pay(customer.party)));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(await available(customer)).toBe(before + 5n);
  });

  it("is a payment of its own under another reference, and each time where there is none", async () => {
    const before = await available(customer);
    for (const reference of ["wire-1", "wire-10", "", ""]) expect((await pay(customer.party, { reference })).code).toBeUndefined();
    expect(await available(customer)).toBe(before + 20n);
  });
});

describe("acceptance", () => {
  it("is too late after a re-match: the order has moved on with a higher attempt", async () => {
    const second = await h.server({
      price: {
        vcpuNanosPerSecond: "2000",
        memoryGibNanosPerSecond: "0",
        diskGibNanosPerSecond: "0",
        gigaFuelNanos: "1200",
        egressGibNanos: "0",
      },
    });
    const lease = await bind();
    expect((await h.lease(lease)).server).toBe(server.id);
    await h.later(6_000);
    expect((await h.lease(lease)).state).toBe("lapsed");
    const order = (await h.store.load("order", [(await h.lease(lease)).orderId])).values().next().value!.data;
    const next = await h.lease(order.lease!);
    expect(next).toMatchObject({ server: second.id, attempt: 2, state: "bound" });
    expect(await h.accept(server, lease)).toMatchObject({ code: "too_late" });
    expect(await h.balance(`${customer.account}/held`)).toBe(BigInt(next.holdNanos));
    expect((await h.accept(second, next.id))["opening"]).toBeDefined();
  });

  it("gives all money back when nobody takes the order", async () => {
    const lease = await bind();
    await h.later(6_000);
    expect((await h.lease(lease)).state).toBe("lapsed");
    expect(await available(customer)).toBe(10_000_000n);
    expect(await h.balance(`${server.id}/vcpu`)).toBe(2n);
  });

  it("can only come from the server of the purchase order", async () => {
    const lease = await bind();
    const other = await h.server();
    expect(await h.accept(other, lease)).toMatchObject({ code: "not_found" });
    expect(await h.act(server.owner.signer, "acceptance", { lease, server: server.id })).toMatchObject({ code: "key_not_allowed" });
  });
});

describe("a lease", () => {
  it("pays what was used, after the window", async () => {
    await h.act(h.operator, "fee", { basisPoints: 1_000, effectiveAt: h.now, clientId: h.id() });
    const lease = await open();
    await h.pass(3_000);
    const settled = await h.submit(await result(lease, { usedMs: 2_000 }));
    expect(settled["settlement"]).toBeDefined();
    expect((await h.lease(lease)).end).toMatchObject({ reason: "completed", dueNanos: "2000", feeNanos: "200", ownerNanos: "1800" });
    expect(await h.balance(`${server.owner.account}/pending`)).toBe(1_800n);
    expect(await available(customer)).toBe(10_000_000n - 2_000n);
    await h.later(60_000);
    expect(await available(server.owner)).toBe(1_800n);
    const owner = (await h.store.load("party", [server.owner.party])).get(server.owner.party)!.data;
    expect(owner.record).toEqual({ leases: 1, completed: 1, ownerFailures: 0, missed: 0, convicted: 0, audited: 0 });
    expect(await h.balance("xenocorp/available")).toBe(200n);
  });

  it("takes claims in order only, and never more than time has passed", async () => {
    const lease = await open();
    const opening = (await h.lease(lease)).openingId!;
    const claim = (over: object) =>
      h.act(server.signer, "claim", { lease, incarnation: 1, sequence: 1, usedMs: 500, egressBytes: 0, previous: opening, ...over });
    await h.pass(1_000);
    expect(await claim({ usedMs: 9_000 })).toMatchObject({ code: "claim_too_early" });
    expect(await claim({ sequence: 2 })).toMatchObject({ code: "claim_out_of_order" });
    expect(await claim({ previous: lease })).toMatchObject({ code: "claim_chain_broken" });
    expect((await claim({}))["receipt"]).toBeDefined();
    expect(await claim({ usedMs: 501 })).toMatchObject({ code: "claim_out_of_order", lastUsedMs: 500 });
  });

  it("takes no claim after claim without a time between them, and takes them on as they are due", async () => {
    const lease = await open();
    let previous = (await h.lease(lease)).openingId!;
    const claim = (sequence: number) =>
      h.act(server.signer, "claim", { lease, incarnation: 1, sequence, usedMs: 0, egressBytes: 0, previous });
    for (let sequence = 1; sequence <= 1_000; sequence++) {
      expect((await claim(sequence))["receipt"]).toBeDefined();
      previous = (await h.lease(lease)).lastClaim!.id;
    }
    expect(await claim(1_001)).toMatchObject({ code: "too_early", why: "a claim is due every 10000 ms, and 1000 have come" });
    expect((await h.lease(lease)).lastClaim?.sequence).toBe(1_000);
    await h.pass(10_000);
    expect((await claim(1_001))["receipt"]).toBeDefined();
  });

  it("refuses results of another job, made-up limits, and stops that nobody asked for", async () => {
    const lease = await open();
    await h.pass(2_000);
    for (const over of [
      { jobHash: "cd".repeat(32) },
      { reason: "time-limit", exitCode: null },
      { reason: "budget", exitCode: null },
      { reason: "customer-stop", exitCode: null },
      { lastClaim: lease },
      { reason: "input-missing", usedMs: 0, exitCode: null },
    ]) {
      expect(await h.submit(await result(lease, over)), JSON.stringify(over)).toMatchObject({ code: "result_mismatch" });
    }
    expect((await h.lease(lease)).state).toBe("open");
  });

  it("ends by silence at the owner's blame: by interval what was receipted, on result nothing", async () => {
    const lease = await open();
    await h.pass(5_000);
    await h.act(server.signer, "claim", {
      lease,
      incarnation: 1,
      sequence: 1,
      usedMs: 4_000,
      egressBytes: 0,
      previous: (await h.lease(lease)).openingId!,
    });
    await h.later(44_000);
    expect((await h.lease(lease)).end).toMatchObject({ reason: "server-unreachable", blame: "owner", dueNanos: "4000" });
    // until its server gets orders again
    await h.pass(COOL_FIRST_MS);
    const other = await open({ terms: "on-result" });
    await h.later(44_000);
    expect((await h.lease(other)).end).toMatchObject({ reason: "not-started", blame: "owner", dueNanos: "0" });
    expect(await h.submit(await result(lease))).toMatchObject({ code: "wrong_state" });
  });

  it("stops billing when the customer stops it, whatever the server says later", async () => {
    const lease = await open();
    await h.pass(2_000);
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" });
    await h.pass(5_000);
    await h.submit(await result(lease, { reason: "customer-stop", exitCode: null, usedMs: 6_500 }));
    expect((await h.lease(lease)).end).toMatchObject({ reason: "customer-stop", billableMs: 2_000 });
  });

  it("is stopped for free before it opened, and paid nothing on result when no result follows a stop", async () => {
    const bound = await bind();
    await h.act(customer.signer, "stop", { lease: bound, party: customer.party, reason: "" });
    expect((await h.lease(bound)).state).toBe("lapsed");
    const lease = await open({ terms: "on-result" });
    await h.pass(1_000);
    await h.act(customer.signer, "stop", { lease, party: customer.party, reason: "" });
    await h.later(31_000);
    expect((await h.lease(lease)).end).toMatchObject({ dueNanos: "0", blame: "owner" });
    expect(await available(customer)).toBe(10_000_000n);
  });

  it("can be extended within the offer, and never by forging the chain", async () => {
    const lease = await open();
    const extend = (durationMsMax: number, previous = lease) =>
      h.act(customer.signer, "extension", { lease, party: customer.party, durationMsMax, previous });
    expect(await extend(30_000)).toMatchObject({ code: "bad_payload" });
    const least = "must be at least 70000 ms: this lease is extended by 10000 ms or more";
    for (const short of [60_001, 69_999]) expect(await extend(short)).toMatchObject({ code: "bad_payload", why: least, leastMs: 70_000 });
    expect(await h.balance(`${customer.account}/held`)).toBe(60_000n);
    expect(await extend(90_000, "00".repeat(32))).toMatchObject({ code: "conflict" });
    expect(await extend(90_000)).toMatchObject({ durationMsMax: 90_000, holdNanos: "90000" });
    expect(await h.balance(`${customer.account}/held`)).toBe(90_000n);
    expect(await extend(4_000_000, (await h.lease(lease)).lastAmendment!)).toMatchObject({ code: "bad_payload" });
  });

  it("is frozen by an objection and decided by a ruling", async () => {
    const lease = await open();
    await h.pass(3_000);
    await h.submit(await result(lease, { usedMs: 2_000 }));
    const stranger = await h.party();
    expect(await h.act(stranger.signer, "objection", { lease, party: stranger.party, expectedDueNanos: "0", reason: "" })).toMatchObject({
      code: "not_found",
    });
    await h.act(customer.signer, "objection", { lease, party: customer.party, expectedDueNanos: "0", reason: "wrong" });
    await h.later(120_000);
    expect(await available(server.owner)).toBe(0n);
    expect(await h.act(h.operator, "ruling", { lease, ownerNanos: "99999", reason: "" } as never)).toMatchObject({ code: "bad_payload" });
    await h.act(h.operator, "ruling", { lease, ownerNanos: "500", reason: "half" } as never);
    expect(await available(server.owner)).toBe(500n);
    expect(await available(customer)).toBe(10_000_000n - 500n);
    expect((await h.lease(lease)).state).toBe("final");
  });
});

describe("keys and parties", () => {
  it("revokes a key at once, but never the root", async () => {
    const device = createSigner(randomBytes(32));
    await h.grant(customer, device.publicKey, "device");
    expect((await h.submit(h.order(customer, {}, device))).code).toBeUndefined();
    await h.act(customer.signer, "key-revoke", { party: customer.party, key: device.publicKey, reason: "" });
    expect(await h.submit(h.order(customer, {}, device))).toMatchObject({ code: "key_revoked" });
    expect(await h.act(customer.signer, "key-revoke", { party: customer.party, key: customer.signer.publicKey, reason: "" })).toMatchObject(
      {
        code: "key_not_allowed",
      },
    );
  });

  it("rotates the root key: the old one is worth nothing, the party stays", async () => {
    const next = createSigner(randomBytes(32));
    await h.act(customer.signer, "key-rotate", { party: customer.party, newRootKey: next.publicKey, newRecoveryKey: null });
    expect(await h.submit(h.order(customer))).toMatchObject({ code: "key_revoked" });
    expect((await h.submit(h.order(customer, {}, next))).code).toBeUndefined();
  });

  it("lets the recovery key rotate only after a public delay", async () => {
    const recovery = createSigner(randomBytes(32));
    const root = createSigner(randomBytes(32));
    const seed = randomBytes(32);
    const me = identityOf(seed);
    await h.act(me.signer, "party", { party: me.party, name: "n", rootKey: me.signer.publicKey, recoveryKey: recovery.publicKey });
    const rotate = () => h.act(recovery, "key-rotate", { party: me.party, newRootKey: root.publicKey, newRecoveryKey: null });
    const announced = await rotate();
    expect(announced["effectiveAt"]).toBe(h.now + 7 * 86_400_000);
    await h.pass(8 * 86_400_000);
    const again = await h.act(recovery, "key-rotate", { party: me.party, newRootKey: root.publicKey, newRecoveryKey: recovery.publicKey });
    expect(again["effectiveAt"]).toBe(h.now);
    expect(
      await h.act(me.signer, "account", { party: me.party, parent: me.account, name: "x", limitNanos: null, clientId: h.id() }),
    ).toMatchObject({
      code: "key_revoked",
    });
  });

  it("bounds a CI key by its account, its day and its expiry", async () => {
    const ci = createSigner(randomBytes(32));
    await h.grant(customer, ci.publicKey, "ci", { account: customer.account, maxSpendPerDayNanos: "100000", expiresAt: h.now + 10_000 });
    expect((await h.submit(h.order(customer, { durationMsMax: 60_000 }, ci))).code).toBeUndefined();
    expect(await h.submit(h.order(customer, { durationMsMax: 60_000 }, ci))).toMatchObject({ code: "limit_reached", key: ci.publicKey });
    expect(await h.act(ci, "payout", { party: customer.party, amountNanos: "1", destination: "", clientId: h.id() })).toMatchObject({
      code: "key_not_allowed",
    });
    await h.pass(11_000);
    expect(await h.submit(h.order(customer, {}, ci))).toMatchObject({ code: "key_expired" });
  });

  it("enrols one server per token", async () => {
    const token = createSigner(randomBytes(32));
    await h.grant(customer, token.publicKey, "enrol");
    const grant = (role: "server" | "device") => h.grant(customer, createSigner(randomBytes(32)).publicKey, role, {}, token);
    expect(await grant("device")).toMatchObject({ code: "key_not_allowed" });
    expect((await grant("server")).code).toBeUndefined();
    expect(await grant("server")).toMatchObject({ code: "key_revoked" });
  });

  it("suspends: nothing new, but what runs finishes and is paid", async () => {
    const lease = await open();
    await h.act(h.operator, "suspension", { party: server.owner.party, suspended: true, reason: "complaints", clientId: h.id() });
    await h.act(h.operator, "suspension", { party: customer.party, suspended: true, reason: "fraud", clientId: h.id() });
    expect(await h.submit(h.order(customer))).toMatchObject({ code: "suspended", reason: "fraud" });
    expect(await h.submit(server.offer({ sequence: 2 }))).toMatchObject({ code: "suspended" });
    expect(
      await h.act(server.owner.signer, "payout", { party: server.owner.party, amountNanos: "1", destination: "", clientId: h.id() }),
    ).toMatchObject({
      code: "suspended",
    });
    await h.pass(2_000);
    expect((await h.submit(await result(lease)))["settlement"]).toBeDefined();
  });
});

describe("accounts", () => {
  it("enforces limits at each node and gives allowance back with refunds", async () => {
    const team = (
      await h.act(customer.signer, "account", {
        party: customer.party,
        parent: customer.account,
        name: "team",
        limitNanos: "100000",
        clientId: h.id(),
      })
    )["account"] as string;
    const member = (
      await h.act(customer.signer, "account", { party: customer.party, parent: team, name: "member", limitNanos: null, clientId: h.id() })
    )["account"] as string;
    const lease = await open({ account: member });
    expect(await h.submit(h.order(customer, { account: member }))).toMatchObject({ code: "limit_reached", account: team });
    await h.pass(2_000);
    await h.submit(await result(lease, { usedMs: 1_000 }));
    expect(await h.balance(`${team}/allowance`)).toBe(-1_000n);
    expect((await h.submit(h.order(customer, { account: member }))).code).toBeUndefined();
  });

  it("lets a batch's leases share one hold and returns the rest", async () => {
    const batch = (
      await h.act(customer.signer, "batch", {
        party: customer.party,
        account: customer.account,
        budgetNanos: "100000",
        expiresAt: h.now + 100_000,
        clientId: h.id(),
      })
    )["batch"] as string;
    const lease = await open({ batch });
    expect(await h.submit(h.order(customer, { batch }))).toMatchObject({ code: "insufficient_funds", account: batch });
    await h.pass(2_000);
    await h.submit(await result(lease, { usedMs: 1_000 }));
    expect(await h.balance(`${batch}/available`)).toBe(99_000n);
    await h.later(100_000);
    expect(await available(customer)).toBe(10_000_000n - 1_000n);
    expect(await h.submit(h.order(customer, { batch }))).toMatchObject({ code: "wrong_state" });
  });

  it("returns what a lease gives back after its batch was closed", async () => {
    const team = (
      await h.act(customer.signer, "account", {
        party: customer.party,
        parent: customer.account,
        name: "t",
        limitNanos: "200000",
        clientId: h.id(),
      })
    )["account"] as string;
    const batch = (
      await h.act(customer.signer, "batch", {
        party: customer.party,
        account: team,
        budgetNanos: "100000",
        expiresAt: h.now + 100_000,
        clientId: h.id(),
      })
    )["batch"] as string;
    const lease = await open({ batch, account: team });
    expect(await h.act(customer.signer, "batch-close", { party: customer.party, batch })).toMatchObject({ returnedNanos: "40000" });
    await h.later(6_000);
    await h.submit(await result(lease, { usedMs: 1_000 }));
    expect(await available(customer)).toBe(10_000_000n - 60_000n);
    await h.later(6_000);
    expect(await available(customer)).toBe(10_000_000n - 1_000n);
    expect(await h.balance(`${team}/allowance`)).toBe(-1_000n);
    expect(await h.store.due("batch", h.now + 1e9, 10, "broker")).toEqual([]);
  });
});

describe("offers", () => {
  it("takes higher sequences only, and never shrinks below what is leased", async () => {
    expect(await h.submit(server.offer({ validUntil: h.now + 1 }))).toMatchObject({ code: "stale_sequence" });
    await open({ resources: { vcpu: 2, memoryMib: 64, diskMib: 1 } });
    expect(await h.submit(server.offer({ sequence: 2, resources: { vcpu: 1, memoryMib: 1024, diskMib: 1024 } }))).toMatchObject({
      code: "capacity_taken",
    });
    expect((await h.submit(server.offer({ sequence: 3, resources: { vcpu: 4, memoryMib: 1024, diskMib: 1024 } }))).code).toBeUndefined();
    expect(await h.balance(`${server.id}/vcpu`)).toBe(2n);
  });
});
