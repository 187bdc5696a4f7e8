/**
 * Rounds of audits: before any result is drawn in one, its secret is fixed by a public document; when it is over, the secret is shown and
 * everybody can recompute the draws. The secret follows from the broker's own and the round, so that every replica and a restored broker
 * has it; it leaves this file in the document that shows it and nowhere else. A round is opened and ended once, however many brokers
 * run: each step is conditional on the setting's row. A restored broker ends the round of its backup, whose secret may have been shown.
 */
import { NOT_AUDITED, drawPpm, invariant, isDrawn, isDrawnFor, type EndReason, type StatedDraw } from "@xenoservers/market";
import { toHex, utf8, type Json } from "@xenoservers/protocol";
import { auditMac } from "@xenoservers/verify";
import { readSetting, type Setting } from "../store/settings.ts";
import type { LeaseRow, Put } from "../store/store.ts";
import { issue, planned, type Filed, type Outcome } from "./outcome.ts";
import type { Round, Services } from "./round.ts";

const ROUNDS = "auditRounds";
/** By round: the document that shows its secret. */
export const auditRevealRow = (auditRound: string): string => `auditReveal/${auditRound}`;

type KnownRound = Setting<"auditRounds">[number];
/** What the broker keeps of the round in which a result was logged. */
type LoggedRound = Pick<KnownRound, "id" | "round" | "from">;

const secretOf = ({ crypto, keys }: Services, { round, from }: Pick<LoggedRound, "round" | "from">): Uint8Array =>
  crypto.hmacSha256(keys.secret, utf8(`audit ${round} ${from}`));

export async function auditRoundsOf(round: Round): Promise<readonly KnownRound[]> {
  return readSetting("auditRounds", await round.get("setting", ROUNDS));
}

/** The round of a log time; null: none was open then. */
export function auditRoundAt(rounds: readonly KnownRound[], at: number): LoggedRound | null {
  const found = rounds.findLast(({ from, to }) => from <= at && (to === null || at < to));
  return found ? { id: found.id, round: found.round, from: found.from } : null;
}

/** What the settlement of a lease says of its draw. Whatever no round can show is drawn. */
export function drawFor(services: Services, lease: LeaseRow, reason: EndReason, dueNanos: bigint): StatedDraw {
  if (!isDrawnFor(lease, reason)) return NOT_AUDITED;
  const { auditRound, auditPpm, stakeNanos } = lease;
  if (auditRound === null) return { audited: true, auditRound: null };
  const mac = auditMac(services.crypto, secretOf(services, auditRound), lease);
  return { audited: isDrawn(mac, drawPpm(auditPpm, dueNanos, BigInt(stakeNanos))), auditRound: auditRound.id };
}

const asJson = ({ id, round, from, until, to, epoch }: KnownRound): Json => ({ id, round, from, until, to, epoch });

/** The next round after these, and the document that fixes its secret. */
function opened(round: Round, last: KnownRound | undefined, epoch: string): { known: KnownRound; filed: Filed } {
  const { services, at } = round;
  const next = { round: (last?.round ?? 0) + 1, from: at };
  const until = at + services.config.auditRoundMs;
  const commitment = toHex(services.crypto.sha256(secretOf(services, next)));
  const document = issue(round, "audit-round", { epoch, ...next, commitment, until, previous: last?.id ?? null });
  return { known: { id: document.id, ...next, until, to: null, epoch }, filed: { document, parties: [] } };
}

/** A merge delay after its end: by then every result that was logged in a round is in the log before its secret. */
const showAt = ({ config }: Services, to: number): number => to + config.mergeDelayMs;

function shown(round: Round, { id, round: number, from, to }: KnownRound): { filed: Filed; put: Put } | null {
  const { services, at } = round;
  if (to === null || at < showAt(services, to)) return null;
  const secret = toHex(secretOf(services, { round: number, from }));
  const document = issue(round, "audit-reveal", { auditRound: id, round: number, secret, to });
  const row = auditRevealRow(id);
  return { filed: { document, parties: [] }, put: { kind: "setting", id: row, expect: 0, data: { id: row, value: document.id } } };
}

/** Ends the round that is over, opens the next, shows the secrets of those that ended; null where nothing is to be done. */
export async function turnAuditRounds(round: Round): Promise<Outcome | null> {
  const [row, head] = await Promise.all([round.get("setting", ROUNDS), round.services.store.logHead()]);
  const known = readSetting("auditRounds", row);
  invariant(head, "the log has begun before anything is drawn");
  const epoch = head.id;
  const last = known.at(-1);
  const isOver = last === undefined || round.at >= last.until || last.epoch !== epoch;
  const next = isOver ? opened(round, last, epoch) : null;
  const ended = known.map((each) => (next && each.to === null ? { ...each, to: round.at } : each));
  const reveals = ended.flatMap((each) => shown(round, each) ?? []);
  if (!next && reveals.length === 0) return null;
  const left = ended.filter(({ id }) => !reveals.some(({ put }) => put.id === auditRevealRow(id)));
  const value: Json = [...left, ...(next ? [next.known] : [])].map(asJson);
  return planned(round, {
    id: `${ROUNDS}/${(row?.version ?? 0) + 1}`,
    filed: [...reveals.map(({ filed }) => filed), ...(next ? [next.filed] : [])],
    puts: [{ kind: "setting", id: ROUNDS, expect: row?.version ?? 0, data: { id: ROUNDS, value } }, ...reveals.map(({ put }) => put)],
  });
}

/** When there is next something to do, if no other broker does it before. */
export async function nextAuditTurn(round: Round): Promise<number> {
  const rounds = await auditRoundsOf(round);
  return Math.min(...rounds.map(({ until, to }) => (to === null ? until : showAt(round.services, to))));
}
