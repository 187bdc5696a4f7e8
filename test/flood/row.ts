/** What a row of the flood is: one attack, by code that does it. */
import { randomBytes } from "node:crypto";
import { MarketClient, fetchMarket, identityOf, pinsOf } from "@xenoservers/sdk";

const AGAIN_MS = 100;

export interface Attack {
  /** Connections that are used, for the bound on the broker's memory. */
  links: number;
}

export interface Row {
  says: string;
  /** Resolves when the attack is under way; it goes on until its process is ended. */
  play(url: string): Promise<Attack>;
}

/** Addresses of different households: loopback's, from the second on. */
export const household = (i: number): string => `127.0.0.${2 + (i % 200)}`;

/** A party of its own, without money. */
export async function party(url: string, seed: Uint8Array): Promise<MarketClient> {
  const client = new MarketClient(url, pinsOf(await fetchMarket(url)), identityOf(seed));
  const { party: id, signer } = client.identity;
  await client.act("party", { party: id, name: "one", rootKey: signer.publicKey, recoveryKey: null });
  return client;
}
export const stranger = (url: string): Promise<MarketClient> => party(url, randomBytes(32));

/** So many, a few at once. */
export async function many<T>(count: number, make: (i: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  let next = 0;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let i = next++; i < count; i = next++) made.push(await make(i));
    }),
  );
  return made;
}

/** Comes again, a moment after it was closed: no faster than a stranger can. */
export function again(closed: Promise<unknown>, open: () => Promise<void>): void {
  // a reset is one way of being closed
  void closed.catch(() => {}).then(() => setTimeout(() => void open().catch(() => {}), AGAIN_MS));
}
