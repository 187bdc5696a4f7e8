/**
 * The terms' table: every way a lease can end, with all that any part of the market needs to know of it. Nothing else lists reasons.
 * Total over EndReason x PaymentTerms, so that a new reason does not compile until somebody has decided who pays (PROTOCOL section 6).
 */
import type { DriverAbilities } from "../drivers.ts";

export type PaymentTerms = "on-result" | "by-interval";
export const PAYMENT_TERMS = ["on-result", "by-interval"] as const satisfies readonly PaymentTerms[];

export type Blame = "customer" | "owner" | "broker" | "nobody";
export const BLAMES = ["customer", "owner", "broker", "nobody"] as const satisfies readonly Blame[];

/** `used`: what was used is paid. `cancellation`: the minimum that a reserved, unused slot costs. `nothing`: a full refund. */
export type Pay = "used" | "cancellation" | "nothing";

/**
 * What brought the end about: the job by itself, the bytes its customer sent, the limits its customer set, a party's own word, the host,
 * the broker; or `untold`, where nobody can tell whose doing it was.
 */
export type Cause = "job" | "customer-bytes" | "customer-limits" | "customer" | "owner" | "host" | "broker" | "untold";

/**
 * Running the job again shows what it came to by itself; what it came to under the same fuel limit; or what it had written by the fuel
 * that its server states, where somebody stopped it.
 */
export type Proof = "own-end" | "fuel-limit" | "stated-fuel";

export interface TermsRow {
  /** Who states it: the server in its result manifest, or the broker in its closing, where nothing was heard. */
  statedBy: "server" | "broker";
  cause: Cause;
  blame: Blame;
  /**
   * How running the job again shows it, where the job runs alike; `either-limit`: of fuel, or of time, which is
   * chance; null: it shows nothing (proofs.ts).
   */
  proof: Proof | "either-limit" | null;
  /** A guest ran. */
  ran: boolean;
  /** It ends the run at a moment that is chance: what was used can be bounded by time, not recomputed. */
  byChance: boolean;
  /** It says that the time, the fuel or the money of the order is used up, which the fold can measure. */
  usedUp: boolean;
  /** The result may carry the exit code of the guest's own program; of one that was asked to end, where no other run is held against it. */
  exitCode: boolean;
  /** What a driver must be able to for a guest to end so; null: nothing. */
  takes: keyof DriverAbilities | null;
  /** What it counts as in the owner's record. */
  record: "kept" | "failed" | "missed" | "not-counted";
  /** Whether the same order may be run again without the customer having paid for this try. */
  retryFree: boolean;
  pay: Record<PaymentTerms, Pay>;
  /** What a shell is told of it: the guest's own code, that a limit, a stop or a kill ended it, or that the market did. */
  shell: "own" | "limit" | "interrupted" | "killed" | "market";
  /** One sentence for people, shown by `lease show`. */
  says: string;
}

const bothUsed = { "on-result": "used", "by-interval": "used" } as const;
const nothing = { "on-result": "nothing", "by-interval": "nothing" } as const;
const intervalOnly = { "on-result": "nothing", "by-interval": "used" } as const;
const cancellation = { "on-result": "cancellation", "by-interval": "cancellation" } as const;
const byMarket = { shell: "market" } as const;
const atLimit = { cause: "customer-limits", blame: "customer", pay: bothUsed, shell: "limit", usedUp: true } as const;
const killed = { ...atLimit, shell: "killed", usedUp: false } as const;

/** The guest ran and ended by itself, alike on every server. */
const alike = {
  statedBy: "server",
  proof: "own-end",
  ran: true,
  byChance: false,
  usedUp: false,
  exitCode: false,
  takes: null,
  record: "kept",
  retryFree: false,
} as const;
const byItself = { ...alike, ...byMarket } as const;
/** The guest ran and was ended from outside. */
const fromOutside = { ...byItself, proof: "stated-fuel", byChance: true } as const;
/** The server took the lease and no guest ever ran. */
const neverRan = { ...byItself, proof: null, ran: false, record: "not-counted" } as const;
/** The broker found silence where an owner's server should have spoken. */
const ownersSilence = {
  ...byMarket,
  statedBy: "broker",
  cause: "host",
  blame: "owner",
  proof: null,
  ran: false,
  byChance: false,
  usedUp: false,
  exitCode: false,
  takes: null,
  record: "failed",
  retryFree: true,
} as const;

const ROWS = {
  completed: { ...byItself, shell: "own", cause: "job", blame: "nobody", exitCode: true, pay: bothUsed, says: "the job ran to its end" },
  "segment-end": {
    ...byItself,
    ...{ cause: "job", blame: "nobody", takes: "breakpoints", pay: bothUsed },
    says: "the part of the job that was asked for ran to its end",
  },
  "time-limit": { ...fromOutside, ...atLimit, says: "the job reached the order's maximum time" },
  "fuel-limit": {
    ...byItself,
    ...atLimit,
    proof: "fuel-limit",
    takes: "exactLimits",
    says: "the job used all the fuel its customer allowed it",
  },
  budget: { ...byItself, ...atLimit, proof: "either-limit", says: "the budget was used up" },
  "memory-limit": { ...byItself, ...killed, says: "the job needed more memory than was ordered" },
  "output-limit": { ...byItself, ...killed, says: "the job wrote more output than was ordered" },
  "module-malformed": {
    ...byItself,
    ...{ cause: "customer-bytes", blame: "customer", takes: "modules", pay: bothUsed },
    says: "the module is not valid WebAssembly for this engine",
  },
  "image-refused": {
    ...neverRan,
    ...{ cause: "customer-bytes", blame: "customer", takes: "boots", pay: cancellation },
    says: "the image cannot be started; nothing ran, and the reserved slot costs its minimum",
  },
  "job-refused": {
    ...neverRan,
    ...{ cause: "customer-bytes", blame: "customer", pay: cancellation },
    says: "the job cannot be read or does not fit what was ordered; nothing ran, and the reserved slot costs its minimum",
  },
  "image-unfetched": {
    ...neverRan,
    ...{ cause: "untold", blame: "nobody", takes: "boots", retryFree: true, pay: nothing },
    says: "the image at the order's address could not be fetched; nothing ran, and nothing is due",
  },
  "input-missing": {
    ...neverRan,
    ...{ cause: "customer", blame: "customer", pay: cancellation },
    says: "the job's bytes did not arrive in time; nothing ran, and the reserved slot costs its minimum",
  },
  "guest-panic": {
    ...byItself,
    ...{ cause: "job", blame: "customer", takes: "boots", pay: bothUsed, shell: "killed" },
    says: "the guest's own system panicked, or hung",
  },
  "vm-crashed": {
    ...fromOutside,
    ...{ cause: "untold", blame: "nobody", proof: null, record: "not-counted", retryFree: true, pay: intervalOnly },
    says: "the machine or the process that ran the job crashed by itself; whose doing it was cannot be told",
  },
  "customer-stop": {
    ...fromOutside,
    exitCode: true,
    shell: "interrupted",
    cause: "customer",
    blame: "customer",
    pay: bothUsed,
    says: "the customer stopped it",
  },
  "owner-stop": {
    ...fromOutside,
    ...{ cause: "owner", blame: "owner", record: "failed", retryFree: true, pay: intervalOnly },
    says: "the owner stopped it",
  },
  "server-failed": {
    ...neverRan,
    ...{ cause: "host", blame: "owner", record: "failed", retryFree: true, pay: nothing },
    says: "the server failed; a host's failure is never a result",
  },
  "server-unreachable": {
    ...ownersSilence,
    ran: true,
    byChance: true,
    pay: intervalOnly,
    says: "the server was not heard from for longer than the grace",
  },
  "not-accepted": { ...ownersSilence, record: "missed", pay: nothing, says: "the server did not accept in time" },
  "not-started": { ...ownersSilence, pay: nothing, says: "the server did not start in time" },
  "not-revealed": { ...ownersSilence, pay: nothing, says: "the server committed to a result and did not show it" },
  "not-delivered": {
    ...ownersSilence,
    ...{ cause: "untold", blame: "nobody", ran: true, record: "not-counted", pay: nothing },
    says: "the result's bytes reached neither the customer nor the broker in time",
  },
  "broker-failed": {
    ...ownersSilence,
    ...{ cause: "broker", blame: "broker", record: "not-counted", pay: intervalOnly },
    says: "the broker was away too long for the lease to go on",
  },
} as const satisfies Record<string, TermsRow>;

export type EndReason = keyof typeof ROWS;
export const TERMS: Readonly<Record<EndReason, TermsRow>> = ROWS;

export const isEndReason = (text: string): text is EndReason => Object.hasOwn(ROWS, text);
const names = Object.keys(ROWS).filter(isEndReason);
type NonEmpty = [EndReason, ...EndReason[]];
const listed = ([first, ...others]: readonly EndReason[]): NonEmpty => [first ?? "completed", ...others];

export const END_REASONS: NonEmpty = listed(names);
/** Reasons a server may state in a result manifest; every other reason is the broker's to find. */
export const RESULT_REASONS: NonEmpty = listed(names.filter((reason) => ROWS[reason].statedBy === "server"));

/**
 * Whether a guest ran at all: only then is there something to compare. One that was stopped before it did anything looks like one that
 * never began.
 */
export function wasRun({ reason, fuel }: { reason: EndReason; fuel: string }): boolean {
  return TERMS[reason].ran && !(TERMS[reason].byChance && fuel === "0");
}

/** What a customer loses if the server vanishes mid-lease: the sentence every quote prints. */
export function ifServerVanishes(terms: PaymentTerms): string {
  return TERMS["server-unreachable"].pay[terms] === "nothing"
    ? "nothing: no result, no charge"
    : "what was used up to its last signed claim; the rest of the hold comes back";
}
