/**
 * The whole HTTP API as one table: routes, OpenAPI, the typed client and the authorisation test are all read from it. Everything that
 * changes something is a signed document (POST /documents); the rest reads.
 */
import {
  ASSURANCES,
  DEFAULT_DRIVER,
  DRIVER_NAMES,
  END_REASONS,
  LEASE_STATES,
  PAYMENT_TERMS,
  SCOPES,
  type Scope,
} from "@xenoservers/market";
import * as z from "zod/mini";
import { madeWhenAsked } from "./made-when-asked.ts";
import { zAccount, zEnvelope, zEpoch, zFuel, zId, zKey, zParty, zPins, zPrice, zResources, zServer, zTerms } from "./documents/parts.ts";
import { zHistory } from "./evidence.ts";
import { zPromise } from "./leaf.ts";
import { zMarketInfo } from "./link/messages.ts";
import { SEALED_PARTS_MAX } from "./result-fit.ts";

/** `party`: a session token of any party; the handler shows it only what is its own. `operator`: a token of the operator's key. */
type Access = "public" | "party" | "operator";

type Fields = Readonly<Record<string, z.ZodMiniType>>;

export interface Route {
  method: "GET" | "POST" | "PUT";
  path: string;
  access: Access;
  /** What a party's key must be granted for it; null where the route asks for no key. */
  scope: Scope | null;
  params?: z.ZodMiniObject<Fields>;
  query?: z.ZodMiniObject<Fields>;
  body?: z.ZodMiniType;
  reply: z.ZodMiniType;
  /** text/plain or bytes instead of JSON. */
  raw?: "text" | "bytes";
  /** Whether the body is bytes instead of JSON. */
  rawBody?: boolean;
}

const zTimeMs = z.int();
const zAtMost = z.coerce.number().check(z.int(), z.gte(1), z.lte(1000));
const zLimit = z._default(zAtMost, 100);
/** Where the page before ended, as its reply said. */
const zCursor = z.string().check(z.regex(/^\d{1,20}(\.\d{1,20}){0,2}$/, "is no cursor; send one that a reply gave, or none"));
/** Where the page before ended, as `next` of its reply said. */
const placeIn = (form: RegExp) =>
  z.optional(z.string().check(z.regex(form, "is no place in this list; send the `next` of a page, or none")));
/** Where the rest of a list begins; null: there is no more. A broker that knows no pages says nothing of it. */
const zNext = z._default(z.nullable(z.string()), null);
const zPart = z.coerce.number().check(z.int(), z.gte(0), z.lte(SEALED_PARTS_MAX - 1));
/**
 * What was computed of amounts: a sum of a party's money, a price times a time. One document's bound does not hold for it, and what one
 * party states must not spoil an answer for others.
 */
const zComputedNanos = z.string().check(z.regex(/^(0|[1-9][0-9]{0,39})$/, "must be a decimal integer of nanos"));
/** All that an order can say, and the owners that a draw of replicas leaves out. */
const QUERY_CHARACTERS_MAX = 6_300;
const zFlag = z._default(z.enum(["true", "false"]), "false");

export const zLeaseView = z.object({
  id: zId,
  orderId: zId,
  attempt: z.int(),
  state: z.enum(LEASE_STATES),
  customer: zParty,
  owner: zParty,
  server: zServer,
  label: z.string(),
  terms: z.enum(PAYMENT_TERMS),
  resources: zResources,
  price: zPrice,
  durationMsMax: z.int(),
  /** The shortest such time to which it is extended; earlier brokers do not say. */
  leastExtendedMs: z.optional(z.int()),
  fuelMax: zFuel,
  holdNanos: zComputedNanos,
  /** How often such a result is audited by its owner's record, in parts per million; 0: never. */
  auditPpm: z.int(),
  stakeNanos: zComputedNanos,
  ratePerHourNanos: zComputedNanos,
  issuedAt: zTimeMs,
  openedAt: z.nullable(zTimeMs),
  usedMs: z.int(),
  lastAmendment: z.nullable(zId),
  /** Its result is doubted; `answered`: its server owes no states for it. */
  trace: z.nullable(z.object({ depositNanos: zComputedNanos, answered: z.boolean(), deadlineAt: z.nullable(zTimeMs) })),
  /** The seed by which its referees are drawn. */
  settlement: z.nullable(zId),
  /** The lease whose result it judges. */
  judges: z.nullable(zId),
  /** Whose turn it is to judge; `by`: until then the run may be ordered. */
  draw: z.nullable(z.object({ round: z.int(), referee: zServer, candidates: z.array(zServer), by: z.nullable(zTimeMs) })),
  result: z.nullable(z.object({ id: zId, reason: z.enum(END_REASONS), exitCode: z.nullable(z.int()), at: zTimeMs })),
  /** By whose word the result's bytes are delivered; null while they are not. */
  delivery: z.nullable(z.object({ by: z.enum(["customer", "broker"]), at: zTimeMs })),
  objection: z.nullable(z.object({ by: z.enum(["customer", "owner"]), depositNanos: zComputedNanos, at: zTimeMs })),
  /** When the broker does something by itself if nobody else has; null: never. */
  deadlineAt: z.nullable(zTimeMs),
  end: z.nullable(
    z.object({
      reason: z.enum(END_REASONS),
      blame: z.string(),
      at: zTimeMs,
      billableMs: z.int(),
      billableFuel: zFuel,
      billableEgressBytes: z.int(),
      dueNanos: zComputedNanos,
      feeNanos: zComputedNanos,
      ownerNanos: zComputedNanos,
      refundNanos: zComputedNanos,
      exitCode: z.nullable(z.int()),
      result: z.nullable(zId),
      windowEndsAt: zTimeMs,
      audited: z.nullable(z.boolean()),
      auditRound: z.nullable(zId),
    }),
  ),
});
export type LeaseView = z.infer<typeof zLeaseView>;

export const zReceiptDocument = z.object({
  kind: z.string(),
  id: zId,
  envelope: zEnvelope,
  at: zTimeMs,
  salt: z.union([zId, z.literal("")]),
  leaf: zId,
  index: z.nullable(z.int()),
  proof: z.array(zId),
});
/** The same as it is told to who folds a lease and leans on no proof. */
const zLoggedDocument = z.pick(zReceiptDocument, { kind: true, id: true, envelope: true, at: true });
/** A part of a lease's log. */
const zLogPage = z.object({
  documents: z.array(zLoggedDocument),
  /** Public documents that give the signers of these their roles, and gaps of that time. */
  leaves: z.array(zLoggedDocument),
  hasMore: z.boolean(),
});
export type LogPage = z.infer<typeof zLogPage>;
export const zReceipt = z.object({
  format: z.literal("xenoservers-receipt-1"),
  lease: zId,
  market: zPins,
  documents: z.array(zReceiptDocument),
  /** Public leaves that its facts lean on: what gives signers their roles, the fee, gaps. */
  leaves: z.array(zReceiptDocument),
  checkpoint: z.string(),
  size: z.int(),
  /** Of a part: documents come after these. */
  hasMore: z.optional(z.boolean()),
  /** Of the first part: so many claims of the lease were taken, each with its receipt. */
  claims: z.optional(z.int()),
});
export type Receipt = z.infer<typeof zReceipt>;
export type ReceiptDocument = z.infer<typeof zReceiptDocument>;

/** A lease's row in the archive: what its broker made of it, of which nothing is signed. */
export const zArchivedRow = z.object({
  format: z.literal("xenoservers-row-1"),
  lease: z.string(),
  row: z.looseObject({ id: z.string(), state: z.string() }),
});
export type ArchivedRow = z.infer<typeof zArchivedRow>;

const zRecord = z.object({
  leases: z.int(),
  completed: z.int(),
  ownerFailures: z.int(),
  missed: z.int(),
  convicted: z.int(),
  audited: z.int(),
});

/** Why a server gets no orders, whatever a customer wants. */
const RESTS = ["offline", "not_listed", "expired", "clock_off", "cooling", "suspended", "full", "judging_only"] as const;
export const zServerStanding = z.object({
  server: zServer,
  /** Empty: it gets them. */
  why: z.array(z.enum(RESTS)),
  /** Of its offer; null: it has none. */
  validUntil: z.nullable(zTimeMs),
  /** How many parties its offer is for; 0: everybody. */
  allowedParties: z.int(),
  /** As it was measured at the server's last login; null: it was not. */
  clock: z.nullable(z.object({ offsetMs: z.number(), errorMs: z.number(), isRight: z.boolean() })),
  /** What counts of the server's own and of all servers of its owner `together`; `reason`: how the last missed lease ended. */
  conduct: z.object({ coolUntil: z.int(), misses: z.int(), reason: z.nullable(z.string()), together: z.boolean() }),
  /** Its owner's. */
  record: zRecord,
});
export type ServerStanding = z.infer<typeof zServerStanding>;

/** What nobody leases now; none of it where the last was taken as it was looked for. */
const zFree = z.extend(zResources, { vcpu: z.int().check(z.gte(0)), memoryMib: z.int().check(z.gte(0)) });

const zOfferView = z.object({
  server: zServer,
  owner: zParty,
  offerId: zId,
  resources: zResources,
  free: zFree,
  price: zPrice,
  priceNanosPerHour: zComputedNanos,
  accel: z.string(),
  vmScore: z.int(),
  limits: z.string(),
  /** By driver. */
  holds: z.record(z.string(), z.array(z.string())),
  egress: z.string(),
  fetches: z.boolean(),
  vmEngine: z.string(),
  cpuScore: z.int(),
  drivers: z.array(z.string()),
  assurances: z.array(z.string()),
  sandbox: z.string(),
  engine: z.string(),
  labels: z.record(z.string(), z.string()),
  validUntil: zTimeMs,
  maxLeaseMs: z.int(),
  record: zRecord,
});
export type OfferView = z.infer<typeof zOfferView>;

const zBalances = z.object({
  available: zComputedNanos,
  held: zComputedNanos,
  pending: zComputedNanos,
  staked: zComputedNanos,
  locked: zComputedNanos,
});
export type Balances = z.infer<typeof zBalances>;

const zStoredEvent = z.object({ cursor: z.string(), kind: z.string(), lease: z.nullable(zId), data: z.unknown(), at: zTimeMs });
export type EventView = z.infer<typeof zStoredEvent>;

const zKeyView = z.object({
  key: zKey,
  role: z.string(),
  label: z.string(),
  scopes: z.array(z.enum(SCOPES)),
  account: z.nullable(z.string()),
  leaseLabel: z.nullable(z.string()),
  maxSpendPerDayNanos: z.nullable(z.string()),
  expiresAt: z.nullable(z.int()),
  revokedAt: z.nullable(z.int()),
});
const zAnswer = z.looseObject({ id: zId, at: zTimeMs, promise: z.optional(zPromise), salt: z.optional(z.string()) });

export const API = madeWhenAsked({
  market: () =>
    ({
      method: "GET",
      path: "/api/v1/market",
      access: "public",
      scope: null,
      reply: zMarketInfo,
    }) as const satisfies Route,
  submit: () =>
    ({
      method: "POST",
      path: "/api/v1/documents",
      access: "public",
      scope: null,
      /** `waits`: an order for which there is no room now waits for some until it expires. */
      body: z.strictObject({ envelope: z.unknown(), waits: z.optional(z.boolean()) }),
      reply: zAnswer,
    }) as const satisfies Route,
  submitMany: () =>
    ({
      method: "POST",
      path: "/api/v1/documents/many",
      access: "public",
      scope: null,
      body: z.strictObject({ envelopes: z.array(z.unknown()).check(z.minLength(1), z.maxLength(100)) }),
      reply: z.object({ answers: z.array(z.looseObject({})) }),
    }) as const satisfies Route,
  challenge: () =>
    ({
      method: "POST",
      path: "/api/v1/auth/challenge",
      access: "public",
      scope: null,
      reply: z.object({ challenge: zId }),
    }) as const satisfies Route,
  token: () =>
    ({
      method: "POST",
      path: "/api/v1/auth/token",
      access: "public",
      scope: null,
      body: z.strictObject({ login: z.unknown() }),
      reply: z.object({ token: z.string(), party: zParty, expiresAt: zTimeMs }),
    }) as const satisfies Route,
  whoami: () =>
    ({
      method: "GET",
      path: "/api/v1/whoami",
      access: "party",
      scope: "read",
      reply: z.object({
        party: zParty,
        name: z.string(),
        account: zAccount,
        role: z.string(),
        suspended: z.boolean(),
        keys: z.array(zKeyView),
      }),
    }) as const satisfies Route,
  servers: () =>
    ({
      method: "GET",
      path: "/api/v1/servers",
      access: "party",
      scope: "read",
      reply: z.object({ servers: z.array(zServerStanding) }),
    }) as const satisfies Route,
  accounts: () =>
    ({
      method: "GET",
      path: "/api/v1/accounts",
      access: "party",
      scope: "read",
      reply: z.object({
        balances: zBalances,
        accounts: z.array(
          z.object({
            id: zAccount,
            parent: z.nullable(zAccount),
            name: z.string(),
            limitNanos: z.nullable(z.string()),
            spentNanos: z.string(),
          }),
        ),
      }),
    }) as const satisfies Route,
  statement: () =>
    ({
      method: "GET",
      path: "/api/v1/statement",
      access: "party",
      scope: "read",
      query: z.object({ after: placeIn(/^\d{1,19}$/), limit: zLimit }),
      reply: z.object({
        entries: z.array(z.object({ id: z.string(), debit: z.string(), credit: z.string(), amountNanos: z.string(), at: zTimeMs })),
        next: zNext,
      }),
    }) as const satisfies Route,
  offers: () =>
    ({
      method: "GET",
      path: "/api/v1/offers",
      access: "public",
      scope: null,
      query: z.object({
        q: z._default(z.string().check(z.maxLength(QUERY_CHARACTERS_MAX)), ""),
        order: z._default(z.enum(["price", "cost-per-work"]), "price"),
        on: z._default(z.enum(["mine", "market"]), "market"),
        vcpu: z.optional(z.coerce.number().check(z.int(), z.gte(1), z.lte(1024))),
        memoryMib: z.optional(z.coerce.number().check(z.int(), z.gte(1), z.lte(16_777_216))),
        diskMib: z.optional(z.coerce.number().check(z.int(), z.gte(0), z.lte(1_073_741_824))),
        durationMs: z._default(z.coerce.number().check(z.int(), z.gte(0)), 0),
        terms: z._default(zTerms, "on-result"),
        assurance: z._default(z.enum(ASSURANCES), "isolated"),
        driver: z._default(z.enum(DRIVER_NAMES), DEFAULT_DRIVER),
        accel: z._default(z.enum(["kvm", "any"]), "any"),
        egress: z._default(z.enum(["none", "names", "public"]), "none"),
        /** Those too that have no room now, or are away: whose room an order can wait for. */
        later: zFlag,
        /** For a referee's run: referees take nothing else. */
        judges: zFlag,
        after: placeIn(/^[01]\.\d{1,40}\.\d{1,15}\.s_[0-9a-f]{40}$/),
        limit: z._default(z.coerce.number().check(z.int(), z.gte(1), z.lte(200)), 20),
      }),
      reply: z.object({
        offers: z.array(zOfferView),
        resources: zResources,
        excluded: z.record(z.string(), z.int()),
        explanation: z.string(),
        next: zNext,
      }),
    }) as const satisfies Route,
  leases: () =>
    ({
      method: "GET",
      path: "/api/v1/leases",
      access: "party",
      scope: "read",
      query: z.object({ live: zFlag, after: placeIn(/^\d{1,16}\.[0-9a-f]{1,64}$/), limit: zLimit }),
      reply: z.object({
        leases: z.array(zLeaseView),
        /** Those of the page that are over and lie in the market's archive, which its broker cannot read now. */
        away: z._default(z.array(z.pick(zLeaseView, { id: true, state: true, issuedAt: true })), []),
        next: zNext,
      }),
    }) as const satisfies Route,
  lease: () =>
    ({
      method: "GET",
      path: "/api/v1/leases/:id",
      access: "party",
      scope: "read",
      params: z.object({ id: z.string().check(z.regex(/^[0-9a-f]{4,64}$/)) }),
      reply: zLeaseView,
    }) as const satisfies Route,
  receipt: () =>
    ({
      method: "GET",
      path: "/api/v1/leases/:id/receipt",
      access: "party",
      scope: "read",
      params: z.object({ id: z.string().check(z.regex(/^[0-9a-f]{4,64}$/)) }),
      /**
       * Without `limit` all of it, where that is no more than one answer holds. `after`: the last document of the part before; `size`: of
       * the log, as the first part said; `brief`: without claims and their receipts.
       */
      query: z.object({
        after: z.optional(zId),
        limit: z.optional(zAtMost),
        size: z.optional(z.coerce.number().check(z.int())),
        brief: zFlag,
      }),
      reply: zReceipt,
    }) as const satisfies Route,
  leaseLog: () =>
    ({
      method: "GET",
      path: "/api/v1/leases/:id/log",
      access: "party",
      scope: "read",
      params: z.object({ id: zId }),
      /** `after`: the last document that is known, by its id. */
      query: z.object({ after: z.optional(zId), limit: zLimit }),
      reply: zLogPage,
    }) as const satisfies Route,
  sealPart: () =>
    ({
      method: "PUT",
      path: "/api/v1/leases/:id/sealed/:part",
      access: "party",
      scope: "serve",
      params: z.object({ id: zId, part: zPart }),
      rawBody: true,
      reply: z.object({ digest: zId }),
    }) as const satisfies Route,
  sealResult: () =>
    ({
      method: "POST",
      path: "/api/v1/leases/:id/sealed",
      access: "party",
      scope: "serve",
      params: z.object({ id: zId }),
      body: z.object({ parts: z.int().check(z.gte(1), z.lte(SEALED_PARTS_MAX)) }),
      reply: zAnswer,
    }) as const satisfies Route,
  sealed: () =>
    ({
      method: "GET",
      path: "/api/v1/leases/:id/sealed/:part",
      access: "party",
      scope: "read",
      params: z.object({ id: zId, part: zPart }),
      raw: "bytes",
      reply: z.string(),
    }) as const satisfies Route,
  order: () =>
    ({
      method: "GET",
      path: "/api/v1/orders/:id",
      access: "party",
      scope: "read",
      params: z.object({ id: zId }),
      reply: z.object({
        id: zId,
        lease: z.nullable(zId),
        attempt: z.int(),
        /** It waits for room. `ahead`: how many orders have their turn before it, as the queue stands. */
        waiting: z._default(z.nullable(z.object({ since: zTimeMs, until: zTimeMs, ahead: z.int() })), null),
        /** It waited and came to nothing: the refusal. */
        refused: z._default(z.nullable(z.looseObject({ code: z.string() })), null),
      }),
    }) as const satisfies Route,
  events: () =>
    ({
      method: "GET",
      path: "/api/v1/events",
      access: "party",
      scope: "read",
      query: z.object({
        after: z.optional(zCursor),
        limit: zLimit,
      }),
      reply: z.object({ events: z.array(zStoredEvent) }),
    }) as const satisfies Route,
  checkpoint: () =>
    ({
      method: "GET",
      path: "/log/checkpoint",
      access: "public",
      scope: null,
      raw: "text",
      reply: z.string(),
    }) as const satisfies Route,
  tile: () =>
    ({
      method: "GET",
      path: "/log/tile/:level/*",
      access: "public",
      scope: null,
      params: z.object({ level: z.string(), "*": z.string() }),
      raw: "bytes",
      reply: z.string(),
    }) as const satisfies Route,
  inclusion: () =>
    ({
      method: "GET",
      path: "/api/v1/log/inclusion",
      access: "public",
      scope: null,
      query: z.object({ leaf: zId, size: z.coerce.number().check(z.int(), z.gte(1)) }),
      reply: z.object({ index: z.int(), size: z.int(), proof: z.array(zId) }),
    }) as const satisfies Route,
  cosign: () =>
    ({
      method: "POST",
      path: "/api/v1/log/cosignature",
      access: "public",
      scope: null,
      body: z.strictObject({ note: z.string().check(z.maxLength(4_000)) }),
      reply: z.object({ size: z.int() }),
    }) as const satisfies Route,
  consistency: () =>
    ({
      method: "GET",
      path: "/api/v1/log/consistency",
      access: "public",
      scope: null,
      query: z.object({
        from: z.coerce.number().check(z.int(), z.gte(0)),
        to: z.coerce.number().check(z.int(), z.gte(0)),
        /** Of an earlier epoch, as far as it was restored. */
        epoch: z.optional(zEpoch),
      }),
      reply: z.object({ proof: z.array(zId) }),
    }) as const satisfies Route,
  history: () =>
    ({
      method: "GET",
      path: "/api/v1/log/history",
      access: "public",
      scope: null,
      reply: zHistory,
    }) as const satisfies Route,
  overview: () =>
    ({
      method: "GET",
      path: "/api/v1/operator/overview",
      access: "operator",
      scope: null,
      reply: z.object({
        servers: z.int(),
        online: z.int(),
        liveLeasesHoldNanos: zComputedNanos,
        heldNanos: zComputedNanos,
        booksBalance: z.boolean(),
        logSize: z.int(),
        logPending: z.int(),
      }),
    }) as const satisfies Route,
});

export type RouteName = keyof typeof API;
type TypeOf<T> = T extends z.ZodMiniType ? z.infer<T> : undefined;
type InputOf<T> = T extends z.ZodMiniType ? z.input<T> : undefined;
type Part<N extends RouteName, P extends "params" | "query" | "body"> = (typeof API)[N] extends Record<P, infer S> ? S : undefined;
export type RouteParams<N extends RouteName> = TypeOf<Part<N, "params">>;
export type RouteQuery<N extends RouteName> = TypeOf<Part<N, "query">>;
export type RouteQueryInput<N extends RouteName> = InputOf<Part<N, "query">>;
export type RouteReply<N extends RouteName> = TypeOf<(typeof API)[N]["reply"]>;
