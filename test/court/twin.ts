/**
 * The twin of an honest case: the same seed, and one of its parties lies in one place. What the lie has come to is found by comparing
 * everybody's money with the case without it, and by what its customer's own machine comes to.
 */
import type { Kind } from "@xenoservers/protocol";
import { resultProblem } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { retold } from "./broker-lie.ts";
import { Rng } from "../../packages/verify/src/testing/rng.ts";
import { alarms, contradictions, convicted } from "./honest.ts";
import { isReferee } from "./actors.ts";
import { drawPlace, lieAt, type Lie, type Place, type Wanted } from "./lie.ts";
import { booksProblem, pursesOf, type Purse, type Purses } from "./money.ts";
import { play, type Attitude, type Played } from "./play.ts";
import { ENDS, withoutTrouble, type Plan } from "./plan.ts";
import { resultOf, runAgain } from "./re-execution.ts";
import { STAKE } from "./room.ts";
import type { Told } from "./told.ts";

/** A lie of a server in what it says of the job is looked for by a customer that runs the job itself; every other by its plan's doubts. */
const attitudeOf = (seed: number): Attitude => (Math.floor(seed / ENDS.length) % 2 === 0 ? "as planned" : "seeing");
const saysOfJob = ({ by, kind }: Place): boolean => by.startsWith("server") && (kind === "result" || kind === "commitment");

interface Lost {
  who: Purse;
  nanos: bigint;
}

/** Who, beside the liar, has less than without the lie, and than it may. */
function losers(before: Purses, after: Purses, liar: string, allowed: (who: Purse) => bigint): Lost[] {
  const names = Object.keys(before) as Purse[];
  return names.flatMap((who) => {
    // a referee that is not asked has lost nothing that was its own
    const most = who !== "customer" && isReferee(who) ? 2n * STAKE : before[who];
    const nanos = most - after[who];
    return who !== liar && nanos > allowed(who) ? [{ who, nanos }] : [];
  });
}

/** The leases whose result is not what the job comes to, and is paid for. */
async function wrongAndPaid({ room, own, plan }: Played): Promise<number> {
  let wrong = 0;
  for (const lease of own) {
    const result = await resultOf(room, lease);
    const isPaid = BigInt(lease.final?.ownerNanos ?? 0) > 0n;
    if (result && isPaid && resultProblem(result, runAgain(plan.job, result)) !== null) wrong++;
  }
  return wrong;
}

/** What an owner would have had of a lease whose verdict was overturned: the pay, and what the doubt had put down. */
const keptFromOwner = ({ end, trace }: LeaseRow): bigint => BigInt(end?.ownerNanos ?? 0) + BigInt(trace?.depositNanos ?? 0);

/**
 * What a lie costs others though it is proved: the referees' runs, which whoever was right has paid where no stake was locked; and of an
 * owner that a referee has wrongly convicted what stays with the customer, which had believed a referee (ADR 22).
 */
function costOfProof({ leases, room }: Played): (who: Purse) => bigint {
  return (who) =>
    leases.reduce((sum, lease) => {
      const run = lease.judges !== null && room.customerOf(lease).by === who ? BigInt(lease.end?.dueNanos ?? 0) : 0n;
      const isOverturned = lease.verdict !== null && lease.final?.judgement === "right" && room.machineOf(lease).name === who;
      return sum + run + (isOverturned ? keptFromOwner(lease) : 0n);
    }, 0n);
}

async function gainOf(without: Played, told: Played, liar: string, isConvicted: boolean): Promise<string | null> {
  const [before, after] = [await pursesOf(without), await pursesOf(told)];
  const own = liar in before ? after[liar as Purse] - before[liar as Purse] : 0n;
  if (own > 0n) return `${liar} has ${own} more`;
  const [lost] = losers(before, after, liar, isConvicted ? costOfProof(told) : () => 0n);
  if (lost) return `${lost.who} has ${lost.nanos} less`;
  return (await wrongAndPaid(told)) > (await wrongAndPaid(without)) ? "a result that is wrong stays paid" : null;
}

function fieldOf({ room }: Played): string {
  const lied = room.handed.find(({ said }) => said.honest !== null)?.said;
  if (!lied?.honest) return "";
  const [is, was]: [object, object] = [lied.document.payload, lied.honest.payload];
  const changed = Object.entries(is).find(([name, value]) => JSON.stringify(value) !== JSON.stringify(Reflect.get(was, name)));
  return changed?.[0] ?? "";
}

/** What must be so whoever lies: the books balance, nothing is frozen, and nobody but the liar is convicted. */
async function wrongedProblem(told: Played, liar: string): Promise<string | null> {
  const innocent = convicted(told).find((name) => name !== liar);
  return told.room.problems[0] ?? (await booksProblem(told)) ?? (innocent === undefined ? null : `${innocent} is convicted, who is honest`);
}

/** How the lease on this one's server ended; of who has none, the first. */
function endOn({ own, room }: Played, by: string): string {
  const lease = own.find((each) => room.machineOf(each).name === by) ?? own[0];
  return lease?.end?.reason ?? lease?.state ?? "refused";
}

async function judged(without: Played, told: Played, lie: Lie): Promise<Told> {
  const { by } = lie;
  const lied = told.room.handed.find(({ said }) => said.honest !== null);
  const isRefused = lied !== undefined && !lied.answer.ok;
  const isConvicted = convicted(told).some((name) => name === by);
  const isSegment = told.leases.some(({ segment }) => segment);
  const base = { lie, field: fieldOf(told), end: endOn(told, by), endWithout: endOn(without, by), isSegment };
  const wronged = await wrongedProblem(told, by);
  if (wronged !== null) return { ...base, outcome: "gain", why: wronged, isShown: (await alarms(told)).length > 0 };
  // another order, or another server, is another contract, which both sides keep
  const isElsewhere = isRefused && told.own.some(({ attempt }) => attempt > 1);
  if (isElsewhere || lie.kind === "order") return { ...base, outcome: isRefused ? "refused" : "another contract", why: "", isShown: false };
  const gain = await gainOf(without, told, by, isConvicted);
  if (gain !== null) return { ...base, outcome: "gain", why: gain, isShown: (await alarms(told)).length > 0 };
  if (isConvicted || (await contradictions(told)).length > 0) return { ...base, outcome: "convicted", why: "", isShown: true };
  return { ...base, outcome: isRefused ? "refused" : "harmless", why: "", isShown: false };
}

/** Where it can be: in whatever a party said; an operator's word is nobody's to compare. */
const placesOf = ({ room }: Played): Place[] =>
  room.handed.filter(({ said }) => said.by !== "operator").map(({ said: { by, kind, nth } }) => ({ by, kind, nth }));

/** Where the lie is to be; by chance what is not said. */
export interface Aim extends Wanted {
  role: "server" | "referee";
  kind: Kind;
}

/** What a customer need not do at all: it is compared with one that does nothing. */
const DOUBTS: readonly Kind[] = ["objection", "trace-request", "dispute"];

const isAimedAt = ({ role, kind }: Aim, place: Place): boolean => place.kind === kind && place.by.startsWith(role);

/** Whoever lies about what a job came to is met by a customer that runs it itself; a referee, by one that doubts. */
function attitudeFor(seed: number, aim: Aim | null): Attitude {
  if (aim?.role === "referee") return "as planned";
  return aim && saysOfJob({ by: "server 1", kind: aim.kind, nth: 0 }) ? "seeing" : attitudeOf(seed);
}

/** The twin of this case; null where nobody says there what is aimed at. */
export async function twinOf(whole: Plan, aim: Aim | null = null): Promise<Told | null> {
  const { seed } = whole;
  // exactly one party lies, and nobody is silent
  const plan = withoutTrouble(whole);
  const rng = new Rng(seed ^ 0x7e11);
  const attitude = attitudeFor(seed, aim);
  const without = await play(plan, attitude);
  if (aim === null && without.leases.length > 0 && rng.chance(0.2)) return retold(without, seed, rng);
  const places = placesOf(without).filter(
    (place) => (attitude === "seeing" || !saysOfJob(place)) && (aim === null || isAimedAt(aim, place)),
  );
  if (places.length === 0) return null;
  const lie = lieAt(drawPlace(rng, places), seed, aim ?? { field: null }, aim === null && rng.chance(0.06));
  const told = await play(plan, attitude, lie);
  const fair = lie.by === "customer" && DOUBTS.includes(lie.kind) ? await play(plan, "seeing") : without;
  return judged(fair, told, lie);
}
