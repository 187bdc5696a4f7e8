/** Who judges: drawn by the settlement, never a party's own, with room kept on it, replaced where it fails, and judged itself on appeal. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { capacityKey, disputeWithinMs, drawReferee, judgeWithinMs, stakeToLockNanos } from "@xenoservers/market";
import type { Envelope, Payload } from "@xenoservers/protocol";
import type { Identity } from "@xenoservers/sdk";
import { audit } from "@xenoservers/testkit";
import { Harness, type ServerParty } from "./harness.ts";
import { DIGEST, FUEL, STAKE, ended, finish, known, orderOn, stakedServer, type Ended } from "./judged.ts";

const OTHER = "99".repeat(32);

let h: Harness;
let customer: Identity;
let server: ServerParty;
let referees: ServerParty[];
let leases: string[];
let lease: string;

const money = (who: Identity, bucket: string) => h.balance(`${who.account}/${bucket}`);
const name = (on: ServerParty, active = true) => h.act(h.operator, "referee", { server: on.id, active, clientId: h.id() });
const doubt = (step: string | null = null, of = lease) =>
  h.act(customer.signer, "trace-request", { lease: of, party: customer.party, step });
const dispute = (run: Ended, ruling: Envelope | null = run.document.envelope) =>
  h.act(customer.signer, "dispute", { lease, party: customer.party, refereeLease: run.id, segment: null, ruling });
const REPLICATED = { assurance: "replicated" } as const;
const free = (on: ServerParty) => h.balance(capacityKey(on.id, "vcpu", "free"));

/** Runs what the referee came to; kept, so that the books can be audited. */
async function run(
  on: ServerParty,
  over: Partial<Payload<"result">> = {},
  by = customer,
  order: Partial<Payload<"order">> = {},
): Promise<Ended> {
  const made = await ended(h, by, on, { judges: lease, ...REPLICATED, ...order }, over);
  leases.push(made.id);
  return made;
}

const ofId = (id: unknown): ServerParty => {
  const found = referees.find((each) => each.id === id);
  if (!found) throw new Error(`${String(id)} is no referee`);
  return found;
};
/** Whose turn it is in this round of the lease, by the rule itself. */
async function turn(round: number): Promise<ServerParty> {
  const { settlement } = await h.lease(lease);
  return ofId(drawReferee(settlement ?? "", referees.map(({ id }) => id).toSorted(), round));
}
/** The owner of who was convicted pays for a second referee's run. */
async function funded({ owner }: ServerParty): Promise<Identity> {
  const { party } = owner;
  await h.act(h.operator, "credit", { party, amountNanos: STAKE.toString(), source: "operator", reference: "", clientId: h.id() });
  return owner;
}

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(1_000_000_000n);
  server = await stakedServer(h);
  referees = [await stakedServer(h), await stakedServer(h), await stakedServer(h)];
  for (const referee of referees) await name(referee);
  ({ id: lease } = await ended(h, customer, server, REPLICATED));
  leases = [lease];
});

/** Nothing is lost, sold twice or frozen for nobody, whatever was tried. */
afterEach(async () => {
  const { balances } = await h.store.audit();
  const rows = [...(await h.store.load("lease", leases)).values()].map(({ data }) => data);
  expect(audit({ balances, leases: rows })).toBeNull();
});

describe("whose turn it is", () => {
  it("follows from the settlement and from who was a referee by then", async () => {
    const later = await stakedServer(h);
    await name(later);
    const first = await turn(1);
    expect(await doubt()).toMatchObject({ referee: first.id, round: 1, passed: [] });
    const { draw, seat } = await h.lease(lease);
    expect(draw?.candidates).toEqual(referees.map(({ id }) => id).toSorted());
    expect(seat).toBe(first.id);
  });

  it("is never the customer's own", async () => {
    const [own, ...others] = referees;
    const owner = await funded(own!);
    const { id } = await ended(h, owner, server, REPLICATED);
    leases.push(id);
    const asked = await h.act(owner.signer, "trace-request", { lease: id, party: owner.party, step: null });
    expect(others.map((each) => each.id)).toContain(asked["referee"]);
    expect((await h.lease(id)).draw?.candidates).toEqual(others.map((each) => each.id).toSorted());
  });

  it("passes over who is not listed, full, offline or suspended, and says why", async () => {
    const [first, second] = [await turn(1), await turn(2)];
    await h.act(first.signer, "offer-withdrawal", { owner: first.owner.party, server: first.id, sequence: 2 });
    h.index.setOnline(second.id, false);
    expect(await doubt()).toMatchObject({
      referee: (await turn(3)).id,
      round: 3,
      passed: [
        { referee: first.id, why: "it is not listed" },
        { referee: second.id, why: "it is offline" },
      ],
    });
  });

  it("is nobody's where nobody can: nothing is frozen", async () => {
    for (const { owner } of referees)
      await h.act(h.operator, "suspension", { party: owner.party, suspended: true, reason: "", clientId: h.id() });
    const before = await money(customer, "available");
    expect(await doubt()).toMatchObject({ code: "no_referee", why: expect.stringContaining("suspended") });
    expect([(await h.lease(lease)).state, await money(customer, "available")]).toEqual(["settled", before]);
  });
});

describe("a referee's room", () => {
  it("is for judging alone", async () => {
    const [referee] = referees;
    expect(await orderOn(h, customer, referee!)).toMatchObject({ code: "no_match", excluded: { referee: 3 } });
    expect(await orderOn(h, await funded(referee!), referee!)).toMatchObject({ code: "no_match", excluded: { referee: 3 } });
    await name(referee!, false);
    const placed = await orderOn(h, customer, referee!);
    expect(placed["lease"]).toBeDefined();
    leases.push(placed["lease"] as string);
  });

  it("is kept from the doubt until the run is ordered, which takes it", async () => {
    const first = await turn(1);
    const before = await free(first);
    await doubt();
    expect(await free(first)).toBe(before - 1n);
    const placed = await orderOn(h, customer, first, { judges: lease, ...REPLICATED });
    leases.push(placed["lease"] as string);
    expect([await free(first), (await h.lease(lease)).seat]).toEqual([before - 1n, null]);
  });

  it("is given back where nobody follows up", async () => {
    const first = await turn(1);
    const before = await free(first);
    await doubt();
    await h.later(disputeWithinMs(FUEL, 64) + 1);
    expect([await free(first), (await h.lease(lease)).seat, (await h.lease(lease)).state]).toEqual([before, null, "final"]);
  });
});

describe("a judging order", () => {
  it("is taken for a doubted lease alone, of its customer, on the drawn referee, for that job, in time, one at a time", async () => {
    const [first, second] = [await turn(1), await turn(2)];
    const judging = { judges: lease, ...REPLICATED };
    expect(await orderOn(h, customer, first, judging)).toMatchObject({ code: "wrong_state" });
    await doubt();
    const stranger = await h.party(1_000_000n);
    expect(await orderOn(h, stranger, first, judging)).toMatchObject({ code: "not_found" });
    expect(await orderOn(h, await funded(server), first, judging)).toMatchObject({ code: "not_yours" });
    expect(await orderOn(h, customer, second, judging)).toMatchObject({ code: "not_drawn", referee: first.id, round: 1 });
    expect(await orderOn(h, customer, first, { ...judging, jobHash: OTHER })).toMatchObject({ code: "bad_payload", path: "judges" });
    const larger = { vcpu: 2, memoryMib: 64, diskMib: 1 };
    expect(await orderOn(h, customer, first, { ...judging, resources: larger })).toMatchObject({ code: "bad_payload" });
    expect(await orderOn(h, customer, first, { ...judging, terms: "by-interval" })).toMatchObject({ code: "bad_payload", path: "judges" });
    const placed = await orderOn(h, customer, first, judging);
    leases.push(placed["lease"] as string);
    expect(await orderOn(h, customer, first, judging)).toMatchObject({ code: "conflict", refereeLease: placed["lease"] });
  });

  it("comes too late where the referee would have too little time", async () => {
    await doubt();
    await h.pass(judgeWithinMs(FUEL, 64) + 1);
    expect(await orderOn(h, customer, await turn(1), { judges: lease, ...REPLICATED })).toMatchObject({ code: "too_late" });
  });
});

describe("what is brought", () => {
  it("must be the drawn referee's, ordered for this lease", async () => {
    await doubt();
    const apart = await stakedServer(h);
    const bought = await ended(h, customer, apart, REPLICATED, { stdoutDigest: OTHER });
    leases.push(bought.id);
    expect(await dispute(bought)).toMatchObject({ code: "not_comparable", why: expect.stringContaining("not ordered to judge") });
    const judged = await run(await turn(1), { stdoutDigest: OTHER });
    expect((await dispute(judged))["verdict"]).toBeDefined();
  });

  it("shows what that referee signed for that run, and nothing else", async () => {
    await doubt();
    const referee = await turn(1);
    const judged = await run(referee, { stdoutDigest: OTHER });
    const payload = { ...judged.document.payload, stdoutDigest: DIGEST };
    const others = [
      h.sign(referee.signer, "result", payload).envelope, // its own, and not what it handed in
      h.sign((await turn(2)).signer, "result", judged.document.payload).envelope,
      h.sign(customer.signer, "delivery", { lease, result: judged.document.id, sealed: null }).envelope,
      { ...judged.document.envelope, payload: "e30=" },
    ];
    for (const ruling of others) expect(await dispute(judged, ruling)).toMatchObject({ code: "result_mismatch", refereeLease: judged.id });
    expect((await h.lease(lease)).state).toBe("disputed");
    expect((await dispute(judged))["verdict"]).toBeDefined();
  });

  it("is heard without it, as in version 1", async () => {
    await doubt();
    expect((await dispute(await run(await turn(1), { stdoutDigest: OTHER }), null))["verdict"]).toBeDefined();
  });

  it("ends the doubt where it agrees: the owner keeps its pay and gets the deposit", async () => {
    await doubt();
    const { trace, end } = await h.lease(lease);
    const before = await money(server.owner, "available");
    expect((await dispute(await run(await turn(1)))).code).toBeUndefined();
    expect((await h.lease(lease)).final).toMatchObject({ judgement: "right", stakeTo: "owner" });
    expect(await money(server.owner, "available")).toBe(before + BigInt(end!.dueNanos) + BigInt(trace!.depositNanos));
  });
});

describe("a referee that fails", () => {
  it.each<[string, (on: ServerParty) => Promise<unknown>]>([
    [
      "does not accept",
      async (on) => void leases.push((await orderOn(h, customer, on, { judges: lease, ...REPLICATED }))["lease"] as string),
    ],
    ["fails as a host", (on) => run(on, { reason: "server-failed", exitCode: null, fuel: "0", memoryHash: null })],
    [
      "falls silent",
      async (on) => {
        const { lease: id } = await orderOn(h, customer, on, { judges: lease, ...REPLICATED });
        leases.push(id as string);
        await h.accept(on, id as string);
      },
    ],
    [
      "is dismissed before it is heard",
      async (on) => {
        await run(on, { stdoutDigest: OTHER });
        await name(on, false);
      },
    ],
  ])("%s: the next one is drawn, and no party loses by it", async (_, act) => {
    const [first, second] = [await turn(1), await turn(2)];
    await doubt();
    await act(first);
    await h.later(60_000);
    expect(await orderOn(h, customer, first, { judges: lease, ...REPLICATED })).toMatchObject({ code: "not_drawn", referee: second.id });
    const judged = await run(second, { stdoutDigest: OTHER });
    const { draw } = await h.lease(lease);
    expect(draw).toMatchObject({ round: 2, referee: second.id });
    expect((await dispute(judged))["verdict"]).toBeDefined();
  });

  it("and revokes its key after its run is not heard: the next one judges, and what that one signed is proof", async () => {
    const [first, second] = [await turn(1), await turn(2)];
    await doubt();
    const judged = await run(first, { stdoutDigest: OTHER });
    const { owner } = first;
    await h.act(owner.signer, "key-revoke", { party: owner.party, key: first.signer.publicKey, reason: "" });
    const before = await money(customer, "available");
    expect(await dispute(judged)).toMatchObject({ code: "not_drawn", refereeLease: judged.id, why: "its key was revoked" });
    expect([(await h.lease(lease)).state, await money(customer, "available")]).toEqual(["disputed", before]);
    expect(await orderOn(h, customer, first, { judges: lease, ...REPLICATED })).toMatchObject({ code: "not_drawn", referee: second.id });
    expect((await dispute(await run(second, { stdoutDigest: OTHER })))["verdict"]).toBeDefined();
  });

  it("and revokes its key costs nobody the doubt's time: at the deadline the next one is drawn", async () => {
    const [first, second] = [await turn(1), await turn(2)];
    await doubt();
    await run(first, { stdoutDigest: OTHER });
    const { owner } = first;
    await h.act(owner.signer, "key-revoke", { party: owner.party, key: first.signer.publicKey, reason: "" });
    await h.later(disputeWithinMs(FUEL, 64) + 1);
    expect((await h.lease(lease)).draw).toMatchObject({ round: 2, referee: second.id });
  });

  it("at the deadline costs the customer nothing: the next round begins, and after the last one nothing is frozen", async () => {
    const before = await money(customer, "available");
    await doubt();
    for (const round of [1, 2, 3]) {
      const placed = await orderOn(h, customer, await turn(round), { judges: lease, ...REPLICATED });
      leases.push(placed["lease"] as string);
      await h.later(disputeWithinMs(FUEL, 64) + 1);
    }
    const { state, final, end } = await h.lease(lease);
    expect({ state, final }).toMatchObject({
      state: "final",
      final: { ownerNanos: end!.ownerNanos, why: "no referee is left to judge it" },
    });
    await h.later(1_000_000);
    expect([await money(customer, "available"), await money(customer, "locked")]).toEqual([before, 0n]);
  });

  it("is not failed by a customer that withholds the job: the owner keeps its pay and the deposit", async () => {
    await doubt();
    const nothing = { reason: "input-missing", exitCode: null, fuel: "0", memoryHash: null } as const;
    leases.push((await ended(h, customer, await turn(1), { judges: lease, ...REPLICATED }, nothing, 66_000)).id);
    await h.later(disputeWithinMs(FUEL, 64) + 1);
    expect((await h.lease(lease)).final).toMatchObject({ why: "its customer did not follow up", deposits: [{ to: "owner" }] });
  });
});

describe("a verdict", () => {
  const convicted = async (over: Partial<Payload<"result">> = { stdoutDigest: OTHER }) => {
    await doubt();
    const first = await run(await turn(1), over);
    await dispute(first);
    return first;
  };
  const appeal = (judged: Ended, by = server.owner) => h.act(by.signer, "appeal", { lease, party: by.party, refereeLease: judged.id });
  const record = async ({ owner }: ServerParty) => (await h.store.load("party", [owner.party])).get(owner.party)?.data.record;

  it("gives the pay back at once, and the stake when nobody has appealed in time", async () => {
    const before = await money(customer, "available");
    const judged = await convicted();
    const { end, stakeNanos } = await h.lease(lease);
    const cost = BigInt((await h.lease(judged.id)).end!.dueNanos);
    expect(await money(customer, "available")).toBe(before + BigInt(end!.dueNanos) - cost);
    expect(await money(server.owner, "locked")).toBe(BigInt(stakeNanos));
    expect(await record(server)).toMatchObject({ convicted: 1 });
    await h.later(60_001);
    expect(await money(customer, "available")).toBe(before + BigInt(end!.dueNanos) - cost + BigInt(stakeNanos));
    expect((await h.lease(lease)).state).toBe("final");
  });

  it("is overturned by a second referee that agrees with the server: the first one bears it", async () => {
    await known(h, server, 40);
    const first = await convicted();
    const [one, two] = [await turn(1), await turn(2)];
    const owner = await funded(server);
    expect(await orderOn(h, customer, two, { judges: lease, ...REPLICATED })).toMatchObject({ code: "not_yours" });
    expect(await orderOn(h, owner, one, { judges: lease, ...REPLICATED })).toMatchObject({ code: "not_drawn", referee: two.id, round: 2 });
    const before = await money(owner, "available");
    const second = await run(two, {}, owner);
    const paid = before - (await money(owner, "available"));
    expect(await appeal(second, customer)).toMatchObject({ code: "not_found" });
    expect(await appeal(second)).toMatchObject({ overturned: true });
    expect(await h.lease(lease)).toMatchObject({ state: "final", final: { stakeTo: "owner", judgement: "right" } });
    // nobody had drawn it: the record is what it was
    expect(await record(server)).toMatchObject({ convicted: 0, audited: (await h.lease(lease)).end?.audited === true ? 41 : 40 });
    expect(await money(owner, "staked")).toBe(STAKE);
    const run1 = await h.lease(first.id);
    expect(run1).toMatchObject({
      state: "final",
      final: { ownerNanos: "0", stakeTo: "wronged", wronged: owner.party, judgement: "wrong" },
    });
    expect(await money(owner, "available")).toBe(before - paid + BigInt(run1.stakeNanos));
    expect(BigInt(run1.stakeNanos)).toBe(stakeToLockNanos("replicated", BigInt(run1.holdNanos) - BigInt(run1.auditReserveNanos)));
    expect(await money(one.owner, "staked")).toBe(STAKE - BigInt(run1.stakeNanos));
    expect(await record(one)).toMatchObject({ convicted: 1 });
    expect(await appeal(second)).toMatchObject({ overturned: true }); // the same words, the same answer
  });

  it.each<[string, Partial<Payload<"result">>]>([
    ["agrees with the first", { stdoutDigest: OTHER }],
    ["agrees with nobody", { stdoutDigest: "55".repeat(32) }],
  ])("stands where the second referee %s: the appellant has paid its run", async (_, over) => {
    await convicted();
    const owner = await funded(server);
    const second = await run(await turn(2), over, owner);
    expect(await appeal(second)).toMatchObject({ overturned: false });
    expect(await h.lease(lease)).toMatchObject({ state: "final", final: { stakeTo: "customer", judgement: "wrong" } });
    expect(await record(server)).toMatchObject({ convicted: 1 });
    expect(await orderOn(h, owner, await turn(3), { judges: lease, ...REPLICATED })).toMatchObject({ code: "wrong_state" });
  });

  it("is not appealed against by the run of another part", async () => {
    await convicted();
    const owner = await funded(server);
    const part = await run(await turn(2), { reason: "segment-end", exitCode: null, memoryHash: null, stateRoot: DIGEST }, owner, {
      segment: true,
      jobHash: OTHER,
    });
    expect(await appeal(part)).toMatchObject({ code: "not_comparable", why: expect.stringContaining("another job") });
  });

  it("is not appealed against after its time: what a second referee came to is brought, or says nothing", async () => {
    await convicted();
    const second = await run(await turn(2), {}, await funded(server));
    await h.later(disputeWithinMs(FUEL, 64) + 1);
    expect((await h.lease(lease)).final).toMatchObject({ stakeTo: "customer" });
    expect(await appeal(second)).toMatchObject({ code: "wrong_state" });
  });

  it("waits for the appeal with the first referee's pay, and no longer", async () => {
    const first = await convicted();
    await h.later(59_000);
    const owner = await funded(server);
    const two = await turn(2);
    const { lease: second } = await orderOn(h, owner, two, { judges: lease, ...REPLICATED });
    leases.push(second as string);
    await h.accept(two, second as string);
    await h.later(1_500);
    expect((await h.lease(first.id)).state).toBe("settled");
    const run2 = await finish(h, owner, two, second as string, { stdoutDigest: OTHER });
    await appeal(run2);
    await h.later(disputeWithinMs(FUEL, 64));
    expect([(await h.lease(first.id)).state, (await h.lease(run2.id)).state]).toEqual(["final", "final"]);
    expect((await h.lease(first.id)).final).toMatchObject({ judgement: "none", stakeTo: "owner" });
  });

  it("stands where the second referee is silent and no other is left", async () => {
    await convicted();
    const owner = await funded(server);
    for (const round of [2, 3]) {
      const placed = await orderOn(h, owner, await turn(round), { judges: lease, ...REPLICATED });
      leases.push(placed["lease"] as string);
      await h.later(disputeWithinMs(FUEL, 64) + 1);
    }
    expect((await h.lease(lease)).final).toMatchObject({ stakeTo: "customer", why: expect.stringContaining("no other is left") });
  });
});

it("doubts no doubts: a referee's run is judged on appeal alone", async () => {
  await doubt();
  const judged = await run(await turn(1));
  expect(await doubt(null, judged.id)).toMatchObject({ code: "not_comparable" });
});
