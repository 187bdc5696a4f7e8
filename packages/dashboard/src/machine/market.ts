/** The market with machines as one key sees it, as long as that is used. */
import { Market } from "@xenoservers/sdk/machines";
import type { Access } from "../access.ts";

const markets = new WeakMap<Access, Market>();

export function marketOf(access: Access): Market {
  const known = markets.get(access);
  if (known) return known;
  const market = Market.of(access.client);
  access.whenClosed(() => market.close());
  markets.set(access, market);
  return market;
}
