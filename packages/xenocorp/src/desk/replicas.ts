/**
 * Replicas of one order: each commits to its result before any is shown. Results may be shown once every replica has committed or ended.
 * Who controls the inputs: the servers (commitments); the siblings are the broker's own record.
 */
import { REVEAL_CHECK_MS, isLive } from "@xenoservers/market";
import { refuse, type Verified } from "@xenoservers/protocol";
import type { LeaseRow, Put, Versioned } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { LeaseChange } from "./folding.ts";
import { planned, type Effect, type Filed, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

/** Whether a replica may still come to a result that it has not committed to. */
const stillWorks = ({ state }: LeaseRow): boolean =>
  isLive(state) && !["committed", "revealed", "delivering", "ended", "closed"].includes(state);

/** The changes of the other replicas of an order; null while one of them still works. */
async function siblingsDone(round: Round, { siblings }: LeaseRow): Promise<LeaseChange[] | null> {
  const rows = await Promise.all(siblings.map((id) => round.get("lease", id)));
  const known = rows.filter((row) => row !== null);
  if (known.some(({ data }) => stillWorks(data))) return null;
  return Promise.all(known.filter(({ data }) => data.state === "committed").map((row) => LeaseChange.of(round, row)));
}

function reveal(change: LeaseChange): void {
  if (change.lease.state === "committed") change.issue("reveal", { lease: change.lease.id, order: change.lease.orderId, at: change.at });
}

interface Revealed {
  filed: readonly Filed[];
  puts: readonly Put[];
  effects: readonly Effect[];
}

const together = (changes: readonly LeaseChange[]): Revealed => ({
  filed: changes.flatMap(({ filed }) => filed),
  puts: changes.map(({ put }) => put),
  effects: changes.flatMap(({ effects }) => effects),
});

/** A committed replica waits for its siblings, and is looked at until they are done. */
const waiting = (round: Round, change: LeaseChange): Put => ({
  ...change.put,
  data: { ...change.row, deadlineAt: round.at + REVEAL_CHECK_MS },
});

export async function commitResult(round: Round, document: Verified<"commitment">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id } = document.payload;
  const found = await round.get("lease", id);
  if (!found || found.data.serverKey !== caller.key.id) return refuse("not_found", { lease: id });
  const own = await LeaseChange.of(round, found);
  const refusal = own.take(document);
  if (refusal) return refusal;
  const transfers = own.transfers;
  const others = await siblingsDone(round, own.lease);
  const changes = [own, ...(others ?? [])];
  if (others) for (const change of changes) reveal(change);
  const { filed, puts, effects } = together(changes);
  return planned(round, {
    ...{ id: document.id, filed, effects, transfers },
    puts: others ? puts : [waiting(round, own)],
    events: [{ party: own.lease.customer, kind: "lease-committed", lease: id, data: {} }],
  });
}

/** A committed replica whose siblings are looked at again. */
export async function commitmentDue(round: Round, found: Versioned<LeaseRow>): Promise<Outcome> {
  const own = await LeaseChange.of(round, found);
  const others = await siblingsDone(round, own.lease);
  const id = `reveal/${own.lease.id}/${found.version}`;
  if (!others) return planned(round, { id, filed: [], puts: [waiting(round, own)] });
  const changes = [own, ...others];
  for (const change of changes) reveal(change);
  const { filed, puts, effects } = together(changes);
  return planned(round, { id, filed, puts, effects });
}
