/**
 * When silence ends something. Every deadline is a time since a fact, in log time, and stretches by each gap in which no broker was there
 * to hear: the judge's absence is nobody's silence (PROTOCOL section 3).
 */
import { disputeWithinMs, judgeWithinMs, traceWithinMs } from "../dispute.ts";
import { FETCH_WITHIN_MS } from "../fetching.ts";
import { invariant } from "../invariant.ts";
import type { Gap, Lease } from "./lease.ts";
import type { EndReason } from "./terms.ts";
import { unreachableAfterMs } from "./timings.ts";

/** `since` + `durationMs`, plus every gap that begins before it is over. `gaps` are in order of time. */
export function stretched(since: number, durationMs: number, gaps: readonly Gap[]): number {
  let end = since + durationMs;
  for (const { from, to } of gaps) if (from < end && to > since) end += to - Math.max(from, since);
  return end;
}

const afterIssue = (lease: Lease, until: number): number => stretched(lease.issuedAt, until - lease.issuedAt, lease.gaps);

/** Until then the acceptance counts. */
export const acceptByOf = (lease: Lease): number => afterIssue(lease, lease.acceptBy);
/** Until then the job's bytes may come, where its server is there to take them. */
const startByOf = (lease: Lease): number => afterIssue(lease, lease.startBy);

/** So many claims in a row that do not come are a silence. */
const CLAIMS_MISSED = 2;

/**
 * How long its server has been silent at that time, where it should have been heard: no claim came for two intervals. Time in which no
 * broker was there to hear is not counted.
 */
export function silenceMs({ heardAt, timings, gaps }: Lease, at: number): number {
  const away = gaps.reduce((sum, { from, to }) => sum + Math.max(0, Math.min(to, at) - Math.max(from, heardAt)), 0);
  const unheard = at - heardAt - away;
  return unheard > CLAIMS_MISSED * timings.claimIntervalMs ? unheard : 0;
}

/**
 * Until then its customer may bring the job's bytes, as it looks at that time: a server that is silent takes nothing, so its silence is
 * not its customer's.
 */
export const inputsByOf = (lease: Lease, at: number): number => startByOf(lease) + lease.silentMs + silenceMs(lease, at);

/** What a lease may take longer because its server fetches an image first. */
const fetchingMs = ({ fetches }: Lease): number => (fetches ? FETCH_WITHIN_MS : 0);

/** Until then its server may fetch an image that its order asks for; then it says that it could not. */
export const fetchByOf = (lease: Lease): number => afterIssue(lease, lease.startBy + fetchingMs(lease)) + lease.silentMs;

/** Whether its server still owes the states that it was asked for. */
export const owesTrace = ({ trace }: Lease): boolean => trace !== null && trace.step !== null && trace.document === null;

/** Whether a referee was drawn for an appeal against the verdict. */
export const isAppealed = ({ draw, verdict }: Lease): boolean => draw !== null && verdict !== null && draw.round > verdict.round;

/** Since when a referee could run the job; null where there is nothing for it to judge yet. */
function judgeableSince(lease: Lease): number | null {
  const { trace, draw } = lease;
  if (lease.state === "convicted") return isAppealed(lease) && draw ? draw.at : null;
  return trace && !owesTrace(lease) ? Math.max(trace.answeredAt ?? trace.at, draw?.at ?? 0) : null;
}

/** By the fuel that is billed, which the broker's clock bounds: what a result states may be any number. */
function sinceThen(
  { end, resources, gaps }: Lease,
  since: number | null | undefined,
  within: (fuel: bigint, memoryMib: number) => number,
): number | null {
  return typeof since === "number" && end ? stretched(since, within(BigInt(end.billableFuel), resources.memoryMib), gaps) : null;
}

const traceDeadline = (lease: Lease): number | null =>
  owesTrace(lease) ? sinceThen(lease, lease.trace?.at, traceWithinMs) : sinceThen(lease, judgeableSince(lease), disputeWithinMs);

/** Until then the verdict may be appealed against, or a second referee be heard. */
function convictedDeadline(lease: Lease): number | null {
  const { verdict, timings, gaps } = lease;
  return traceDeadline(lease) ?? (verdict && stretched(verdict.at, timings.disputeWindowMs, gaps));
}

/** Until then the drawn referee's run may be ordered. */
export function judgeBy(lease: Lease): number | null {
  const by = sinceThen(lease, judgeableSince(lease), judgeWithinMs);
  return by ?? (lease.state === "convicted" ? convictedDeadline(lease) : null);
}

function disputeDeadline(lease: Lease): number | null {
  const { objection } = lease;
  const deadlines = [traceDeadline(lease), objection && stretched(objection.at, lease.timings.ruleWithinMs, lease.gaps)].filter(
    (at) => at !== null,
  );
  return deadlines.length === 0 ? null : Math.max(...deadlines);
}

/** When a timer has to look at the lease; null: its next step is somebody else's, or there is none. */
export function deadlineOf(lease: Lease): number | null {
  const { timings, gaps } = lease;
  const silent = unreachableAfterMs(timings);
  switch (lease.state) {
    case "bound":
    case "accepted":
      return acceptByOf(lease);
    case "open":
      // the earlier of silence and the latest moment at which the job could still run
      return Math.min(
        stretched(lease.heardAt, silent, gaps),
        afterIssue(lease, lease.startBy + fetchingMs(lease) + lease.durationMsMax + silent) + lease.silentMs,
      );
    case "stopping":
      return lease.stop && stretched(lease.stop.at, timings.graceMs, gaps);
    case "committed":
      return null;
    case "revealed":
      return lease.commitment && lease.commitment.revealedAt !== null
        ? stretched(lease.commitment.revealedAt, timings.graceMs, gaps)
        : null;
    case "delivering":
      return lease.result && stretched(lease.result.at, timings.deliverWithinMs, gaps);
    case "settled":
      return lease.end && stretched(lease.end.at, timings.disputeWindowMs, gaps);
    case "disputed":
      return disputeDeadline(lease);
    case "convicted":
      return convictedDeadline(lease);
    case "ended":
    case "closed":
    case "final":
    case "lapsed":
      return null;
  }
}

/** Whether the broker itself was away for as long as the server may be silent, since the server was last heard. */
function brokerWasAway({ gaps, heardAt, timings }: Lease): boolean {
  return gaps.some(({ from, to }) => to > heardAt && to - Math.max(from, heardAt) >= timings.graceMs);
}

/** Why a lease whose deadline has passed ends; null where silence ends nothing. */
export function silenceReason(lease: Lease): EndReason | null {
  switch (lease.state) {
    case "bound":
    case "accepted":
      return "not-accepted";
    case "stopping":
      // on result, a stop without a result manifest is the owner's silence: nothing is due (PROTOCOL section 6)
      if (lease.terms === "by-interval") return lease.stop?.reason ?? null;
      return unheard(lease);
    case "open":
      return unheard(lease);
    case "revealed":
      return brokerWasAway({ ...lease, heardAt: lease.commitment?.revealedAt ?? lease.heardAt }) ? "broker-failed" : "not-revealed";
    case "delivering":
      return "not-delivered";
    case "committed":
    case "ended":
    case "closed":
    case "settled":
    case "disputed":
    case "convicted":
    case "final":
    case "lapsed":
      return null;
  }
}

function unheard(lease: Lease): EndReason {
  if (brokerWasAway(lease)) return "broker-failed";
  return (lease.lastClaim?.usedMs ?? 0) > 0 ? "server-unreachable" : "not-started";
}

/** The deadline of a lease that is known to have one. */
export function dueAt(lease: Lease): number {
  const at = deadlineOf(lease);
  invariant(at !== null, `a lease that is ${lease.state} has no deadline`);
  return at;
}
