/**
 * How an owner's servers stand with this market, and why they get no orders: what matching looks at before anything that a customer wants.
 * Who controls the inputs: the owner (offers, clocks), the broker (what it counts).
 */
import { GOOD_CONDUCT, RESOURCE_KEYS, coolerOf, type Conduct } from "@xenoservers/market";
import { serverIdOf, type ServerStanding } from "@xenoservers/protocol";
import type { PartyRow, ServerRow } from "../store/store.ts";
import type { Services } from "./round.ts";

type Rest = ServerStanding["why"][number];

function whyNot(server: string, row: ServerRow | undefined, owner: PartyRow, conduct: Conduct, { index, now }: Services): Rest[] {
  const candidate = index.get(server);
  const offer = row?.offer ?? null;
  const rests: [Rest, boolean][] = [
    ["offline", !index.isOnline(server)],
    ["not_listed", offer === null],
    ["expired", offer !== null && offer.validUntil <= now()],
    ["clock_off", index.clockOf(server)?.isRight === false],
    ["cooling", conduct.coolUntil > now()],
    ["suspended", owner.suspended],
    ["full", candidate !== undefined && RESOURCE_KEYS.some((key) => candidate.free[key] <= 0 && candidate.resources[key] > 0)],
    ["judging_only", candidate?.isReferee === true],
  ];
  return rests.flatMap(([rest, holds]) => (holds ? [rest] : []));
}

/** Of one server, whose key asks, or of all that the party has keys for. */
export async function standingsOf(services: Services, party: string, serverKey: string | null): Promise<ServerStanding[]> {
  const { store, index, crypto, now } = services;
  const owner = (await store.load("party", [party])).get(party)?.data;
  if (!owner) return [];
  const good = serverKey === null ? await store.keysOf(party, now(), 0) : [];
  const keys = serverKey === null ? good.flatMap(({ id, role }) => (role === "server" ? [id] : [])) : [serverKey];
  const servers = keys.map((key) => serverIdOf(crypto, key));
  const rows = await store.load("server", servers);
  return servers.map((server) => {
    const row = rows.get(server)?.data;
    const conduct = coolerOf(row?.conduct ?? GOOD_CONDUCT, owner.conduct);
    const { coolUntil, misses, reason } = conduct;
    const clock = index.clockOf(server);
    return {
      server,
      why: whyNot(server, row, owner, conduct, services),
      validUntil: row?.offer?.validUntil ?? null,
      allowedParties: row?.offer?.allowedParties.length ?? 0,
      clock: clock && { offsetMs: clock.offsetMs, errorMs: clock.errorMs, isRight: clock.isRight },
      conduct: { coolUntil, misses, reason, together: row !== undefined && conduct === owner.conduct },
      record: owner.record,
    };
  });
}
