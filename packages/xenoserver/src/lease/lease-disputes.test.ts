/** Disputes and verdicts as a server takes them: judged by the lease at their place in the log, and then never otherwise. */
import { beforeEach, expect, it } from "vitest";
import { drawReferee } from "@xenoservers/market";
import { Random, SimClock } from "@xenoservers/testkit";
import { isOfKind, serverIdOf, type Envelope, type Payload, type SignedDocument, type Signer } from "@xenoservers/protocol";
import { createSigner, nodeCrypto } from "@xenoservers/protocol/node";
import { judge } from "@xenoservers/verify";
import { FakeCustomer, fakeJob } from "../testing/fake-customer.ts";
import { FakeMarket } from "../testing/fake-market.ts";
import { TestServer } from "../testing/test-server.ts";

const REFEREES = [96, 97].map((seed) => createSigner(new Uint8Array(32).fill(seed)));
const idOf = ({ publicKey }: Signer): string => serverIdOf(nodeCrypto, publicKey);

let clock: SimClock;
let market: FakeMarket;
let test: TestServer;
let lease: string;
let own: SignedDocument<"result">;

const until = (condition: () => boolean): Promise<void> => clock.runUntil(clock.now() + 3_600_000, condition);
const passing = (ms: number): Promise<void> => clock.runUntil(clock.now() + ms);

/** A settled lease that its customer doubts. */
beforeEach(async () => {
  clock = new SimClock(1_800_000_000_000, new Random(1));
  market = new FakeMarket(clock);
  test = new TestServer(market);
  await test.server.start();
  await until(() => market.received.some((each) => isOfKind(each, "offer")));
  const job = fakeJob(["run", 1_000, 0, "x"]);
  lease = market.place({ jobHash: job.jobHash, terms: "on-result", assurance: "replicated" });
  await until(() => test.stage(lease) !== undefined);
  void new FakeCustomer(market, lease, job, "signs").attach();
  await until(() => market.lease(lease).state === "settled");
  const result = market.received.find((each) => isOfKind(each, "result"));
  if (!result || !isOfKind(result, "result")) throw new Error("no result");
  own = result;
  market.file(market.sign(market.customer.signer, "trace-request", { lease, party: market.customer.party, step: null }));
  await passing(1_000);
  market.pushes = false;
});

const candidates = REFEREES.map(idOf).toSorted();
const drawnIn = (round: number): string | null => drawReferee(market.lease(lease).settlement ?? "", candidates, round);
function refereeOf(round: number): Signer {
  const found = REFEREES.find((each) => idOf(each) === drawnIn(round));
  if (!found) throw new Error("nobody is drawn in this round");
  return found;
}
function draw(round: number): Envelope {
  const passed = [drawnIn(1)].slice(0, round - 1).map((referee) => ({ referee: referee ?? "", why: "it is offline" }));
  const said = { lease, round, referee: drawnIn(round), candidates, passed, at: clock.now() };
  return market.sign(market.keys.receipts, "draw", said).envelope;
}
const rulingOf = (referee: Signer, said: object = {}): SignedDocument<"result"> =>
  market.sign(referee, "result", { ...own.payload, lease: "77".repeat(32), server: idOf(referee), ...said });
const dispute = (ruling: SignedDocument<"result">): Envelope => {
  const about = { lease, party: market.customer.party, refereeLease: ruling.payload.lease, segment: null };
  return market.sign(market.customer.signer, "dispute", { ...about, ruling: ruling.envelope }).envelope;
};
function verdict(ruling: SignedDocument<"result">): Envelope {
  const { end, stakeNanos, server, owner } = market.lease(lease);
  const judged = judge(nodeCrypto, own.payload, ruling.payload, market.lease(lease), null);
  const about = { lease, server, owner, referee: ruling.payload.server, result: own.envelope, ruling: ruling.envelope, trace: null };
  const said: Omit<Payload<"verdict">, "origin" | "seen"> = {
    ...{ ...about, segment: null, why: (judged.ok && judged.difference) || "", at: clock.now(), round: 1 },
    ...{ refundNanos: String(BigInt(end?.ownerNanos ?? 0) + BigInt(end?.feeNanos ?? 0)), slashedNanos: stakeNanos },
    slashedTo: market.customer.party,
  };
  return market.sign(market.keys.receipts, "verdict", said).envelope;
}

async function told(envelope: Envelope, at: number, grants = market.grants): Promise<void> {
  market.push([{ envelope, at }], grants);
  await passing(2_000);
}
const payloads = async (): Promise<string[]> => ((await test.record(lease))?.facts ?? []).map(({ envelope }) => envelope.payload);
const held = async (): Promise<string[]> => ((await test.record(lease))?.held ?? []).map(({ kind }) => kind);

it("takes a dispute that is told before the draw that it follows", async () => {
  const brought = dispute(rulingOf(refereeOf(1)));
  const turn = draw(1);
  const at = clock.now();
  await told(brought, at + 1);
  expect(await held()).toEqual(["dispute"]);
  await told(turn, at);
  expect(await payloads()).toContain(brought.payload);
  expect(await held()).toEqual([]);
  await test.restart();
  expect(test.stage(lease)).toBe("over");
});

it("holds a dispute that is logged before its referee was drawn, and starts again", async () => {
  const first = clock.now();
  await told(draw(1), first);
  await told(draw(2), first + 2_000);
  expect(await held()).toEqual([]);
  const early = dispute(rulingOf(refereeOf(2), { exitCode: 7 }));
  await told(early, first + 1_000);
  expect(await payloads()).not.toContain(early.payload);
  await test.restart();
  expect(test.stage(lease)).toBe("over");
});

it.each([
  ["dispute", dispute],
  ["verdict", verdict],
] as const)("keeps to what it has found for a %s, whatever it learns of keys later", async (_, made) => {
  await told(draw(1), clock.now());
  const taken = made(rulingOf(refereeOf(1), { exitCode: 7 }));
  await told(taken, clock.now());
  expect(await payloads()).toContain(taken.payload);
  // the customer says that the referee's key was its own all along
  const grants = [...market.grants, market.grant(market.customer, refereeOf(1).publicKey, "server")];
  const next = draw(2);
  await told(next, clock.now(), grants);
  expect(await payloads()).toContain(next.payload);
  await test.restart();
  expect(test.stage(lease)).toBe("over");
  expect(await payloads()).toContain(taken.payload);
});
