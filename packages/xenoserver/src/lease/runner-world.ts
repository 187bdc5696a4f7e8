/** What a lease on this server works with: keys, clock, journal, driver, the broker. Handed in by the server. */
import type { Crypto, Envelope, Signer } from "@xenoservers/protocol";
import type { ChannelKeyPair } from "@xenoservers/protocol/channel";
import type { LinkAnswer, Timers } from "@xenoservers/protocol/link";
import type { MarketPins } from "@xenoservers/verify";
import type { GuestDriver } from "../drivers/driver.ts";
import type { Journal } from "./journal.ts";
import type { VmDriver } from "../drivers/qemu/vm-driver.ts";

export interface RunnerWorld {
  crypto: Crypto;
  signer: Signer;
  server: string;
  channelKey: ChannelKeyPair;
  pins(): MarketPins;
  timers: Timers;
  journal: Journal;
  driver: GuestDriver;
  /** Null where no virtual machine can run. */
  vms: VmDriver | null;
  submit(envelope: Envelope): Promise<LinkAnswer>;
  /** How long the results of a lease that is over stay here for its customer. */
  retainMs: number;
  log(what: string, facts: Record<string, unknown>): void;
  over(lease: string): void;
}
