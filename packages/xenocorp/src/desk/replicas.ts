/**
 * Replicas of one order: each commits to its result before any is shown. Results may be shown once every replica has committed or ended. Who controls the
 * inputs: the servers (commitments); the siblings are the broker's own record.
 */
import { REVEAL_CHECK_MS, isLive } from "@xenoservers/market";
import { refuse, type SignedDocument } from "@xenoservers/protocol";
import type { LeaseRow, Put, Versioned } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { settleLease } from "./leases.ts";
import { issue, planned, type Effect, type Filed, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

interface Revealed {
  filed: Filed[];
  puts: Put[];
  effects: Effect[];
}

/** The reveal of the order that `own` belongs to; null while a sibling still works. */
async function revealOf(round: Round, own: Versioned<LeaseRow>): Promise<Revealed | null> {
  const siblings = await Promise.all(own.data.siblings.map((id) => round.get("lease", id)));
  const known = siblings.filter((sibling) => sibling !== null);
  if (known.some(({ data }) => isLive(data.state) && data.commitment === null)) return null;
  const committed = [own, ...known].filter(({ data }) => isLive(data.state) && data.commitment !== null && !data.commitment.revealed);
  const reveals = committed.map(({ data: { id, orderId } }) => issue(round, "reveal", { lease: id, order: orderId, at: round.at }));
  return {
    filed: committed.map(({ data }, i) => ({ document: reveals[i]!, lease: data.id, parties: [data.customer, data.owner] })),
    puts: committed.map(({ data, version }) => ({
      kind: "lease",
      id: data.id,
      expect: version,
      data: { ...data, commitment: { ...data.commitment!, revealed: true }, deadlineAt: round.at + data.timings.graceMs },
    })),
    effects: committed.map(({ data }, i) => ({ kind: "to-server", server: data.server, documents: [reveals[i]!.envelope] })),
  };
}

export async function commitResult(round: Round, document: SignedDocument<"commitment">, caller: PartyCaller): Promise<Outcome> {
  const { lease: id, server, result } = document.payload;
  const found = await round.get("lease", id);
  if (!found || found.data.serverKey !== caller.key.id || found.data.server !== server) return refuse("not_found", { lease: id });
  const { data: lease, version } = found;
  if (lease.siblings.length === 0 || (lease.state !== "open" && lease.state !== "stopping") || lease.commitment)
    return refuse("wrong_state", { state: lease.state, lease: id });
  const data: LeaseRow = { ...lease, commitment: { result, revealed: false }, deadlineAt: round.at + REVEAL_CHECK_MS };
  const revealed = await revealOf(round, { data, version });
  return planned(round, {
    id: document.id,
    filed: [{ document, lease: id, parties: [lease.customer, lease.owner] }, ...(revealed?.filed ?? [])],
    puts: revealed?.puts ?? [{ kind: "lease", id, expect: version, data }],
    events: [{ party: lease.customer, kind: "lease-committed", lease: id, data: {} }],
    effects: revealed?.effects ?? [],
  });
}

/** A committed replica waits for the others; one that may show its result and does not has none. Its silence may be the network's, so no stake is taken. */
export async function commitmentDue(round: Round, found: Versioned<LeaseRow>): Promise<Outcome> {
  const { data: lease, version } = found;
  if (lease.commitment!.revealed) return settleLease(round, found, "not-revealed", null);
  const revealed = await revealOf(round, found);
  const id = `reveal/${lease.id}/${version}`;
  const waiting: Put[] = [{ kind: "lease", id: lease.id, expect: version, data: { ...lease, deadlineAt: round.at + REVEAL_CHECK_MS } }];
  return planned(round, { id, filed: revealed?.filed ?? [], puts: revealed?.puts ?? waiting, effects: revealed?.effects ?? [] });
}
