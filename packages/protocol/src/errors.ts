/** Every refusal the market knows: what it means in HTTP, whether trying again can help, and who is to blame. A closed union. */

import type { LeaseRefusal } from "@xenoservers/market";

type RefusalBlame = "customer" | "owner" | "broker" | "caller" | "unknown";

interface CodeRow {
  status: number;
  retryable: boolean;
  blame: RefusalBlame;
  /** What it is, and what to do next. */
  says: string;
}

const row = (status: number, blame: RefusalBlame, says: string, retryable = false): CodeRow => ({ status, retryable, blame, says });

export const ERROR_CODES = {
  bad_envelope: row(400, "caller", "the document is not a DSSE envelope with one signature; sign it with a current client"),
  bad_payload: row(400, "caller", "the payload does not match its schema; see `path`"),
  not_canonical: row(400, "caller", "the payload's bytes are not canonical JSON (duplicate keys, blanks, wrong order)"),
  unknown_kind: row(400, "caller", "this kind or version of document is not known here; upgrade with `npm install -g xenoservers@latest`"),
  bad_request: row(400, "caller", "the request does not match the API; see `path`"),
  bad_condition: row(400, "caller", "a condition cannot be read; see `why`"),
  body_too_large: row(413, "caller", "the body is larger than this market accepts"),
  too_slow: row(408, "caller", "the request did not come to its end in time; send it again", true),
  rate_limited: row(429, "caller", "too many requests; wait as long as `retryAfterMs` says", true),
  bad_signature: row(401, "caller", "the signature does not match the payload and the key"),
  unknown_key: row(401, "caller", "the key belongs to no party here; run `xeno login URL`"),
  key_revoked: row(401, "caller", "the key was revoked or rotated away; use a current key"),
  key_expired: row(401, "caller", "the key's delegation has expired; create a new one with `xeno token create`"),
  key_not_allowed: row(403, "caller", "this key's role may not sign this kind of document"),
  not_yours: row(403, "caller", "the document speaks for another party or server"),
  wrong_origin: row(400, "caller", "the document was made for another market; check `xeno context use`"),
  bad_token: row(401, "caller", "the session token is missing, wrong or expired; the client fetches a new one", true),
  operator_only: row(403, "caller", "only the market's operator may do this"),
  page_not_allowed: row(403, "caller", "this broker's operator lets no web page of this origin use it; ask the operator (`pages`)"),
  suspended: row(403, "caller", "the party is suspended; running leases finish, new ones are refused; ask the operator"),
  id_reused: row(409, "caller", "the same id or reference was used before with other contents; use a new one"),
  answer_gone: row(410, "caller", "this was done long ago, and what was answered is not kept any more; read how it stands"),
  not_kept: row(422, "unknown", "the market's books cannot hold what this says; nothing was changed. Ask the operator, whose log says why"),
  stale_sequence: row(409, "owner", "an offer or claim with a higher sequence is known already"),
  clock_off: row(
    409,
    "owner",
    "the server's clock is `offsetMs` ahead of the market's and may be `allowedMs` off: set it (`timedatectl set-ntp true`)",
    true,
  ),
  expired: row(410, "caller", "the document's own deadline has passed; sign a new one"),
  cursor_expired: row(410, "caller", "events after this cursor were dropped; read how things stand, then the events without a cursor"),
  not_found: row(404, "caller", "there is no such thing, or it is not yours to see"),
  wrong_state: row(409, "caller", "the lease is in a state that does not allow this; see `state`"),
  too_early: row(409, "caller", "it is not time for this yet; see `why`"),
  too_late: row(409, "owner", "the deadline for this step has passed; the order may have been placed elsewhere"),
  insufficient_funds: row(402, "customer", "the account does not hold enough; see `missingNanos`, then add credit or lower --budget"),
  limit_reached: row(402, "customer", "a spend limit on the way to the money is reached; see `account` or `key`"),
  insufficient_stake: row(402, "owner", "the owner's stake does not cover this lease"),
  fetches_failed: row(
    429,
    "customer",
    "images at addresses could not be fetched several times, at nobody's cost: send the image itself, or come again after `until`",
  ),
  no_match: row(409, "customer", "no server that is listed meets the conditions, however free it is; see `excluded`"),
  busy: row(409, "unknown", "every server that could take it has no room now, or is away: wait for one (`--wait`); see `excluded`", true),
  queue_full: row(
    429,
    "customer",
    "too many orders wait already, of this party or of all (see `of`); withdraw some, or try again later",
    true,
  ),
  withdrawn: row(410, "customer", "the order was withdrawn by its customer while it waited; sign a new one"),
  capacity_taken: row(409, "unknown", "the last fitting slot was taken by another order; try again", true),
  conflict: row(409, "unknown", "another change came first too many times; try again", true),
  claim_out_of_order: row(409, "owner", "the claim does not follow the last receipted one"),
  claim_decreasing: row(409, "owner", "cumulative use went down"),
  claim_chain_broken: row(409, "owner", "the claim does not name the last receipted one"),
  claim_too_early: row(409, "owner", "more use is claimed than time has passed"),
  po_mismatch: row(409, "broker", "the purchase order does not follow from order, offer and fee; see `why`"),
  bill_mismatch: row(409, "broker", "the money stated is not what the lease's documents give; see `why`"),
  stale_terms: row(409, "caller", "the market's timings or fee are not the ones signed; read them again and sign anew", true),
  not_drawn: row(409, "caller", "another referee was drawn for this lease; see `referee` and `round`", true),
  no_referee: row(409, "broker", "no referee can judge it now: nobody could decide, so nothing is frozen"),
  result_mismatch: row(409, "owner", "the result does not belong to this lease's job"),
  not_comparable: row(409, "caller", "the two results cannot decide a dispute; see `why`"),
  result_agrees: row(409, "customer", "the referee came to the same result: there is nothing to dispute"),
  protocol_version: row(426, "caller", "the protocol version is not one of the broker's; upgrade with `npm install -g xenoservers@latest`"),
  server_offline: row(503, "owner", "the server is not connected now", true),
  overloaded: row(503, "broker", "the broker has no room for more now; wait as long as `retryAfterMs` says", true),
  unavailable: row(503, "broker", "the broker or its database cannot be reached; nothing was changed as far as is known, try again", true),
  internal: row(500, "broker", "the broker failed; nothing was changed as far as it knows", true),
} as const satisfies Record<string, CodeRow>;

export type ErrorCode = keyof typeof ERROR_CODES;

const TAKEN_LATER: readonly ErrorCode[] = ["unavailable", "rate_limited", "overloaded", "too_slow"];
/** Whether the same request is taken a while later, as it is. */
export const isTakenLater = (code: ErrorCode): boolean => TAKEN_LATER.includes(code);

/** An expected refusal: returned, never thrown. `facts` are safe to show to the caller. */
export interface Refusal {
  ok: false;
  code: ErrorCode;
  facts: Record<string, string | number | boolean | null | Record<string, number>>;
}

export function refuse(code: ErrorCode, facts: Refusal["facts"] = {}): Refusal {
  return { ok: false, code, facts };
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERROR_CODES, text);
}

/** The wire form of a refusal. */
export function refusalBody(refusal: Refusal) {
  const { retryable, blame, says } = ERROR_CODES[refusal.code];
  return { error: { code: refusal.code, says, blame, retryable, ...refusal.facts } };
}

const isFact = (value: unknown): value is Refusal["facts"][string] =>
  value === null ||
  ["string", "number", "boolean"].includes(typeof value) ||
  (typeof value === "object" && !Array.isArray(value) && Object.values(value).every((each) => typeof each === "number"));

/**
 * A refusal off the wire: a code that is not known is `internal`, and what no refusal holds is left out. Who controls the input: a broker.
 */
export function parseRefusal(error: Readonly<Record<string, unknown>>): Refusal {
  const { code, says: _says, blame: _blame, retryable: _retryable, ...said } = error;
  const facts = Object.fromEntries(Object.entries(said).filter((each): each is [string, Refusal["facts"][string]] => isFact(each[1])));
  return { ok: false, code: typeof code === "string" && isErrorCode(code) ? code : "internal", facts };
}

/** A lease's refusal of a fact, as the market's answer. */
export const refuseFact = ({ code, why, facts }: LeaseRefusal, more: Refusal["facts"] = {}): Refusal =>
  refuse(code, { ...more, ...facts, why });
