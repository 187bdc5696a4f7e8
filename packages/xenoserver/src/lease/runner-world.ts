/** What a lease on this server works with: keys, clock, journal, drivers, the broker. Handed in by the server. */
import type { Crypto, Envelope, LogPage, LogState, MarketPins, Signer } from "@xenoservers/protocol";
import type { ChannelKeyPair } from "@xenoservers/protocol/channel";
import type { LinkAnswer, MemoryShare, Timers } from "@xenoservers/protocol/link";
import type { sealResult } from "@xenoservers/protocol/sealed";
import type { Drivers } from "../drivers/registry.ts";
import type { Journal } from "./journal.ts";

/** What is asked of the broker beside the link. */
export interface BrokerApi {
  /** Hands in one part of a result's sealed bytes; the first that the broker took stays. */
  sealPart(lease: string, part: number, bytes: Uint8Array): Promise<LinkAnswer>;
  /** So many parts are all of them: the lease is delivered. */
  sealed(lease: string, parts: number): Promise<LinkAnswer>;
  /** What the broker's log has of a lease after that document of it, or from its first on; null where it cannot be had. */
  logged(lease: string, after: string | null): Promise<LogPage | null>;
}

export interface RunnerWorld extends BrokerApi {
  crypto: Crypto;
  signer: Signer;
  server: string;
  owner: string;
  channelKey: ChannelKeyPair;
  /** For what waits in the channels of all leases. */
  channelMemory: MemoryShare;
  pins(): MarketPins;
  /** What the broker last told of its log. */
  seen(): LogState | null;
  timers: Timers;
  /** The market's time, by what the broker measured of this machine's clock; null before it was heard. */
  marketNow(): number | null;
  journal: Journal;
  drivers: Drivers;
  /** A result goes with its customer's word that the bytes came, where there is one. */
  submit(envelope: Envelope, delivery?: Envelope): Promise<LinkAnswer>;
  /** Seals for the customer: the real thing, or what a simulation has in its place. */
  encrypt: typeof sealResult;
  /** How long at least the results of a lease that is over stay here for its customer. */
  retainMs: number;
  log(what: string, facts: Record<string, unknown>): void;
  over(lease: string): void;
}

/** What the server puts into it itself; the rest is handed in. */
export type ServersOwn = "submit" | "over" | "seen" | "marketNow" | "server" | "drivers" | "encrypt" | "channelMemory";
