/** From what a customer wants to a quote and a signed order. */
import {
  DEFAULT_DRIVER,
  formatCondition,
  formatMoney,
  isAudited,
  parseMoney,
  paysForWork,
  priceVectorOf,
  quote,
  replicaBudget,
  type Assurance,
  type Condition,
  type Driver,
  type PaymentTerms,
  type Quote,
  type Resources,
} from "@xenoservers/market";
import { refuse, toHex, type Egress, type OfferView, type RouteReply, type SignedDocument } from "@xenoservers/protocol";
import { feeToSign, type MarketInfo } from "@xenoservers/protocol/link";
import * as z from "zod/mini";
import type { MarketClient } from "./client.ts";
import { InputError, RefusedError } from "./errors.ts";

export interface Wanted {
  resources: Resources;
  conditions: Condition[];
  terms: PaymentTerms;
  assurance: Assurance;
  on: "mine" | "market";
  maxPriceNanosPerHour: bigint | null;
  durationMsMax: number;
  /** The job's own limit. */
  fuelMax: bigint;
  budgetNanos: bigint;
  label: string;
  /** What runs it; absent: what runs orders that name no driver. */
  driver?: Driver;
  /** Only by hardware, or emulated too; absent: either. */
  accel?: "kvm" | "any";
  /** What it may reach, and how much may cross its network; absent: nothing. */
  egress?: Egress;
  egressMibMax?: number;
  batch?: string;
  account?: string;
  /** One segment of a job for a referee, not a job. */
  segment?: boolean;
  /** The lease whose result it judges, on the referee that was drawn; absent: none. */
  judges?: string;
  /** On servers of so many owners, drawn by the broker; the budget is for all of them. */
  replicas?: number;
  /** How long the order may wait for room; absent: where there is none now, it is refused. */
  waitMs?: number;
  /** It ends at the server where it began; absent: its owner may move a machine to another server of its own. */
  stays?: true;
  /** The most of what is paid that may go to the broker; absent: what the market has announced. */
  feeBasisPointsMax?: number;
}

export const driverOf = ({ driver }: Pick<Wanted, "driver">): Driver => driver ?? DEFAULT_DRIVER;

const SALT_BYTES = 32;

/** Whether results of what is wanted are drawn for audits. */
export const isAuditedRun = ({ assurance, terms, segment = false, ...wanted }: Wanted): boolean =>
  isAudited({ driver: driverOf(wanted), assurance, terms, segment });

const egressClassOf = ({ egress = "none" }: Wanted): "none" | "names" | "public" => (typeof egress === "string" ? egress : "names");

/** An order is for now: a broker that is slower than this binds nothing any more. */
export const ORDER_VALID_MS = 10 * 60_000;

export interface Quoted {
  offer: OfferView;
  quote: Quote;
  /** It has no room now, or is away. */
  isBusy: boolean;
}

/** Offers are cheapest first by the hour; one whose egress is dear may stand before one that the budget pays for. */
const OFFERS_TRIED_MAX = 20;

/**
 * The cheapest matching offer now that the budget pays for, and what a lease on it would cost at most; where none has room now and it may
 * be waited for, the cheapest of those that could have. Throws RefusedError `busy`, or `no_match`, with the explanation.
 */
export async function quoteFor(client: MarketClient, wanted: Wanted, signal?: AbortSignal): Promise<Quoted> {
  const now = await offersFor(client, wanted, false, signal);
  const found = payable(wanted, now.offers);
  if (found) return { ...found, isBusy: false };
  const ever = await offersFor(client, wanted, true, signal);
  const later = payable(wanted, ever.offers);
  if (later && wanted.waitMs !== undefined) return { ...later, isBusy: true };
  // what keeps it out for now says nothing of why it is out for good
  const { excluded, explanation } = later ? now : ever;
  throw new RefusedError(refuse(later ? "busy" : "no_match", { excluded, explanation }));
}

function payable(wanted: Wanted, offers: readonly OfferView[]): Omit<Quoted, "isBusy"> | undefined {
  const quoted = offers.map((offer) => ({ offer, quote: quoteOf(wanted, offer) }));
  return quoted.find((each) => paysForWork(each.quote)) ?? quoted[0];
}

/** As the order will say it in a field of its own. A bound that no price reaches is none. */
function priceBound({ maxPriceNanosPerHour }: Wanted): Condition[] {
  const value = maxPriceNanosPerHour === null ? null : formatMoney(maxPriceNanosPerHour);
  return value === null || parseMoney(value) === null ? [] : [{ key: "price", op: "<=", value }];
}

/** `later`: those too that have no room now, or are away. */
function offersFor(client: MarketClient, wanted: Wanted, later: boolean, signal: AbortSignal | undefined): Promise<RouteReply<"offers">> {
  const { resources, conditions, on, durationMsMax, terms } = wanted;
  return client.read("offers", {
    signal,
    query: {
      later: later ? "true" : "false",
      q: [...conditions, ...priceBound(wanted)].map(formatCondition).join(" "),
      on,
      vcpu: resources.vcpu,
      memoryMib: resources.memoryMib,
      diskMib: resources.diskMib,
      durationMs: durationMsMax,
      terms,
      assurance: wanted.assurance,
      driver: driverOf(wanted),
      accel: wanted.accel ?? "any",
      egress: egressClassOf(wanted),
      judges: wanted.judges === undefined ? "false" : "true",
      limit: OFFERS_TRIED_MAX,
    },
  });
}

const quoteOf = (wanted: Wanted, offer: OfferView): Quote => {
  const { resources, durationMsMax, terms, budgetNanos, fuelMax } = wanted;
  return quote({
    terms,
    resources,
    price: priceVectorOf(offer.price),
    budgetNanos: replicaBudget(budgetNanos, wanted.replicas ?? 1, isAuditedRun(wanted)),
    durationMsMax,
    fuelMax,
    egressMibMax: wanted.egressMibMax ?? 0,
    holdsReserve: isAuditedRun(wanted),
  });
};

/** Fields of an order as a run's options are called. */
const ASKED_AS: Readonly<Record<string, string>> = {
  budgetNanos: "budget",
  maxPriceNanosPerHour: "maxPrice",
  durationMsMax: "maxTime",
  feeBasisPointsMax: "maxFee",
  conditions: "where",
  egressMibMax: "egressMax",
};

/** What no order can say, in words: the first thing alone. */
function unorderable({ issues: [first] }: z.core.$ZodError): InputError {
  const field = String(first?.path[0] ?? "");
  const isOurs = first?.code === "custom" || first?.code === "invalid_format";
  const isLong = first?.code === "too_big" && first.origin === "string";
  const why = isOurs ? first.message : isLong ? `at most ${first.maximum} letters` : "it is out of its range";
  return new InputError(`${ASKED_AS[field] ?? field} cannot be ordered so: ${why}`);
}

/**
 * Signs what is wanted with the market's timings and fee: a purchase order that says otherwise does not follow from it. Throws InputError
 * for what no order can say.
 */
export function signOrder(client: MarketClient, market: MarketInfo, wanted: Wanted, jobHash: string): SignedDocument<"order"> {
  const payload = {
    party: client.identity.party,
    account: wanted.account ?? client.identity.account,
    batch: wanted.batch ?? null,
    clientId: client.newId(),
    jobHash,
    segment: wanted.segment ?? false,
    judges: wanted.judges ?? null,
    driver: driverOf(wanted),
    accel: wanted.accel ?? "any",
    egress: wanted.egress ?? "none",
    egressMibMax: wanted.egressMibMax ?? 0,
    resources: wanted.resources,
    conditions: wanted.conditions,
    assurance: wanted.assurance,
    terms: wanted.terms,
    on: wanted.on,
    maxPriceNanosPerHour: wanted.maxPriceNanosPerHour?.toString() ?? null,
    durationMsMax: wanted.durationMsMax,
    fuelMax: wanted.fuelMax.toString(),
    budgetNanos: wanted.budgetNanos.toString(),
    replicas: wanted.replicas ?? 1,
    expiresAt: client.timers.now() + (wanted.waitMs ?? ORDER_VALID_MS),
    label: wanted.label,
    feeBasisPointsMax: wanted.feeBasisPointsMax ?? feeToSign(market),
    timings: market.timings,
    channelKey: toHex(client.identity.channelKey.publicKey),
    auditSalt: toHex(client.crypto.randomBytes(SALT_BYTES)),
    ...(wanted.stays ? { stays: true as const } : {}),
  };
  try {
    return client.sign("order", payload);
  } catch (error) {
    throw error instanceof z.core.$ZodError ? unorderable(error) : error;
  }
}
