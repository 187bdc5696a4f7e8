/** What each route of the API is for and how it refuses, in the table's order: for programs and people who read, not for those that ask. */
import type { RouteName } from "./api.ts";
import type { ErrorCode } from "./errors.ts";

const SIGNED = [
  "bad_envelope",
  "bad_payload",
  "not_canonical",
  "unknown_kind",
  "bad_signature",
  "wrong_origin",
  "unknown_key",
  "key_revoked",
  "key_expired",
  "key_not_allowed",
  "not_yours",
  "body_too_large",
  "rate_limited",
  "unavailable",
] as const satisfies readonly ErrorCode[];
const READ = ["bad_request", "bad_token", "key_not_allowed", "rate_limited", "unavailable"] as const satisfies readonly ErrorCode[];

interface RouteWords {
  summary: string;
  refusals: readonly ErrorCode[];
}

export const API_WORDS: Readonly<Record<RouteName, RouteWords>> = {
  market: {
    summary: "What this market is: origin, keys to pin, timings, fee",
    refusals: ["rate_limited"],
  },
  submit: {
    summary: "Submit one signed document; its key says who speaks. The same document again gets the same answer",
    refusals: [
      ...SIGNED,
      "id_reused",
      "answer_gone",
      "not_kept",
      "stale_sequence",
      "clock_off",
      "expired",
      "not_found",
      "wrong_state",
      "too_late",
      "insufficient_funds",
      "limit_reached",
      "insufficient_stake",
      "no_match",
      "busy",
      "queue_full",
      "capacity_taken",
      "suspended",
      "conflict",
    ],
  },
  submitMany: {
    summary: "Submit up to 100 signed documents; each is answered for itself, in order",
    refusals: SIGNED,
  },
  challenge: {
    summary: "A challenge to sign for a session token",
    refusals: ["rate_limited"],
  },
  token: {
    summary: "A short-lived token for reading, against a signed login document",
    refusals: [...SIGNED, "bad_token"],
  },
  whoami: {
    summary: "The caller's party and keys",
    refusals: READ,
  },
  servers: {
    summary: "How the caller's servers stand, and why they get no orders; with a server's key its own alone",
    refusals: READ,
  },
  accounts: {
    summary: "The caller's accounts: tree, limits, what is left of them, and the money by state",
    refusals: READ,
  },
  statement: {
    summary: "Movements of the caller's money, newest first, page by page; what a key does not see is left out of its page",
    refusals: READ,
  },
  offers: {
    summary: "Search live offers, page by page of the same search; with a token also those that serve only the caller",
    refusals: ["bad_request", "bad_condition", "rate_limited"],
  },
  leases: {
    summary: "Leases the caller is part of, newest first, page by page",
    refusals: READ,
  },
  lease: {
    summary: "One lease; a prefix of its id is enough",
    refusals: [...READ, "not_found", "conflict"],
  },
  receipt: {
    summary: "Everything that proves a lease offline",
    refusals: [...READ, "not_found", "conflict"],
  },
  leaseLog: {
    summary: "A lease's documents as they were logged, page by page; what it takes to fold it, without proofs",
    refusals: [...READ, "not_found"],
  },
  sealPart: {
    summary: "A part of a result's bytes, sealed for its customer, of a lease that waits for delivery; kept until its time is over",
    refusals: [...READ, "not_found", "wrong_state", "body_too_large", "limit_reached"],
  },
  sealResult: {
    summary: "So many parts are all of a sealed result: settles a lease that waits for delivery",
    refusals: [...READ, "not_found", "wrong_state", "conflict"],
  },
  sealed: {
    summary: "A part of the sealed bytes of a result that waited for its customer",
    refusals: [...READ, "not_found"],
  },
  order: {
    summary: "Where an order stands",
    refusals: [...READ, "not_found"],
  },
  events: {
    summary: "The caller's events after a cursor; by Accept: text/event-stream (Last-Event-ID works) they keep coming until `cut` says why",
    refusals: [...READ, "cursor_expired"],
  },
  checkpoint: {
    summary: "The log's latest signed checkpoint (C2SP tlog-checkpoint)",
    refusals: ["rate_limited", "unavailable"],
  },
  tile: {
    summary: "Hash tiles (level 0…) and entry bundles (`entries`) as in C2SP tlog-tiles",
    refusals: ["rate_limited", "not_found", "unavailable"],
  },
  inclusion: {
    summary: "Proof that a leaf is in the tree of a size",
    refusals: ["bad_request", "not_found", "rate_limited", "unavailable"],
  },
  cosign: {
    summary: "A checkpoint with the cosignature of one of the market's witnesses",
    refusals: ["bad_request", "bad_signature", "key_not_allowed", "conflict", "rate_limited", "unavailable"],
  },
  consistency: {
    summary: "Proof that one tree is a prefix of another",
    refusals: ["bad_request", "not_found", "rate_limited", "unavailable"],
  },
  history: {
    summary: "What evidence stands on: the operator's sets of the broker's keys, the epochs of the log, and who was named a witness",
    refusals: ["rate_limited", "unavailable"],
  },
  overview: {
    summary: "The operator's view: books, log, servers",
    refusals: [...READ, "operator_only"],
  },
};
