/** What each reading route of the API table answers. Every handler gets the caller's session and shows only what is the caller's. */
import {
  allowanceKey,
  costPerHourNanos,
  explainExclusions,
  impliedResources,
  match,
  moneyKey,
  parseConditions,
  EMPTY_RECORD,
  type Candidate,
} from "@xenoservers/market";
import {
  KIND_TABLE,
  concatBytes,
  refuse,
  rootAccountOf,
  verifyCheckpoint,
  type Balances,
  type Kind,
  type Receipt,
  type Refusal,
  type RouteName,
  type RouteParams,
  type RouteQuery,
  type RouteReply,
} from "@xenoservers/protocol";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { leaseView } from "../desk/lease-view.ts";
import type { Services } from "../desk/round.ts";
import { consistencyProof, inclusionProof, tile } from "../log/proofs.ts";
import { cosignedHead } from "../log/cosigned.ts";
import { publishedLeaf } from "../log/sequencer.ts";
import { booksProblems } from "../loops/books.ts";
import type { LeaseRow } from "../store/store.ts";
import type { Session } from "./sessions.ts";

export interface Request<N extends RouteName> {
  session: Session | null;
  params: RouteParams<N>;
  query: RouteQuery<N>;
}
type Read<N extends RouteName> = (request: Request<N>) => Promise<RouteReply<N> | Uint8Array | Refusal>;
export type ReadRoute = Exclude<RouteName, "submit" | "submitMany" | "challenge" | "token" | "cosign">;
export type Reads = { [N in ReadRoute]: Read<N> };

/** Sizes of a job when a search does not say. */
const DEFAULT_RESOURCES = { vcpu: 1, memoryMib: 512, diskMib: 256 };
const BUNDLE_WIDTH = 256;

export function createReads(desk: Services, market: () => Promise<MarketInfo>): Reads {
  const { store, crypto, index, keys } = desk;

  async function findLease(session: Session, idOrPrefix: string): Promise<LeaseRow | Refusal> {
    const ids = idOrPrefix.length === 64 ? [idOrPrefix] : await store.findLeases(session.party, idOrPrefix);
    if (ids.length > 1) return refuse("conflict", { why: `${idOrPrefix} fits more than one lease; write more of its id` });
    const lease = ids[0] === undefined ? undefined : (await store.load("lease", ids)).get(ids[0])?.data;
    return lease && [lease.customer, lease.owner].includes(session.party) ? lease : refuse("not_found", { lease: idOrPrefix });
  }
  const isRefusal = (value: LeaseRow | Refusal): value is Refusal => "ok" in value;

  /** Whether it is enough depends on the order; its binding looks again. */
  async function withAnyStake(candidates: readonly Candidate[]): Promise<Candidate[]> {
    const keyOf = ({ owner }: Candidate): string => moneyKey(rootAccountOf(owner), "staked");
    const books = await store.balances([...new Set(candidates.map(keyOf))]);
    return candidates.filter((candidate) => (books.get(keyOf(candidate)) ?? 0n) > 0n);
  }

  async function receiptOf(lease: LeaseRow): Promise<Receipt> {
    const [documents, latest, cosigned] = await Promise.all([store.documentsOf(lease.id), store.logHead(), cosignedHead(desk)]);
    const provedAt = (size: number) =>
      Promise.all(
        documents.map(async ({ id, kind, envelope, at, salt, leaf }) => {
          const proof = await inclusionProof(store, crypto, leaf, size);
          return { kind, id, envelope, at, salt: KIND_TABLE[kind as Kind].public ? "" : salt, leaf, index: proof?.index ?? null, proof: proof?.proof ?? [] };
        }),
      );
    // the cosigned checkpoint, when it covers the whole lease
    const ofThisLog =
      cosigned && latest && verifyCheckpoint(crypto, keys.checkpoints.publicKey, latest.checkpoint)?.origin === cosigned.origin ? cosigned : null;
    const witnessed = ofThisLog && (await provedAt(ofThisLog.size));
    const covers = witnessed?.every(({ index: at }) => at !== null) === true;
    const proved = covers ? witnessed : await provedAt(latest?.size ?? 0);
    const { checkpoint, size } = covers
      ? { checkpoint: ofThisLog!.note, size: ofThisLog!.size }
      : { checkpoint: latest?.checkpoint ?? "", size: latest?.size ?? 0 };
    const { origin, keys: publicKeys } = await market();
    return {
      format: "xenoservers-receipt-1",
      lease: lease.id,
      market: { origin, keys: publicKeys },
      documents: proved,
      checkpoint,
      size,
    };
  }

  return {
    market: () => market(),
    async whoami({ session }) {
      const party = (await store.load("party", [session!.party])).get(session!.party)?.data;
      if (!party) return refuse("not_found", { party: session!.party });
      const all = await store.keysOf(party.id);
      return {
        party: party.id,
        name: party.name,
        account: party.account,
        role: session!.key?.role ?? "operator",
        suspended: party.suspended,
        keys: all.map(({ id: key, role, label, account, maxSpendPerDayNanos, expiresAt, revokedAt }) => ({
          key,
          role,
          label,
          account,
          maxSpendPerDayNanos,
          expiresAt,
          revokedAt,
        })),
      };
    },
    async accounts({ session }) {
      const root = rootAccountOf(session!.party);
      const rows = await store.accountsOf(session!.party);
      const books = await store.balances(rows.map((row) => `${row.id}/`));
      const money = (bucket: keyof Balances): string => (books.get(moneyKey(root, bucket)) ?? 0n).toString();
      return {
        balances: { available: money("available"), held: money("held"), pending: money("pending"), staked: money("staked"), locked: money("locked") },
        accounts: rows.map(({ id, parent, name, limitNanos }) => ({
          id,
          parent,
          name,
          limitNanos,
          spentNanos: (-(books.get(allowanceKey(id)) ?? 0n)).toString(),
        })),
      };
    },
    async statement({ session, query }) {
      const entries = await store.statement(rootAccountOf(session!.party), query.limit);
      return { entries: entries.map(({ id, debit, credit, amount, at }) => ({ id, debit, credit, amountNanos: amount.toString(), at })) };
    },
    async offers({ session, query }) {
      const parsed = parseConditions(query.q);
      if (!parsed.ok) return refuse("bad_condition", { condition: parsed.condition, why: parsed.why });
      const implied = impliedResources(parsed.conditions, DEFAULT_RESOURCES);
      const resources = { vcpu: query.vcpu ?? implied.vcpu, memoryMib: query.memoryMib ?? implied.memoryMib, diskMib: query.diskMib ?? implied.diskMib };
      const wish = {
        customer: session?.party ?? "",
        resources,
        driver: query.driver,
        accel: query.accel,
        egress: query.egress,
        assurance: query.assurance,
        terms: query.terms,
        conditions: parsed.conditions,
        on: query.on,
        maxPriceNanosPerHour: null,
        durationMs: query.durationMs,
      };
      const { matches: fitting, excluded } = match(index.all(), wish, desk.now(), query.order);
      const matches = query.assurance === "isolated" ? fitting : await withAnyStake(fitting);
      if (matches.length < fitting.length) excluded["stake"] = fitting.length - matches.length;
      const shown = matches.slice(0, query.limit);
      const parties = await store.load("party", [...new Set(shown.map(({ owner }) => owner))]);
      return {
        resources,
        excluded,
        explanation: matches.length > 0 ? "" : explainExclusions(excluded),
        offers: shown.map((candidate) => ({
          server: candidate.server,
          owner: candidate.owner,
          offerId: candidate.offerId,
          resources: candidate.resources,
          free: candidate.free,
          price: {
            vcpuNanosPerSecond: String(candidate.price.vcpuNanosPerSecond),
            memoryGibNanosPerSecond: String(candidate.price.memoryGibNanosPerSecond),
            diskGibNanosPerSecond: String(candidate.price.diskGibNanosPerSecond),
            gigaFuelNanos: String(candidate.price.gigaFuelNanos),
            egressGibNanos: String(candidate.price.egressGibNanos),
          },
          priceNanosPerHour: costPerHourNanos(query.terms, resources, candidate.price).toString(),
          cpuScore: candidate.cpuScore,
          accel: candidate.accel,
          vmScore: candidate.vmScore,
          limits: candidate.limits,
          egress: candidate.egress,
          fetches: candidate.fetches,
          vmEngine: candidate.vmEngine,
          drivers: [...candidate.drivers],
          assurances: [...candidate.assurances],
          sandbox: candidate.sandbox,
          engine: candidate.engine,
          labels: { ...candidate.labels },
          validUntil: candidate.validUntil,
          maxLeaseMs: candidate.maxLeaseMs,
          record: parties.get(candidate.owner)?.data.record ?? EMPTY_RECORD,
        })),
      };
    },
    async leases({ session, query }) {
      return { leases: (await store.leasesOf(session!.party, query.live === "true", query.limit)).map(leaseView) };
    },
    async lease({ session, params }) {
      const lease = await findLease(session!, params.id);
      return isRefusal(lease) ? lease : leaseView(lease);
    },
    async receipt({ session, params }) {
      const lease = await findLease(session!, params.id);
      return isRefusal(lease) ? lease : receiptOf(lease);
    },
    async order({ session, params }) {
      const order = (await store.load("order", [params.id])).get(params.id)?.data;
      if (!order || order.customer !== session!.party) return refuse("not_found", { order: params.id });
      return { id: order.id, lease: order.lease, attempt: order.attempt };
    },
    async events({ session, query }) {
      return {
        events: (await store.events(session!.party, query.after ?? null, query.limit)).map(({ cursor, kind, lease, data, at }) => ({
          cursor,
          kind,
          lease,
          data,
          at,
        })),
      };
    },
    async checkpoint() {
      return (await store.logHead())?.checkpoint ?? refuse("unavailable");
    },
    async tile({ params }) {
      const match = /^((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(params["*"]);
      const size = (await store.logHead())?.size ?? 0;
      if (!match) return refuse("not_found", { tile: params["*"].slice(0, 60) });
      const number = Number(match[1]!.replaceAll(/[x/]/g, ""));
      const width = match[2] === undefined ? BUNDLE_WIDTH : Number(match[2]);
      if (params.level === "entries") {
        const from = number * BUNDLE_WIDTH;
        if (width < 1 || from + width > size) return refuse("not_found", { tile: params["*"] });
        const leaves = (await store.logEntries(from, from + width)).map((document) => publishedLeaf(crypto, document));
        return concatBytes(...leaves.flatMap((leaf) => [new Uint8Array([leaf.length >> 8, leaf.length & 255]), leaf]));
      }
      if (!/^\d$/.test(params.level)) return refuse("not_found", { tile: params.level.slice(0, 10) });
      return (await tile(store, Number(params.level), number, width, size)) ?? refuse("not_found", { tile: params["*"] });
    },
    async inclusion({ query }) {
      const size = (await store.logHead())?.size ?? 0;
      return (query.size <= size && (await inclusionProof(store, crypto, query.leaf, query.size))) || refuse("not_found", { leaf: query.leaf });
    },
    async consistency({ query }) {
      const size = (await store.logHead())?.size ?? 0;
      if (query.from > query.to || query.to > size) return refuse("not_found", { size });
      return { proof: await consistencyProof(store, crypto, query.from, query.to) };
    },
    async overview() {
      const [audit, head, pending] = await Promise.all([store.audit(), store.logHead(), store.logPending(1000)]);
      const candidates = [...index.all()];
      const checkpoint = head && verifyCheckpoint(crypto, keys.checkpoints.publicKey, head.checkpoint);
      return {
        servers: candidates.length,
        online: candidates.filter(({ online }) => online).length,
        liveLeasesHoldNanos: audit.liveHolds.toString(),
        heldNanos: audit.held.toString(),
        booksBalance: booksProblems(audit).length === 0,
        logSize: checkpoint?.size ?? 0,
        logPending: pending.length,
      };
    },
  };
}
