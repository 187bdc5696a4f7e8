/**
 * What can go wrong for a customer, as classes with one closed list of codes: whose fault it is, what it does to the money, and what to do
 * next stand in the tables here and in the market's own. Who controls the inputs: the broker (its refusals).
 */
import { ERROR_CODES, visible, type ErrorCode, type Refusal } from "@xenoservers/protocol";
import type { Withdrawn } from "./withdrawn.ts";

/**
 * `none`: nothing was ordered, held or charged. `withdrawn`: what was ordered is given up, and nothing is charged from then on. `by-terms`:
 * the lease ends and is billed as its terms say. `unknown`: what was sent may have been taken.
 */
export type MoneyEffect = "none" | "withdrawn" | "by-terms" | "unknown";
type Blame = (typeof ERROR_CODES)[ErrorCode]["blame"];

interface CodeRow {
  blame: Blame;
  retryable: boolean;
  money: MoneyEffect;
  /** What to do. */
  next: string;
}

/** What this side finds itself; the market's refusals have codes of their own (`ERROR_CODES`). */
export const SDK_CODES = {
  bad_input: { blame: "caller", retryable: false, money: "none", next: "change what the message names; nothing was signed" },
  no_context: { blame: "caller", retryable: false, money: "none", next: "log in (`xeno login URL`), or give a token (XENO_TOKEN)" },
  kept_differs: { blame: "caller", retryable: false, money: "none", next: "use what is named here by its whole id, or where it was sent" },
  in_use: { blame: "caller", retryable: true, money: "none", next: "wait for the program that has it open, or end that one" },
  aborted: { blame: "caller", retryable: true, money: "none", next: "nothing: its own signal asked for it" },
  given_up: { blame: "caller", retryable: true, money: "withdrawn", next: "look at the lease for what it had used until then" },
  broken_purchase_order: {
    blame: "broker",
    retryable: false,
    money: "withdrawn",
    next: "keep the purchase order, which shows it to others, and do not use this market before its operator explains",
  },
  broken_word: {
    blame: "broker",
    retryable: false,
    money: "by-terms",
    next: "keep the receipts, which show it to others (`xeno verify`), and do not use this market before its operator explains",
  },
  not_started: { blame: "unknown", retryable: true, money: "withdrawn", next: "run it again; the message says what was missing" },
  not_delivered: {
    blame: "owner",
    retryable: false,
    money: "by-terms",
    next: "fetch the result again while it is kept, or dispute it: what was signed and is not there can be shown",
  },
  job_failed: { blame: "caller", retryable: false, money: "by-terms", next: "look at what it printed and at its end: `result` has both" },
  left_undone: {
    blame: "caller",
    retryable: true,
    money: "by-terms",
    next: "go on by the same name, with a larger budget where it was used up",
  },
  earlier_failed: {
    blame: "caller",
    retryable: false,
    money: "none",
    next: "look at the lease that the message names, run that again, and name the new one",
  },
  left_open: {
    blame: "caller",
    retryable: true,
    money: "by-terms",
    next: "call it again while the lease is disputed: what was put down is not asked for twice; a doubt that nobody goes on with is lost",
  },
  not_compared: {
    blame: "unknown",
    retryable: true,
    money: "by-terms",
    next: "run it again, or look at each of its `leases`: what was signed can be objected to, or disputed",
  },
  stalled: { blame: "broker", retryable: false, money: "unknown", next: "look at the lease later; its receipt shows who was silent" },
} as const satisfies Record<string, CodeRow>;
/** One of them. */
export type SdkCode = keyof typeof SDK_CODES;

/** The market answered nothing that can be relied on: what was signed may have been taken all the same. */
const UNHEARD: readonly ErrorCode[] = ["unavailable", "internal", "too_slow"];

/** All that this library throws on purpose. */
export abstract class MarketError extends Error {
  /** Of the closed lists `SDK_CODES` and `ERROR_CODES`. */
  abstract readonly code: SdkCode | ErrorCode;

  get blame(): Blame {
    return this.#row.blame;
  }

  /** Whether the same call can succeed later, as it is. */
  get retryable(): boolean {
    return this.#row.retryable;
  }

  get money(): MoneyEffect {
    return this.#row.money;
  }

  /** What to do, in words. */
  get next(): string {
    return this.#row.next;
  }

  get #row(): CodeRow {
    return rowOf(this.code);
  }
}

const isOwn = (code: SdkCode | ErrorCode): code is SdkCode => Object.hasOwn(SDK_CODES, code);

function rowOf(code: SdkCode | ErrorCode): CodeRow {
  if (isOwn(code)) return SDK_CODES[code];
  const { blame, retryable, says } = ERROR_CODES[code];
  return { blame, retryable, money: UNHEARD.includes(code) ? "unknown" : "none", next: says };
}

/** What was asked for cannot be: said before anything is signed or sent. */
export class InputError extends MarketError {
  override name = "InputError";
  readonly code = "bad_input";
}

/** No market is known here, or its keys do not do what is asked. */
export class ContextError extends MarketError {
  override name = "ContextError";
  readonly code = "no_context";
}

/** What is kept on this machine is not what was asked for. */
export class KeptError extends MarketError {
  override name = "KeptError";
  readonly code = "kept_differs";
}

/** Another program of this machine has it open now. */
export class InUseError extends MarketError {
  override name = "InUseError";
  readonly code = "in_use";
}

/** What was over had run, and is billed as its terms say. */
const WITHDRAWN_MONEY: Readonly<Record<Withdrawn, MoneyEffect>> = { withdrawn: "withdrawn", over: "by-terms", unheard: "unknown" };

/** An order that was given up after it was sent: by the call's own signal, or because nobody could take its result. */
export class GivenUpError extends MarketError {
  override name = "GivenUpError";
  readonly code = "given_up";
  readonly lease: string;
  /** Whether the broker has confirmed it; an order that it has not heard of ends by itself when it expires. */
  readonly left: Withdrawn;
  constructor(lease: string, left: Withdrawn, cause: unknown) {
    super(`lease ${lease} was given up: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.lease = lease;
    this.left = left;
  }

  override get money(): MoneyEffect {
    return WITHDRAWN_MONEY[this.left];
  }
}

/** Replicas that were given up: what became of each, by its lease. */
export class ReplicasGivenUpError extends GivenUpError {
  readonly replicas: ReadonlyMap<string, Withdrawn>;
  constructor(replicas: ReadonlyMap<string, Withdrawn>, cause: unknown) {
    const lefts = [...replicas.values()];
    // nobody has confirmed that all are given up where one is not
    super([...replicas.keys()].join(", "), (["unheard", "withdrawn"] as const).find((each) => lefts.includes(each)) ?? "over", cause);
    this.replicas = replicas;
  }
}

/** What the broker says or shows does not follow from what was signed. */
export class BrokenWordError extends MarketError {
  override name = "BrokenWordError";
  readonly code = "broken_word";
}

/** The job never ran: its server did not take it, or a part of it could not be had here. */
export class NotStartedError extends MarketError {
  override name = "NotStartedError";
  readonly code = "not_started";
  /** What came of withdrawing its order; null: there was nothing to withdraw. */
  readonly left: Withdrawn | null;
  constructor(message: string, { left = null, ...options }: ErrorOptions & { left?: Withdrawn | null } = {}) {
    super(message, options);
    this.left = left;
  }
}

/** A doubt was signed, and its own signal ended the call before the market's referee had judged. */
export class LeftOpenError extends MarketError {
  override name = "LeftOpenError";
  readonly code = "left_open";
  readonly leases: readonly string[];
  constructor(leases: readonly string[], cause: unknown) {
    super(`nobody waits any more for the referee's word on ${leases.join(", ")}`, { cause });
    this.leases = leases;
  }
}

/** Replicas that say nothing about each other: too few came to a result, none delivered what it signed, or no result stands. */
export class NotComparedError extends MarketError {
  override name = "NotComparedError";
  readonly code = "not_compared";
  readonly leases: readonly string[];
  constructor(leases: readonly string[], message: string) {
    super(message);
    this.leases = leases;
  }
}

/** The lease, or the time of an order that waited, should long have ended, and nothing signed lets it go on. */
export class StalledError extends MarketError {
  override name = "StalledError";
  readonly code = "stalled";
}

/** A run was to come after a lease that did not end well: it was not ordered. */
export class EarlierFailedError extends MarketError {
  override name = "EarlierFailedError";
  readonly code = "earlier_failed";
  readonly lease: string;
  constructor(lease: string, message: string) {
    super(message);
    this.lease = lease;
  }
}

/** Of many jobs, one that did not end well; what it came to is its result. */
export class JobFailedError extends MarketError {
  override name = "JobFailedError";
  readonly code = "job_failed";
  readonly lease: string;
  constructor(lease: string, why: string) {
    super(`lease ${lease} did not end well: ${why}`);
    this.lease = lease;
  }
}

/** Of many jobs, what was not ordered, or was let go of: the budget for all was used up, or they were called off. */
export class LeftUndoneError extends MarketError {
  override name = "LeftUndoneError";
  readonly code = "left_undone";
}

/** The call's own signal ended it before anything was ordered. */
export class AbortedError extends MarketError {
  override name = "AbortError";
  readonly code = "aborted";
  constructor(reason: unknown) {
    super("it was called off by its own signal; this call ordered nothing", { cause: reason });
  }
}

/** In the market's words: this case, or what the code means. */
function detailOf({ code, facts: { explanation, why } }: Refusal): string {
  const own = [explanation, why].find((text) => typeof text === "string" && text !== "");
  return typeof own === "string" ? visible(own) : ERROR_CODES[code].says;
}

/** A refusal by the broker, for callers that prefer exceptions. */
export class RefusedError extends MarketError {
  override name = "RefusedError";
  readonly refusal: Refusal;
  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(`${refusal.code}: ${detailOf(refusal)}`, options);
    this.refusal = refusal;
  }

  get code(): ErrorCode {
    return this.refusal.code;
  }

  /** What the market says of it beside the code. */
  get facts(): Refusal["facts"] {
    return this.refusal.facts;
  }
}
