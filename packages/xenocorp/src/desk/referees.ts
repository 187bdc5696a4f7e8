/**
 * Referees: whom the operator names, whose turn it is to judge a lease, and why a turn is passed over. The rule of the draw stands in
 * market/referees.ts. Who controls the inputs: the operator (who is a referee), owners (what their servers list).
 */
import {
  DRIVERS,
  REFEREES_MAX,
  drawReferee,
  fitsWithin,
  impartial,
  invariant,
  isLive,
  refereeFailed,
  refereesAt,
  type Lease,
  type RefereeStatement,
} from "@xenoservers/market";
import { refuse, type Payload, type Verified } from "@xenoservers/protocol";
import { readSetting } from "../store/settings.ts";
import type { LeaseRow } from "../store/store.ts";
import type { LeaseChange } from "./folding.ts";
import { planned, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const REFEREES = "referees";

async function statementsOf(round: Round): Promise<RefereeStatement[]> {
  return readSetting("referees", await round.get("setting", REFEREES));
}

export async function isReferee(round: Round, server: string): Promise<boolean> {
  return refereesAt(await statementsOf(round), Number.MAX_SAFE_INTEGER).includes(server);
}

export async function nameReferee(round: Round, document: Verified<"referee">): Promise<Outcome> {
  const { server, active, clientId } = document.payload;
  if (!(await round.get("server", server))) return refuse("not_found", { server });
  const row = await round.get("setting", REFEREES);
  const statements = await statementsOf(round);
  if (active && refereesAt(statements, Number.MAX_SAFE_INTEGER).length >= REFEREES_MAX)
    return refuse("bad_payload", { path: "server", why: `at most ${REFEREES_MAX} servers are referees at once` });
  const value = [...statements, { server, active, at: round.at }].map((said) => ({
    server: said.server,
    active: said.active,
    at: said.at,
  }));
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [] }],
    uniques: [`operator/${clientId}`],
    puts: [{ kind: "setting", id: REFEREES, expect: row?.version ?? 0, data: { id: REFEREES, value } }],
    effects: [{ kind: "index-referee", server, isReferee: active }],
  });
}

/** Who could be drawn when the lease was settled; once somebody was drawn, these. */
async function candidatesOf(round: Round, lease: Lease): Promise<readonly string[]> {
  if (lease.draw) return lease.draw.candidates;
  invariant(lease.end !== null, "only a settled lease is judged");
  const referees = refereesAt(await statementsOf(round), lease.end.at);
  const servers = await Promise.all(referees.map((id) => round.get("server", id)));
  const owners = new Map(servers.flatMap((server) => (server ? [[server.data.id, server.data.owner] as const] : [])));
  return impartial(referees, (id) => owners.get(id) ?? null, lease);
}

/** Why the server cannot run this lease's job now as its referee; null where it can. Room that is kept for just that counts. */
export async function unfitness(round: Round, lease: LeaseRow, server: string): Promise<string | null> {
  if (!(await isReferee(round, server))) return "the operator has dismissed it";
  const candidate = round.services.index.get(server);
  if (!candidate || candidate.validUntil <= round.at) return "it is not listed";
  if (!candidate.online) return "it is offline";
  if (candidate.suspended) return "its owner is suspended";
  const { driver, engine, resources, customer, seat } = lease;
  const own = DRIVERS[driver].engineIn === "engine" ? candidate.engine : candidate.vmEngine;
  if (!candidate.drivers.includes(driver) || own !== engine) return "it does not run this engine";
  if (candidate.allowedParties.length > 0 && !candidate.allowedParties.includes(customer)) return "it does not serve this customer";
  return seat === server || fitsWithin(resources, candidate.free) ? null : "it is full";
}

/** What a key signed before its end cannot be told from what a thief signs after it: a ruling that is brought then proves nothing. */
async function isEnded(round: Round, key: string): Promise<boolean> {
  return ((await round.get("key", key))?.data.revokedAt ?? null) !== null;
}

/** Why the referee that was drawn will not judge any more, by the lease that was ordered from it; null while it may. */
export async function refereeProblem(round: Round, lease: LeaseRow): Promise<string | null> {
  const { latest } = lease.judgedBy;
  const run = latest === null ? null : ((await round.get("lease", latest))?.data ?? null);
  if (!lease.draw) return "nobody was drawn";
  if (!(await isReferee(round, lease.draw.referee))) return "the operator has dismissed it";
  if (!run || run.server !== lease.draw.referee) return null;
  if (await isEnded(round, run.serverKey)) return "its key was revoked";
  if (run.state === "lapsed") return run.closing ? "it did not accept the run" : null;
  if (run.end) return refereeFailed(run.end.reason) ? `its run ended with ${run.end.reason}` : null;
  return isLive(run.state) ? "it was silent past its deadline" : null;
}

interface Turn {
  round: number;
  /** Null: nobody is left. */
  referee: string | null;
  candidates: readonly string[];
  passed: Payload<"draw">["passed"];
}

/** The next whose turn it is and who can; `why`: the one of now will not. */
export async function nextTurn(round: Round, lease: LeaseRow, why: string | null): Promise<Turn> {
  const candidates = await candidatesOf(round, lease);
  const seed = lease.settlement ?? "";
  const passed: Turn["passed"] = lease.draw && why !== null ? [{ referee: lease.draw.referee, why }] : [];
  for (let turn = (lease.draw?.round ?? 0) + 1; ; turn++) {
    const referee = drawReferee(seed, candidates, turn);
    const unfit = referee === null ? null : await unfitness(round, lease, referee);
    if (referee === null || unfit === null) return { round: turn, referee, candidates, passed };
    passed.push({ referee, why: unfit });
  }
}

/** Signs whose turn it is, and keeps room there while the doubt lasts. */
export function drawn(change: LeaseChange, { round, referee, candidates, passed }: Turn): void {
  change.issue("draw", { lease: change.lease.id, round, referee, candidates: [...candidates], passed, at: change.at });
  if (change.lease.state === "disputed") change.seatOn(referee);
}
