/** A customer of a test's market as `xeno login` leaves one on a machine: a folder for XENO_HOME. */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { ROLE_SCOPES } from "@xenoservers/market";
import { MarketClient, identityOf, saveContext, type Context } from "@xenoservers/sdk";
import type { TestMarket } from "../process/market.ts";

export interface Customer {
  /** For XENO_HOME. */
  home: string;
  context: Context;
  client: MarketClient;
}

export async function customerOf(market: TestMarket, name: string, creditNanos = "10000000000"): Promise<Customer> {
  const seed = randomBytes(32);
  const { url, pins } = market.customer;
  const identity = identityOf(seed);
  const client = new MarketClient(url, pins, identity);
  const { party, account, signer } = identity;
  await client.act("party", { party, name, rootKey: signer.publicKey, recoveryKey: null });
  await market.operator("credit", { party, amountNanos: creditNanos, source: "operator", reference: "", clientId: client.newId() });
  const context: Context = {
    ...{ url, pins, currency: "credits", party, account, role: "root", scopes: [...ROLE_SCOPES.root], label: name, leaseLabel: null },
    seed: seed.toString("hex"),
  };
  const home = path.join(market.folder, `home-${name}`);
  await mkdir(path.join(home, "config"), { recursive: true });
  await saveContext("test", context, { file: path.join(home, "config/contexts.json") });
  return { home, context, client };
}
