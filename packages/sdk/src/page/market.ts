/** A market as a page's customer has it: by a token, or by a key that the page holds. Nothing is kept beyond the page. */
import { fromHex } from "@xenoservers/protocol";
import { parseCiToken, type CiToken } from "../ci-token.ts";
import { MarketClient } from "../client.ts";
import { ContextError } from "../errors.ts";
import type { Beyond } from "../facade/beyond.ts";
import { unlessOff } from "../calling-off.ts";
import { OpenMarket, type Callable } from "../facade/market.ts";
import { identityOf } from "../identity.ts";
import { NOTHING_BEYOND } from "./beyond.ts";
import { hereOf } from "./here.ts";

/** What the page has loaded besides. */
export interface PageOptions {
  /** `import { beyond } from "@xenoservers/sdk/beyond"`: maps, replicas, audits and disputes. Absent: one lease at a time. */
  beyond?: Beyond;
}

/** How a market is found and as whom. */
export interface ConnectOptions extends Callable, PageOptions {
  /** A token of `xeno token create`: the market, its keys, and a bounded key of its customer's. A secret. */
  token: string;
}

function clientOf({ url, pins, seed, key: { account, ...key } }: CiToken): MarketClient {
  return new MarketClient(url, pins, identityOf(fromHex(seed) ?? new Uint8Array(), { ...key, ...(account === null ? {} : { account }) }));
}

/** The market: `const market = await Market.connect({ token })`. */
export class Market extends OpenMarket {
  /** Reads that the market shows the keys that its token pins. Throws ContextError without a token. */
  static async connect(options: ConnectOptions): Promise<Market> {
    if (typeof options.token !== "string")
      throw new ContextError("a page has no contexts: give a token, or Market.of a client with a key of your own");
    const client = clientOf(parseCiToken(options.token));
    await unlessOff(options.signal, client.market());
    return this.of(client, options);
  }

  /** The same by a client that is there already, with a key that the page holds. */
  static of(client: MarketClient, { beyond = NOTHING_BEYOND }: PageOptions = {}): Market {
    return new Market(client, hereOf(client, beyond !== NOTHING_BEYOND), beyond);
  }
}
