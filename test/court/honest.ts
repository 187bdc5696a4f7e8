/**
 * What must be so of every case in which nobody lies, whatever was interrupted and whoever fell silent: nobody is convicted, everything
 * has ended at the fold's deadlines, the books balance, nobody has lost more than the protocol's worst loss (PROTOCOL section 10), and
 * the customer's receipts verify.
 */
import { TERMS, costNanos, meteringOf, priceVectorOf, unreachableAfterMs } from "@xenoservers/market";
import { rowOf, type Kind, type SignedDocument } from "@xenoservers/protocol";
import { contradictionIn, verifyReceipt, type OwnRun, type Verification } from "@xenoservers/verify";
import type { Actor, ServerName } from "./actors.ts";
import type { LeaseRow } from "@xenoservers/xenocorp/parts";
import { booksProblem, pursesOf } from "./money.ts";
import { filedFor, type Played } from "./play.ts";
import { resultOf, runAgain } from "./re-execution.ts";
import { CREDIT, MARKET, STAKE, crypto } from "./room.ts";

/** What running a lease's work again comes to; nothing where it has no result that is a whole job's. */
async function again({ room, plan, trace }: Played, lease: LeaseRow): Promise<OwnRun | null> {
  const result = lease.segment ? null : await resultOf(room, lease);
  return result && runAgain(plan.job, result, trace);
}

/** As its customer verifies it, who has kept what it signed and runs the job again. */
export async function verified(played: Played, lease: LeaseRow): Promise<Verification> {
  const { room } = played;
  const { party, signer } = room.customerOf(lease).identity;
  const { publicKey } = signer;
  const own = (await filedFor(played, lease.id)).flatMap(({ document: { id, keyid } }) => (keyid === publicKey ? [id] : []));
  const reExecuted = await again(played, lease);
  return verifyReceipt(crypto, MARKET, await room.receipt(lease.id), {
    ...{ customerKey: publicKey, party, documents: own },
    ...(reExecuted ? { reExecuted } : {}),
  });
}

/** What receipts say against somebody: of every one the first line that has failed. */
export async function alarms(played: Played): Promise<string[]> {
  const raised: string[] = [];
  for (const lease of played.leases) {
    if (played.room.machineOf(lease).name === played.room.falseReferee) continue;
    const { lines } = await verified(played, lease);
    const failed = lines.find(({ status }) => status === "failed");
    if (failed) raised.push(`${failed.check}: ${failed.says}`);
  }
  return raised;
}

/** Under what its signer says it only once; nothing where it may say it as often as it likes. */
function saidOnce<K extends Kind>({ kind, keyid, payload }: SignedDocument<K>): string[] {
  return (rowOf(kind).once ?? []).map(({ by }, i) => `${kind} ${keyid} ${i} ${by(payload)}`);
}

/** Kinds of which somebody said two that cannot both be honest; of all that was filed and all that was handed in. */
export async function contradictions(played: Played): Promise<{ kind: Kind; signer: string }[]> {
  const filed = (await Promise.all(played.leases.map(({ id }) => filedFor(played, id)))).flat().map(({ document }) => document);
  const handed = played.room.handed.map(({ said: { document } }) => document);
  const all = new Map<string, SignedDocument>([...filed, ...handed].map((each) => [each.id, each]));
  const said = new Map<string, SignedDocument[]>();
  for (const document of all.values()) for (const name of saidOnce(document)) said.set(name, [...(said.get(name) ?? []), document]);
  return [...said.values()].flatMap(([first, ...others]) =>
    others.flatMap((other) => {
      const found = contradictionIn(crypto, first?.envelope, other.envelope);
      return found ? [{ kind: found.kind, signer: found.signer }] : [];
    }),
  );
}

/** By owner: under the name of its server. A verdict that was overturned convicts nobody. */
export const convicted = ({ room, leases }: Played): ServerName[] =>
  leases.filter(({ final }) => final?.judgement === "wrong").map((lease) => room.machineOf(lease).name);

async function convictionProblem(played: Played): Promise<string | null> {
  const { room } = played;
  const name = convicted(played).find((each) => each !== room.falseReferee);
  if (name !== undefined) return `${name} was convicted`;
  for (const { name: server } of room.machines) {
    if (server === room.falseReferee) continue;
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

/** What it has paid for others' machines, and put down in vain, at most. */
const spentBy = ({ leases, room }: Played, who: Actor): bigint =>
  leases
    .filter((lease) => room.customerOf(lease).by === who)
    .reduce((sum, lease) => sum + BigInt(lease.end?.dueNanos ?? 0) + lostDeposits(lease, "customer"), 0n);

/** An owner keeps what it earned, but where it was silent, or a referee has lied about it. */
function payProblem({ own, plan, room }: Played): string | null {
  if (plan.silence !== null || room.falseReferee !== null) return null;
  const unpaid = own.find(({ final, end }) => final && end && final.ownerNanos !== end.ownerNanos);
  return unpaid ? `of ${unpaid.end?.ownerNanos} its owner has ${unpaid.final?.ownerNanos}: ${unpaid.final?.why}` : null;
}

function workProblem({ plan }: Played, lease: LeaseRow): string | null {
  const { end, result, terms, lastClaim } = lease;
  if (!end || plan.silence !== null) return null;
  const isPaid = TERMS[end.reason].pay[terms] === "used";
  if (meteringOf(terms) === "fuel") {
    const earned = isPaid && result ? (BigInt(result.fuel) * BigInt(lease.price.gigaFuelNanos)) / 1_000_000_000n : 0n;
    const most = BigInt(lease.holdNanos) - BigInt(lease.auditReserveNanos);
    const owed = earned < most ? earned : most;
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
  const most = spentBy(played, "customer");
  if (CREDIT - purses.customer > most) return `the customer has lost ${CREDIT - purses.customer}, at most ${most} was due or put down`;
  for (const { name } of room.machines) {
    if (name === room.falseReferee) continue;
    const own = leases.filter((lease) => room.machineOf(lease).name === name);
    const down = own.reduce((sum, lease) => sum + lostDeposits(lease, "owner"), 0n);
    if (purses[name] < 2n * STAKE - down - spentBy(played, name)) return `the owner of ${name} has lost ${2n * STAKE - purses[name]}`;
  }
  return payProblem(played) ?? leases.map((lease) => workProblem(played, lease)).find((problem) => problem !== null) ?? null;
}

/** What nobody minds to be told: that the referee came to the same, or that it is another one's turn. */
const NO_HARM: readonly string[] = ["dispute result_agrees", "dispute not_drawn", "order not_drawn"];

/** Of documents that were not taken, though everybody was honest and nobody late. */
function refusalProblem({ plan, room }: Played): string | null {
  if (plan.silence !== null) return null;
  const refused = room.handed.find(({ said, answer }) => !answer.ok && !NO_HARM.includes(`${said.kind} ${answer.code}`));
  return refused && !refused.answer.ok ? `${refused.said.by}'s ${refused.said.kind} was refused: ${refused.answer.code}` : null;
}

/** What is wrong with an honest case, beside what its receipts say, in words; null when nothing is. */
export async function honestProblem(played: Played): Promise<string | null> {
  const [frozen] = played.room.problems;
  return (
    frozen ?? refusalProblem(played) ?? (await booksProblem(played)) ?? (await convictionProblem(played)) ?? (await lossProblem(played))
  );
}
