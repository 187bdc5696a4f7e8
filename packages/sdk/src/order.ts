/** From what a customer wants to a signed order; and from the broker's answer to a checked purchase order. */
import { quote, replicaBudget, type Assurance, type Condition, type Driver, type PaymentTerms, type Quote, type Resources } from "@xenoservers/market";
import { toHex, type Egress, type OfferView, type SignedDocument } from "@xenoservers/protocol";
import { checkPurchaseOrder, priceVectorOf, type CheckedPurchaseOrder } from "@xenoservers/verify";
import { RefusedError, type MarketClient } from "./client.ts";

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
  /** A virtual machine, and what it may reach. */
  vm?: { accel: "kvm" | "any"; egress: Egress; egressMibMax: number };
  batch?: string;
  account?: string;
  /** One segment of a job for a referee, not a job. */
  segment?: boolean;
  /** On servers of so many owners, drawn by the broker; the budget is for all of them. */
  replicas?: number;
}

const driverOf = ({ vm }: Wanted): Driver => (vm ? "qemu" : "wasm");

function egressClassOf({ vm }: Wanted): "none" | "names" | "public" {
  if (!vm) return "none";
  return typeof vm.egress === "string" ? vm.egress : "names";
}

const ORDER_VALID_MS = 10 * 60_000;

export interface Quoted {
  offer: OfferView;
  quote: Quote;
}

/** The cheapest matching offer now and what a lease on it would cost at most; throws RefusedError `no_match` with the explanation. */
export async function quoteFor(client: MarketClient, wanted: Wanted): Promise<Quoted> {
  const { resources, conditions, on, durationMsMax, terms, budgetNanos, fuelMax } = wanted;
  const found = await client.read("offers", {
    query: {
      q: conditions.map(({ key, op, value }) => `${key}${op}${value}`).join(" "),
      on,
      vcpu: resources.vcpu,
      memoryMib: resources.memoryMib,
      diskMib: resources.diskMib,
      durationMs: durationMsMax,
      terms,
      assurance: wanted.assurance,
      driver: driverOf(wanted),
      accel: wanted.vm?.accel ?? "any",
      egress: egressClassOf(wanted),
      limit: 1,
    },
  });
  const offer = found.offers[0];
  if (!offer) throw new RefusedError({ ok: false, code: "no_match", facts: { excluded: found.excluded, explanation: found.explanation } });
  return {
    offer,
    quote: quote({
      terms,
      resources,
      price: priceVectorOf(offer.price),
      budgetNanos: replicaBudget(budgetNanos, wanted.replicas ?? 1),
      durationMsMax,
      fuelMax,
      egressMibMax: wanted.vm?.egressMibMax ?? 0,
    }),
  };
}

export function signOrder(client: MarketClient, wanted: Wanted, jobHash: string): SignedDocument<"order"> {
  return client.sign("order", {
    party: client.identity.party,
    account: wanted.account ?? client.identity.account,
    batch: wanted.batch ?? null,
    clientId: client.newId(),
    jobHash,
    segment: wanted.segment ?? false,
    driver: driverOf(wanted),
    accel: wanted.vm?.accel ?? "any",
    egress: wanted.vm?.egress ?? "none",
    egressMibMax: wanted.vm?.egressMibMax ?? 0,
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
    expiresAt: client.timers.now() + ORDER_VALID_MS,
    label: wanted.label,
    channelKey: toHex(client.identity.channelKey.publicKey),
  });
}

export type BoundOrder = Extract<CheckedPurchaseOrder, { ok: true }>;

/** Checks a purchase order as its customer: it must embed exactly our order. */
export function checkBound(client: MarketClient, orderId: string, untrusted: unknown): BoundOrder {
  const checked = checkPurchaseOrder(client.crypto, client.pins, untrusted);
  if (!checked.ok) throw new Error(`the broker's purchase order is not right: ${checked.why}; nothing was sent to the server`);
  if (checked.order.id !== orderId) throw new Error("the broker's purchase order embeds another order; nothing was sent to the server");
  return checked;
}

/** The purchase order of a lease, fetched again. */
export async function fetchBound(client: MarketClient, lease: string): Promise<BoundOrder> {
  const receipt = await client.read("receipt", { params: { id: lease } });
  const po = receipt.documents.find(({ kind }) => kind === "purchase-order");
  const checked = checkPurchaseOrder(client.crypto, client.pins, po?.envelope);
  if (!checked.ok) throw new Error(`the lease's purchase order is not right: ${checked.why}`);
  return checked;
}
