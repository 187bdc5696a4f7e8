/** The moves of a long dispute at the desk: who is late, who withholds, who asks for what does not exist; and who bears the cost. */
import { beforeEach, describe, expect, it } from "vitest";
import { disputeWithinMs, traceWithinMs } from "@xenoservers/market";
import { endRootOf, segmentHashOf, type Payload, type SignedDocument } from "@xenoservers/protocol";
import { nodeCrypto } from "@xenoservers/protocol/node";
import type { Identity } from "@xenoservers/sdk";
import { Harness, type ServerParty } from "./harness.ts";
import { DIGEST, FUEL, STAKE, ended, stakedServer } from "./judged.ts";

const STEP = FUEL / 4n + 1n;
const JOB = "ab".repeat(32);
const zero = DIGEST;

let h: Harness;
let customer: Identity;
let server: ServerParty;
let referee: ServerParty;
let lease: string;
let result: SignedDocument<"result">;

const money = (who: Identity, bucket: string) => h.balance(`${who.account}/${bucket}`);

beforeEach(async () => {
  h = await Harness.open();
  customer = await h.party(1_000_000_000n);
  [server, referee] = [await stakedServer(h), await stakedServer(h)];
  await h.act(h.operator, "referee", { server: referee.id, active: true, clientId: h.id() });
  ({ id: lease, document: result } = await ended(h, customer, server, { assurance: "replicated" }, {}));
});

const ask = (step: bigint | null = STEP, by = customer) =>
  h.act(by.signer, "trace-request", { lease, party: by.party, step: step?.toString() ?? null });
const trace = (over: Partial<Payload<"trace">> = {}, by = server) =>
  h.sign(by.signer, "trace", {
    lease,
    server: by.id,
    request: "",
    jobHash: JOB,
    engine: "e",
    step: STEP.toString(),
    roots: [],
    detail: "",
    ...over,
  });
const roots = ["11", "22", "33"].map((byte) => byte.repeat(32));
const dispute = (refereeLease: string, segment: number | null) =>
  h.act(customer.signer, "dispute", { lease, party: customer.party, refereeLease, segment, ruling: null });
const segmentRun = (index: number, from: string | null, stateRoot: string | null, over: Partial<Payload<"result">> = {}) =>
  ended(
    h,
    customer,
    referee,
    {
      judges: lease,
      segment: true,
      jobHash: segmentHashOf(nodeCrypto, JOB, { from, step: STEP.toString(), index, upTo: null }),
      fuelMax: STEP.toString(),
    },
    { reason: "segment-end", exitCode: null, memoryHash: null, fuel: "7", stateRoot, ...over },
  );

describe("asking for a trace", () => {
  it("freezes the pay, takes a deposit, and is done once", async () => {
    const before = await money(customer, "available");
    const answer = await ask();
    const due = BigInt((await h.lease(lease)).end!.dueNanos) + 600n * 600n;
    expect(answer).toMatchObject({
      depositNanos: due.toString(),
      answerBy: h.now + traceWithinMs(FUEL, 64),
      referee: referee.id,
      round: 1,
    });
    expect([await money(customer, "available"), await money(customer, "locked")]).toEqual([before - due, due]);
    expect((await h.lease(lease)).state).toBe("disputed");
    expect(await ask()).toEqual(answer);
    expect(await ask(STEP + 1n)).toMatchObject({ code: "wrong_state" });
    expect(h.sent.at(-1)).toMatchObject({ server: server.id });
  });

  it("is refused to others, for too many breakpoints, and when the window is over", async () => {
    expect(await ask(STEP, await h.party(1n))).toMatchObject({ code: "not_found" });
    expect(await ask(1n)).toMatchObject({ code: "bad_payload", path: "step" });
    expect(await ask(0n)).toMatchObject({ code: "bad_payload", path: "step" });
    await h.later(600_000);
    expect(await ask()).toMatchObject({ code: "wrong_state", state: "final" });
  });
});

describe("time", () => {
  it("costs a silent server its pay, and no stake", async () => {
    const before = await money(customer, "available");
    await ask();
    await h.later(traceWithinMs(FUEL, 64) + 1);
    const { state, end } = await h.lease(lease);
    expect([state, await money(customer, "available")]).toEqual(["final", before + BigInt(end!.dueNanos)]);
    expect([await money(server.owner, "staked"), await money(server.owner, "available"), await money(customer, "locked")]).toEqual([
      STAKE,
      0n,
      0n,
    ]);
  });

  it("costs a customer that does not follow up (it may withhold the inputs from the referee) its deposit", async () => {
    const request = (await ask())["id"] as string;
    expect((await h.submit(trace({ request, roots }))).code).toBeUndefined();
    const nothing = { reason: "input-missing", exitCode: null, fuel: "0", memoryHash: null } as const;
    await ended(h, customer, referee, { judges: lease }, nothing, 66_000); // the referee waits until startBy before it may say so
    await h.later(disputeWithinMs(FUEL, 64) + 1);
    const { dueNanos } = (await h.lease(lease)).end!;
    expect(await money(server.owner, "available")).toBe(BigInt(dueNanos) * 2n + 600n * 600n);
    expect([await money(server.owner, "staked"), await money(customer, "locked")]).toEqual([STAKE, 0n]);
  });
});

describe("a trace", () => {
  it("counts only from the server, for what was asked, and once", async () => {
    const request = (await ask())["id"] as string;
    expect(await h.submit(trace({ request }, referee))).toMatchObject({ code: "not_found" });
    expect(await h.submit(trace({ request: zero }))).toMatchObject({ code: "result_mismatch" });
    expect(await h.submit(trace({ request, step: "5" }))).toMatchObject({ code: "result_mismatch" });
    expect(await h.submit(trace({ request, jobHash: zero }))).toMatchObject({ code: "result_mismatch" });
    expect((await h.submit(trace({ request, roots }))).code).toBeUndefined();
    expect(await h.submit(trace({ request, roots: roots.slice(1) }))).toMatchObject({ code: "wrong_state" });
  });
});

describe("a segment", () => {
  const traced = async () => {
    const request = (await ask())["id"] as string;
    await h.submit(trace({ request, roots }));
  };

  it.each([
    ["the first, from the beginning", 1, () => segmentRun(1, null, "99".repeat(32))],
    ["one in the middle", 3, () => segmentRun(3, roots[1]!, "99".repeat(32))],
    [
      "the last, where the job ended otherwise",
      4,
      () => segmentRun(4, roots[2]!, "99".repeat(32), { reason: "completed", exitCode: 0, memoryHash: zero }),
    ],
  ])("convicts by %s", async (_name, index, run) => {
    await traced();
    const { id } = await run();
    const answer = await dispute(id, index);
    expect(answer["verdict"]).toBeDefined();
    const { stakeNanos } = await h.lease(lease);
    expect([await money(server.owner, "staked"), await money(server.owner, "locked")]).toEqual([
      STAKE - BigInt(stakeNanos),
      BigInt(stakeNanos),
    ]);
    expect(await money(customer, "locked")).toBe(0n);
    const before = await money(customer, "available");
    await h.later(60_001); // nobody appeals
    expect(await money(customer, "available")).toBe(before + BigInt(stakeNanos));
    expect(await h.lease(lease)).toMatchObject({ state: "final", final: { stakeTo: "customer", judgement: "wrong" } });
  });

  it("that agrees convicts nobody", async () => {
    await traced();
    const { id } = await segmentRun(2, roots[0]!, roots[1]!);
    expect(await dispute(id, 2)).toMatchObject({ code: "result_agrees" });
    const last = await segmentRun(4, roots[2]!, endRootOf(nodeCrypto, result.payload), {
      reason: "completed",
      exitCode: 0,
      memoryHash: zero,
    });
    expect(await dispute(last.id, 4)).toMatchObject({ code: "result_agrees" });
  });

  it("convicts nobody who could not trace the job: a failed host has not lied", async () => {
    const request = (await ask())["id"] as string;
    await h.submit(trace({ request, detail: "the guest's process was killed" }));
    const { id } = await segmentRun(1, null, "99".repeat(32));
    expect(await dispute(id, 1)).toMatchObject({ code: "not_comparable", why: expect.stringContaining("could not trace") });
  });

  it("is not judged from another state, as another index, by no referee, or without a trace", async () => {
    await traced();
    const other = await segmentRun(2, "77".repeat(32), "99".repeat(32));
    expect(await dispute(other.id, 2)).toMatchObject({ code: "not_comparable", why: expect.stringContaining("another segment") });
    const right = await segmentRun(2, roots[0]!, "99".repeat(32));
    expect(await dispute(right.id, 3)).toMatchObject({ code: "not_comparable" });
    expect(await dispute(right.id, 9)).toMatchObject({ code: "not_comparable", why: expect.stringContaining("3 breakpoints") });
    expect(await dispute(right.id, null)).toMatchObject({ code: "not_comparable" });
    await h.act(h.operator, "referee", { server: referee.id, active: false, clientId: h.id() });
    expect(await dispute(right.id, 2)).toMatchObject({ code: "not_drawn", why: expect.stringContaining("dismissed") });
  });
});
