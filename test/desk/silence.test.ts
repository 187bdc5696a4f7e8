/**
 * A doubt step by step, and whoever is silent in it: each step has its deadline in log time and its default, which freezes nothing. What
 * every party has in the end is stated in money.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { disputeWithinMs, drawReferee, traceWithinMs, type LeaseTimings } from "@xenoservers/market";
import type { Identity } from "@xenoservers/sdk";
import { audit, auditQuiet } from "@xenoservers/testkit";
import { Harness, type ServerParty } from "./harness.ts";
import { FUEL, STAKE, ended, orderOn, stakedServer, type Ended } from "./judged.ts";

const CREDIT = 1_000_000_000n;
const OTHER = "99".repeat(32);
const STEP = (FUEL / 4n + 1n).toString();
const REPLICATED = { assurance: "replicated" } as const;

let h: Harness;
let customer: Identity;
let server: ServerParty;
let referees: ServerParty[];
let lease: string;
/** What the first lease cost, what its doubts put down, and what its server has at stake. */
let due: bigint;
let stake: bigint;
/** Paid to referees, by the customer and by the owner. */
let paid: { customer: bigint; owner: bigint };
let leases: string[];

const money = (who: Identity, bucket: string) => h.balance(`${who.account}/${bucket}`);
const doubt = (step: string | null) => h.act(customer.signer, "trace-request", { lease, party: customer.party, step });
const within = () => disputeWithinMs(FUEL, 64) + 1;

async function turn(round: number): Promise<ServerParty> {
  const { settlement } = await h.lease(lease);
  const id = drawReferee(settlement ?? "", referees.map((each) => each.id).toSorted(), round);
  const found = referees.find((each) => each.id === id);
  if (!found) throw new Error(`nobody has round ${round}`);
  return found;
}

/** Ordered, and not a word more of the referee. */
async function ordered(round: number, by = customer): Promise<void> {
  const { lease: id, code } = await orderOn(h, by, await turn(round), { judges: lease, ...REPLICATED });
  expect(code).toBeUndefined();
  leases.push(id as string);
}

async function run(round: number, came: { stdoutDigest?: string }, by: Identity = customer): Promise<Ended> {
  const made = await ended(h, by, await turn(round), { judges: lease, ...REPLICATED }, came);
  leases.push(made.id);
  const cost = BigInt((await h.lease(made.id)).end!.dueNanos);
  paid = by === customer ? { ...paid, customer: paid.customer + cost } : { ...paid, owner: paid.owner + cost };
  return made;
}

async function convicted(): Promise<void> {
  await doubt(null);
  const { id: refereeLease } = await run(1, { stdoutDigest: OTHER });
  const answer = await h.act(customer.signer, "dispute", { lease, party: customer.party, refereeLease, segment: null, ruling: null });
  expect(answer["verdict"]).toBeDefined();
}

async function traced(): Promise<void> {
  const request = (await doubt(STEP))["id"] as string;
  const said = { lease, server: server.id, request, jobHash: "ab".repeat(32), engine: "e", step: STEP, detail: "" };
  expect((await h.act(server.signer, "trace", { ...said, roots: ["11".repeat(32)] })).code).toBeUndefined();
}

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(CREDIT);
  server = await stakedServer(h);
  referees = [await stakedServer(h), await stakedServer(h)];
  for (const { id } of referees) await h.act(h.operator, "referee", { server: id, active: true, clientId: h.id() });
  ({ id: lease } = await ended(h, customer, server, REPLICATED));
  leases = [lease];
  const row = await h.lease(lease);
  [due, stake, paid] = [BigInt(row.end!.dueNanos), BigInt(row.stakeNanos), { customer: 0n, owner: 0n }];
});

interface Outcome {
  /** Of the customer's money, beside what it paid to referees. */
  customer: () => bigint;
  /** Of the owner's pay and stake, beside what it paid to referees. */
  owner: () => bigint;
  staked: () => bigint;
  why: RegExp;
}

const deposit = async (): Promise<bigint> => BigInt((await h.lease(lease)).trace?.depositNanos ?? 0);
/** As the settlement says. */
const SETTLED: Outcome = { customer: () => CREDIT - due, owner: () => due, staked: () => STAKE, why: /nobody objected in time/ };
let put = 0n;
const FORFEITED: Outcome = { ...SETTLED, customer: () => CREDIT - due - put, owner: () => due + put, why: /did not follow up/ };
const UNPAID: Outcome = { ...SETTLED, customer: () => CREDIT, owner: () => 0n, why: /did not answer in time/ };
const CONVICTED: Outcome = { customer: () => CREDIT + stake, owner: () => 0n, staked: () => STAKE - stake, why: /proved it wrong/ };
const NOBODY_LEFT: Outcome = { ...SETTLED, why: /no referee is left/ };

/** A step, who is silent in it, how long it takes at most, and what becomes of everybody. */
const STEPS: readonly [step: string, silent: string, act: () => Promise<void>, waits: (() => number)[], Outcome][] = [
  ["the window", "everybody", async () => {}, [() => 60_001], SETTLED],
  [
    "an objection",
    "the operator",
    async () => void (await h.act(customer.signer, "objection", { lease, party: customer.party, expectedDueNanos: "0", reason: "" })),
    [() => timings().ruleWithinMs + 1],
    SETTLED,
  ],
  ["the trace", "the owner's server", async () => void (await doubt(STEP)), [() => traceWithinMs(FUEL, 64) + 1], UNPAID],
  ["the order for the referee", "the customer", async () => void (await doubt(null)), [within], FORFEITED],
  ["the order for the referee of a segment", "the customer", traced, [within], FORFEITED],
  [
    "the referee's acceptance",
    "every referee",
    async () => {
      await doubt(null);
      await ordered(1);
      await h.later(within());
      await ordered(2);
    },
    [within],
    NOBODY_LEFT,
  ],
  [
    "the referee's result",
    "every referee",
    async () => {
      await doubt(null);
      for (const round of [1, 2]) {
        await ordered(round);
        await h.accept(await turn(round), leases.at(-1)!);
        await h.later(within());
      }
    },
    [() => 1],
    NOBODY_LEFT,
  ],
  [
    "a referee, dismissed by the operator after its run, and no other",
    "the operator",
    async () => {
      const [first, second] = [await turn(1), await turn(2)];
      await doubt(null);
      await run(1, { stdoutDigest: OTHER });
      for (const { id } of [first, second]) await h.act(h.operator, "referee", { server: id, active: false, clientId: h.id() });
    },
    [within],
    NOBODY_LEFT,
  ],
  [
    "bringing what the referee came to",
    "the customer",
    async () => {
      await doubt(null);
      await run(1, { stdoutDigest: OTHER });
    },
    [within],
    FORFEITED,
  ],
  ["the appeal", "the convicted owner", convicted, [() => 60_001], CONVICTED],
  [
    "bringing what the second referee came to",
    "the convicted owner",
    async () => {
      await convicted();
      await run(2, {}, server.owner);
    },
    [within],
    CONVICTED,
  ],
  [
    "the second referee's result",
    "every other referee",
    async () => {
      await convicted();
      await ordered(2, server.owner);
    },
    [within],
    CONVICTED,
  ],
];
const timings = (): LeaseTimings => h.desk.services.config.timings;

describe("every step has an end, whoever is silent", () => {
  it.each(STEPS)("%s: %s", async (_step, _silent, act, waits, outcome) => {
    const { party } = server.owner;
    await h.act(h.operator, "credit", { party, amountNanos: CREDIT.toString(), source: "operator", reference: "", clientId: h.id() });
    const base = await money(server.owner, "available");
    await act();
    put = await deposit();
    const { balances } = await h.store.audit();
    const rows = async () => [...(await h.store.load("lease", leases)).values()].map(({ data }) => data);
    expect(audit({ balances, leases: await rows() })).toBeNull();
    for (const wait of waits) await h.later(wait());
    const { state, final } = await h.lease(lease);
    expect({ state, why: final?.why }).toEqual({ state: "final", why: expect.stringMatching(outcome.why) });
    for (let i = 0; i < 3; i++) await h.later(120_000); // the referees' own leases
    expect(await money(customer, "available")).toBe(outcome.customer() - paid.customer);
    expect((await money(server.owner, "available")) - base).toBe(outcome.owner() - paid.owner);
    expect(await money(server.owner, "staked")).toBe(outcome.staked());
    const snapshot = { balances: (await h.store.audit()).balances, leases: await rows() };
    expect([audit(snapshot), auditQuiet(snapshot)]).toEqual([null, null]);
  });

  it("and no step counts time in which no broker was there to hear", async () => {
    await doubt(null);
    await h.pass(1_000);
    h.now += 10 * disputeWithinMs(FUEL, 64);
    await h.desk.runTimers();
    expect((await h.lease(lease)).state).toBe("disputed");
    const first = await turn(1);
    await h.submit(first.offer({ sequence: 2, validUntil: h.now + 600_000 }));
    const { id } = await run(1, {});
    expect(
      (await h.act(customer.signer, "dispute", { lease, party: customer.party, refereeLease: id, segment: null, ruling: null })).code,
    ).toBeUndefined();
    expect((await h.lease(lease)).final).toMatchObject({ judgement: "right" });
  });
});
