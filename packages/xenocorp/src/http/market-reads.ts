/** What everyone may read of the market, and its operator of the whole: what it is, which offers there are, how its books and log stand. */
import {
  EMPTY_RECORD,
  compareRanks,
  asRested,
  costPerHourNanos,
  explainExclusions,
  impliedResources,
  match,
  moneyKey,
  parseConditions,
  rankOf,
  wirePriceOf,
  type Candidate,
  type Ordering,
  type OwnerRecord,
  type Rank,
  type Resources,
  type Wish,
} from "@xenoservers/market";
import { refuse, rootAccountOf, verifyCheckpoint, zResources, type OfferView, type RouteQuery } from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";
import type { Services } from "../desk/round.ts";
import { proofProblems } from "../loops/books.ts";
import { pageOf } from "../store/cursors.ts";
import { done, type Handlers } from "./handlers.ts";

/** Sizes of a job when a search does not say. */
const DEFAULT_RESOURCES = { vcpu: 1, memoryMib: 512, diskMib: 256 };
const PENDING_SHOWN_MAX = 1_000;
const CONDITION_SHOWN = 200;

type Query = RouteQuery<"offers">;

function offerView(candidate: Candidate, { terms }: Query, wanted: Resources, record: OwnerRecord): OfferView {
  const {
    server,
    owner,
    offerId,
    resources,
    free,
    price,
    accel,
    vmScore,
    limits,
    holds,
    egress,
    fetches,
    vmEngine,
    cpuScore,
    sandbox,
    engine,
  } = candidate;
  return {
    ...{ server, owner, offerId, resources, free, accel, vmScore, limits, egress, fetches, vmEngine, cpuScore, sandbox, engine },
    price: wirePriceOf(price),
    priceNanosPerHour: costPerHourNanos(terms, wanted, price).toString(),
    drivers: [...candidate.drivers],
    assurances: [...candidate.assurances],
    labels: { ...candidate.labels },
    holds: Object.fromEntries(Object.entries(holds).map(([driver, held]) => [driver, [...held]])),
    validUntil: candidate.validUntil,
    maxLeaseMs: candidate.maxLeaseMs,
    record,
  };
}

/** Where a page of a search ended: how its last offer ranked. What is dearer or cheaper by then is looked for from there all the same. */
const placeOf = ({ standsBack, hourNanos, cpuScore, server }: Rank): string => [Number(standsBack), hourNanos, cpuScore, server].join(".");

function placeIn(after: string): Rank {
  const [back, hourNanos = "0", cpuScore, server = ""] = after.split(".");
  return { standsBack: back === "1", hourNanos: BigInt(hourNanos), cpuScore: Number(cpuScore), server };
}

function isAfter(place: Rank, order: Ordering, wish: Wish): (candidate: Candidate) => boolean {
  const compare = compareRanks(order);
  return (candidate) => compare(rankOf(candidate, wish), place) > 0;
}

/** Whether it is enough depends on the order; its binding looks again. */
async function withAnyStake({ store }: Services, candidates: readonly Candidate[]): Promise<Candidate[]> {
  const keyOf = ({ owner }: Candidate): string => moneyKey(rootAccountOf(owner), "staked");
  const books = await store.balances([...new Set(candidates.map(keyOf))]);
  return candidates.filter((candidate) => (books.get(keyOf(candidate)) ?? 0n) > 0n);
}

/** What no order can say fits no server, and stands in no answer either. */
function beyondOrders(resources: Resources): string | null {
  const { success, error } = zResources.safeParse(resources);
  return success ? null : `no order asks for so much (${error.issues[0]?.path.join(".") ?? ""}): ${error.issues[0]?.message ?? ""}`;
}

export function createMarketReads(services: Services, market: () => Promise<MarketInfo>): Pick<Handlers, "market" | "offers" | "overview"> {
  const { store, crypto, index, keys } = services;
  return {
    async market() {
      return done(await market());
    },
    async offers({ session, query }) {
      const parsed = parseConditions(query.q);
      if (!parsed.ok) return refuse("bad_condition", { condition: parsed.condition, why: parsed.why });
      const { conditions } = parsed;
      const implied = impliedResources(conditions, DEFAULT_RESOURCES);
      const resources = {
        vcpu: query.vcpu ?? implied.vcpu,
        memoryMib: query.memoryMib ?? implied.memoryMib,
        diskMib: query.diskMib ?? implied.diskMib,
      };
      const beyond = beyondOrders(resources);
      if (beyond !== null) return refuse("bad_condition", { condition: query.q.slice(0, CONDITION_SHOWN), why: beyond });
      const { driver, accel, egress, assurance, terms, on, durationMs, after } = query;
      // who asks sees its own servers, and those that serve only some
      const customer = session?.by === "party" ? session.party : "";
      const isJudging = query.judges === "true";
      const asked = { customer, isJudging, resources, driver, accel, egress, assurance, terms, conditions, on };
      const wish = { ...asked, maxPriceNanosPerHour: null, durationMs };
      const now = services.now();
      // what keeps a server out at any time is counted as that, not what does for now
      const there = query.later === "true" ? [...index.all()].map(asRested) : index.all();
      const { matches: fitting, excluded } = match(there, wish, now, query.order);
      const matches = assurance === "isolated" ? fitting : await withAnyStake(services, fitting);
      if (matches.length < fitting.length) excluded["stake"] = fitting.length - matches.length;
      const rest = after === undefined ? matches : matches.filter(isAfter(placeIn(after), query.order, wish));
      const { rows: shown, next } = pageOf(rest, query.limit, (candidate) => placeOf(rankOf(candidate, wish)));
      const parties = await store.load("party", [...new Set(shown.map(({ owner }) => owner))]);
      return done({
        resources,
        excluded,
        next,
        explanation: matches.length > 0 ? "" : explainExclusions(excluded),
        offers: shown.map((candidate) => offerView(candidate, query, resources, parties.get(candidate.owner)?.data.record ?? EMPTY_RECORD)),
      });
    },
    async overview() {
      const [proof, head, pending] = await Promise.all([store.proveBooks(), store.logHead(), store.logPending(PENDING_SHOWN_MAX)]);
      const candidates = [...index.all()];
      const checkpoint = head && verifyCheckpoint(crypto, keys.checkpoints.publicKey, head.checkpoint);
      return done({
        servers: candidates.length,
        online: candidates.filter(({ online }) => online).length,
        liveLeasesHoldNanos: proof.liveHolds.toString(),
        heldNanos: proof.held.toString(),
        booksBalance: proofProblems(proof).length === 0,
        logSize: checkpoint?.size ?? 0,
        logPending: pending.length,
      });
    },
  };
}
