/**
 * What must be so of every case in which nobody lies, whatever was interrupted and whoever fell silent: nobody is convicted, everything
 * has ended at the fold's deadlines, the books balance, nobody has lost more than the protocol's worst loss (PROTOCOL section 10), and
 * the customer's receipts verify.
 */
import { TERMS, costNanos, meteringOf, priceVectorOf, unreachableAfterMs } from "@xenoservers/market";
import { rowOf, type AnyDocument, type Kind } from "@xenoservers/protocol";
import { contradictionIn, verifyReceipt, type ReExecuted, type Verification } from "@xenoservers/verify";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { resultOf, runAgain } from "./doubting.ts";
import { booksProblem, pursesOf } from "./money.ts";
import { filedFor, type Played } from "./play.ts";
import { CREDIT, MARKET, STAKE, crypto } from "./room.ts";

/** What running a lease's work again comes to; nothing where it has no result that is a whole job's. */
async function again({ room, plan, trace }: Played, lease: LeaseRow): Promise<ReExecuted | null> {
  const result = lease.segment ? null : await resultOf(room, lease);
  return result && runAgain(plan.job, result, trace);
}

/** As its customer verifies it, who has kept what it signed and runs the job again. */
export async function verified(played: Played, lease: LeaseRow): Promise<Verification> {
  const { room } = played;
  const { publicKey } = room.customer.signer;
  const own = (await filedFor(played, lease.id)).flatMap(({ document: { id, keyid } }) => (keyid === publicKey ? [id] : []));
  const reExecuted = await again(played, lease);
  return verifyReceipt(crypto, MARKET, await room.receipt(lease.id), {
    ...{ customerKey: publicKey, party: room.customer.party, documents: own },
    ...(reExecuted ? { reExecuted } : {}),
  });
}

/** What a receipt says against somebody: of this lease, in this line. */
export interface Alarm {
  lease: LeaseRow;
  check: string;
  says: string;
}

/** Of every receipt the first line that has failed. */
export async function alarms(played: Played): Promise<Alarm[]> {
  const raised: Alarm[] = [];
  for (const lease of played.leases) {
    const { lines } = await verified(played, lease);
    const failed = lines.find(({ status }) => status === "failed");
    if (failed) raised.push({ lease, check: failed.check, says: failed.says });
  }
  return raised;
}

function saidOnce<K extends Kind>(document: { kind: K; keyid: string; payload: AnyDocument["payload"] }): string | null {
  const once = rowOf(document.kind).once as ((payload: AnyDocument["payload"]) => string) | null;
  const by = once?.(document.payload) ?? null;
  return by === null ? null : `${document.kind} ${document.keyid} ${by}`;
}

/** Kinds of which somebody said two that cannot both be honest; of all that was filed and all that was handed in. */
export async function contradictions(played: Played): Promise<{ kind: Kind; signer: string }[]> {
  const filed = (await Promise.all(played.leases.map(({ id }) => filedFor(played, id)))).flat().map(({ document }) => document);
  const said = new Map<string, AnyDocument["payload"] extends never ? never : { envelope: unknown }[]>();
  const all = new Map([...filed, ...played.room.handed.map(({ said: { document } }) => document)].map((each) => [each.id, each]));
  for (const document of all.values()) {
    const key = saidOnce(document as AnyDocument);
    if (key !== null) said.set(key, [...(said.get(key) ?? []), document]);
  }
  return [...said.values()].flatMap(([first, ...others]) =>
    others.flatMap((other) => {
      const found = contradictionIn(crypto, first?.envelope, other.envelope);
      return found ? [{ kind: found.kind, signer: found.signer }] : [];
    }),
  );
}

/** By owner: under the name of its server. */
export async function convicted({ room, leases }: Played): Promise<string[]> {
  const verdicts = await Promise.all(leases.map(({ id }) => room.store.documentsOf(id)));
  const judged = leases.filter((_, i) => verdicts[i]?.some(({ kind }) => kind === "verdict"));
  return judged.map((lease) => room.machineOf(lease).name);
}

async function convictionProblem(played: Played): Promise<string | null> {
  const { room } = played;
  const [name] = await convicted(played);
  if (name !== undefined) return `${name} was convicted`;
  for (const { name: server } of room.machines) {
    const { owner } = room.machine(server);
    const { convicted: times } = (await room.store.load("party", [owner.party])).get(owner.party)?.data.record ?? { convicted: 0 };
    const staked = await room.balance(owner, "staked");
    if (times > 0 || staked !== STAKE) return `${server} has ${staked} of its stake of ${STAKE}, and ${times} convictions`;
  }
  const [found] = await contradictions(played);
  return found ? `two documents of kind ${found.kind} contradict each other` : null;
}

/** What of a lease's money its customer has put down and not got back. */
const lostDeposits = ({ final }: LeaseRow, from: "customer" | "owner"): bigint =>
  (final?.deposits ?? []).reduce((sum, each) => (each.from === from && each.to !== from ? sum + BigInt(each.nanos) : sum), 0n);

function workProblem({ plan }: Played, lease: LeaseRow): string | null {
  const { end, result, terms, lastClaim } = lease;
  if (!end || plan.silence !== null) return null;
  const isPaid = TERMS[end.reason].pay[terms] === "used";
  if (meteringOf(terms) === "fuel") {
    const earned = isPaid && result ? (BigInt(result.fuel) * BigInt(lease.price.gigaFuelNanos)) / 1_000_000_000n : 0n;
    const owed = earned < BigInt(lease.holdNanos) ? earned : BigInt(lease.holdNanos);
    return BigInt(end.dueNanos) === owed || !isPaid ? null : `${end.dueNanos} is due for ${result?.fuel} fuel, which earned ${owed}`;
  }
  const usedMs = Math.min(result?.usedMs ?? lastClaim?.usedMs ?? 0, lease.durationMsMax);
  const unpaid = Math.max(0, usedMs - unreachableAfterMs(lease.timings));
  const least = costNanos(lease.resources, priceVectorOf(lease.price), unpaid);
  return isPaid && BigInt(end.dueNanos) < least
    ? `${end.dueNanos} is due for ${usedMs} ms, of which at least ${least} is to be paid`
    : null;
}

async function lossProblem(played: Played): Promise<string | null> {
  const { leases, room } = played;
  const purses = await pursesOf(played);
  const most = leases.reduce((sum, lease) => sum + BigInt(lease.end?.dueNanos ?? 0) + lostDeposits(lease, "customer"), 0n);
  if (CREDIT - purses.customer > most) return `the customer has lost ${CREDIT - purses.customer}, at most ${most} was due or put down`;
  for (const { name } of room.machines) {
    const own = leases.filter((lease) => room.machineOf(lease).name === name);
    const down = own.reduce((sum, lease) => sum + lostDeposits(lease, "owner"), 0n);
    if (purses[name] < 2n * STAKE - down) return `the owner of ${name} has lost ${2n * STAKE - purses[name]}`;
  }
  return leases.map((lease) => workProblem(played, lease)).find((problem) => problem !== null) ?? null;
}

/** What nobody minds to be told: that the referee came to the same, or came too late to what costs nothing and so was not frozen. */
const NO_HARM: readonly string[] = ["result_agrees", "too_late"];

/** Of documents that were not taken, though everybody was honest and nobody late. */
function refusalProblem({ plan, room }: Played): string | null {
  if (plan.silence !== null) return null;
  const refused = room.handed.find(({ said, answer }) => !answer.ok && !(said.kind === "dispute" && NO_HARM.includes(answer.code)));
  return refused && !refused.answer.ok ? `${refused.said.by}'s ${refused.said.kind} was refused: ${refused.answer.code}` : null;
}

/** What is wrong with an honest case, beside what its receipts say, in words; null when nothing is. */
export async function honestProblem(played: Played): Promise<string | null> {
  const [frozen] = played.room.problems;
  return (
    frozen ?? refusalProblem(played) ?? (await booksProblem(played)) ?? (await convictionProblem(played)) ?? (await lossProblem(played))
  );
}
