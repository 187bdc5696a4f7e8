/**
 * What a party does about one of its leases while it runs, or once it is settled. Who controls the inputs: the program that calls; the
 * broker (the lease, what it answers).
 */
import { formatMoney, isLive, objectionDepositNanos } from "@xenoservers/market";
import { dateText, zNanos, type LeaseView } from "@xenoservers/protocol";
import type { MarketClient } from "../client.ts";
import { BrokenWordError, InputError } from "../errors.ts";
import { parseAmount, parseDurationMs, shortId } from "../words.ts";
import { assertWanted, unlessOff } from "../calling-off.ts";

/** What the market answered to a document that it took: its id, when, and what became of it. */
export type Answer = Readonly<Record<string, unknown>>;

interface Signalled {
  signal?: AbortSignal;
}

/** How a lease is ended from outside. */
export interface StopOptions extends Signalled {
  /** Signed with the stop: whoever reads the receipt reads it. */
  reason?: string;
  /** Told once the market has taken the stop; never where the lease had ended already. */
  onAsked?(): void;
}

/** What a lease may do from now on. */
export interface Extended {
  durationMsMax: number;
  holdNanos: bigint;
  answer: Answer;
}

/** What an objection puts down, which is lost where the operator does not bear it out. */
export interface ObjectionTerms {
  lease: LeaseView;
  depositNanos: bigint;
}

/** How a settlement is objected to. */
export interface ObjectionOptions extends Signalled {
  /** What is wrong with it. */
  reason: string;
  /** What should have been paid: "0.50", or nanos; absent: nothing. */
  expected?: string | bigint;
  /** Told what it takes before anything is put down; throws, or rejects, where that is not wanted. */
  onTerms?(terms: ObjectionTerms): void | Promise<void>;
}

const ENDED_WITHIN_MS = 120_000;
const POLL_MS = 200;

/** As the broker shows it now. */
export const leaseAsItIs = (client: MarketClient, id: string, signal?: AbortSignal): Promise<LeaseView> =>
  unlessOff(signal, client.read("lease", { params: { id }, signal }));

/** Asks for the lease's end and waits for it, for two minutes at most; gives how it stands then. */
export async function stopLease(client: MarketClient, id: string, options: StopOptions): Promise<LeaseView> {
  const { reason = "stopped by its customer", onAsked, signal } = options;
  assertWanted(signal);
  const lease = await leaseAsItIs(client, id, signal);
  if (!isLive(lease.state)) return lease;
  await client.act("stop", { lease: lease.id, party: client.identity.party, reason });
  onAsked?.();
  const deadline = client.timers.now() + ENDED_WITHIN_MS;
  for (;;) {
    const after = await leaseAsItIs(client, lease.id, signal);
    if (!isLive(after.state) || client.timers.now() >= deadline) return after;
    await unlessOff(signal, client.sleep(POLL_MS));
  }
}

/** Lets it run longer by so much, and holds more for it. */
export async function extendLease(client: MarketClient, id: string, by: string | number, signal?: AbortSignal): Promise<Extended> {
  const ms = typeof by === "string" ? parseDurationMs(by, "by") : by;
  if (!(Number.isInteger(ms) && ms > 0)) throw new InputError('by must be a duration: "1h", or milliseconds');
  assertWanted(signal);
  const lease = await leaseAsItIs(client, id, signal);
  const durationMsMax = lease.durationMsMax + ms;
  const { leastExtendedMs = 0 } = lease;
  if (durationMsMax < leastExtendedMs)
    throw new InputError(`by must be at least ${leastExtendedMs - lease.durationMsMax} ms for this lease`);
  const previous = lease.lastAmendment ?? lease.id;
  const answer = await client.act("extension", { lease: lease.id, party: client.identity.party, durationMsMax, previous });
  const held = zNanos.safeParse(answer["holdNanos"]);
  if (!held.success || typeof answer["durationMsMax"] !== "number")
    throw new BrokenWordError(`the broker took the extension of lease ${shortId(lease.id)}, and does not say what is held for it`);
  return { durationMsMax: answer["durationMsMax"], holdNanos: BigInt(held.data), answer };
}

/** Why nobody would rule on an objection, in words; null where the operator would. */
export function objectionProblem(lease: LeaseView, expectedNanos: bigint, now: number): string | null {
  const { id, state, end, objection, holdNanos, deadlineAt } = lease;
  if (!end || (state !== "settled" && state !== "disputed"))
    return `lease ${shortId(id)} is ${state}: there is no settlement that can be objected to now`;
  if (objection) return `the ${objection.by} has objected already; the operator rules once`;
  if (state === "settled" && now > (deadlineAt ?? end.windowEndsAt)) return `the window for objections ended ${dateText(end.windowEndsAt)}`;
  if (expectedNanos > BigInt(holdNanos)) return `nobody can owe more than was held (${formatMoney(BigInt(holdNanos))})`;
  if (expectedNanos === BigInt(end.dueNanos))
    return "the settlement says just that: there is nothing to object to; say what should have been paid (expected)";
  return null;
}

/** Freezes the owner's pay until the operator has ruled: what could stop it is looked for before. Throws InputError. */
export async function objectTo(client: MarketClient, id: string, options: ObjectionOptions): Promise<Answer> {
  const { reason, expected = 0n, onTerms, signal } = options;
  if (typeof reason !== "string" || reason === "") throw new InputError("reason must say what is wrong with the settlement");
  const expectedNanos = typeof expected === "string" ? parseAmount(expected, "expected") : expected;
  assertWanted(signal);
  await unlessOff(signal, client.market());
  const lease = await leaseAsItIs(client, id, signal);
  const problem = objectionProblem(lease, expectedNanos, client.brokerNow());
  if (problem !== null) throw new InputError(problem);
  await onTerms?.({ lease, depositNanos: objectionDepositNanos(lease.end?.dueNanos ?? "0", expectedNanos.toString()) });
  assertWanted(signal);
  const said = { expectedDueNanos: expectedNanos.toString(), reason };
  return client.act("objection", { lease: lease.id, party: client.identity.party, ...said });
}
