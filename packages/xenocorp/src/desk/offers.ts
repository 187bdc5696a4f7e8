/** Offers: what a server lists. The highest sequence wins; capacity is kept in the books, so that it cannot be sold twice. */
import { clockAllowanceMs, GOOD_CONDUCT, RESOURCE_KEYS, capacityKey, type OutsideKey, type Resources } from "@xenoservers/market";
import { refuse, type Verified } from "@xenoservers/protocol";
import type { ServerRow } from "../store/store.ts";
import type { PartyCaller } from "./caller.ts";
import { planned, transfer, type Outcome } from "./outcome.ts";
import type { Round } from "./round.ts";

const CAPACITY_SOURCE: OutsideKey = "source/capacity";

export async function listOffer(round: Round, document: Verified<"offer">, caller: PartyCaller): Promise<Outcome> {
  const { server: id, owner, sequence, validUntil, resources } = document.payload;
  if (caller.party.data.suspended) return refuse("suspended", { reason: caller.party.data.suspensionReason });
  if (caller.key.role !== "server")
    return refuse("key_not_allowed", { kind: "offer", role: caller.key.role, why: "the server itself signs its offers" });
  const { index, config } = round.services;
  const clock = index.clockOf(id);
  if (clock && !clock.isRight)
    return refuse("clock_off", { offsetMs: clock.offsetMs, errorMs: clock.errorMs, allowedMs: clockAllowanceMs(config.timings) });
  if (validUntil <= round.at) return refuse("expired", { validUntil });
  const server = await round.get("server", id);
  if (server && server.data.sequence >= sequence) return refuse("stale_sequence", { sequence, known: server.data.sequence });
  const conduct = server?.data.conduct ?? GOOD_CONDUCT;
  const row: ServerRow = { id, owner, key: caller.key.id, sequence, offerId: document.id, offer: document.payload, conduct };
  const before = await listedCapacity(round, id);
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [owner] }],
    puts: [{ kind: "server", id, expect: server?.version ?? 0, data: row }],
    floors: [{ key: CAPACITY_SOURCE, floor: null }],
    transfers: RESOURCE_KEYS.map((key) => {
      const more = BigInt(resources[key]) - before[key];
      const free = capacityKey(id, key, "free");
      return more >= 0n
        ? transfer(`${document.id}/${key}`, CAPACITY_SOURCE, free, more)
        : transfer(`${document.id}/${key}`, free, CAPACITY_SOURCE, -more, { code: "capacity_taken", server: id });
    }),
    events: [{ party: owner, kind: "offer-listed", lease: null, data: { server: id, sequence } }],
    effects: [
      { kind: "index-server", row },
      { kind: "refresh-free", server: id },
    ],
  });
}

/** What the books hold for the server, free or leased. */
async function listedCapacity(round: Round, server: string): Promise<Record<keyof Resources, bigint>> {
  const books = await round.services.store.balances([`${server}/`]);
  const of = (key: keyof Resources) =>
    (books.get(capacityKey(server, key, "free")) ?? 0n) + (books.get(capacityKey(server, key, "leased")) ?? 0n);
  return { vcpu: of("vcpu"), memoryMib: of("memoryMib"), diskMib: of("diskMib") };
}

export async function withdrawOffer(round: Round, document: Verified<"offer-withdrawal">): Promise<Outcome> {
  const { server: id, owner, sequence } = document.payload;
  const server = await round.get("server", id);
  if (!server || server.data.owner !== owner) return refuse("not_found", { server: id });
  if (server.data.sequence >= sequence) return refuse("stale_sequence", { sequence, known: server.data.sequence });
  const row: ServerRow = { ...server.data, sequence, offerId: null, offer: null };
  return planned(round, {
    id: document.id,
    filed: [{ document, parties: [owner] }],
    puts: [{ kind: "server", id, expect: server.version, data: row }],
    events: [{ party: owner, kind: "offer-withdrawn", lease: null, data: { server: id } }],
    effects: [{ kind: "index-server", row }],
  });
}
