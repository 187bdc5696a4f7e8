/** What a change makes the market's other brokers do: its effects, as they stand in the note beside its commit. */
import { invariant } from "@xenoservers/market";
import type { Effect, Planned } from "../desk/outcome.ts";
import type { Note, Told } from "../store/store.ts";

/** Null: the others find it among the events of the same commit, or have nothing to do with it. */
function noteOf({ change }: Planned, effect: Effect): Note | null {
  switch (effect.kind) {
    case "to-server": {
      const ids = new Map(change.documents.map(({ envelope, id }) => [envelope, id]));
      const documents = effect.filed.map(({ envelope }) => {
        const id = ids.get(envelope);
        invariant(id !== undefined, "a server is sent what is filed in the same change");
        return id;
      });
      return { about: "documents", server: effect.server, documents };
    }
    case "index-server":
      return { about: "listing", server: effect.row.id };
    case "index-free":
    case "refresh-free":
      return { about: "listing", server: effect.server };
    case "index-suspended":
      return { about: "party", party: effect.party };
    case "refresh-owner":
      return { about: "party", party: effect.owner };
    case "index-referee":
      return { about: "referees" };
    case "key-revoked":
      return { about: "key", key: effect.key };
    case "order-waits":
      return { about: "order", order: effect.order.id };
    case "order-waits-no-more":
      return { about: "order", order: effect.order };
    case "event":
    case "lease-moved":
      return null;
  }
}

export const toldOf = (planned: Planned, id: string, by: string): Told => ({
  ...{ id, by },
  notes: planned.effects.flatMap((effect) => noteOf(planned, effect) ?? []),
});
