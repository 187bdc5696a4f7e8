/** Opens the broker's link as a client's identity. */
import { LinkClient, pinsOf, type LinkOptions } from "@xenoservers/protocol/link";
import type { MarketClient } from "./client.ts";
import { BrokenWordError } from "./errors.ts";
import { samePins } from "@xenoservers/protocol";

/** A link that logs in as the client's identity, to the pinned market only. */
export function openLink(
  client: MarketClient,
  handlers: Pick<LinkOptions, "onUp" | "onDown" | "onEvent" | "onRefused">,
  connect = () => client.connect(),
  timers = client.timers,
): LinkClient {
  const link = new LinkClient({
    connect,
    timers,
    crypto: client.crypto,
    login(challenge, market) {
      if (!samePins(pinsOf(market), client.pins)) throw new BrokenWordError("the broker shows other keys than were pinned at login");
      return client.sign("login", { party: client.identity.party, challenge }).envelope;
    },
    ...handlers,
  });
  link.start();
  return link;
}
