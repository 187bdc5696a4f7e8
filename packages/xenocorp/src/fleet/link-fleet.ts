/** What the hub tells of its links, and asks of those that other brokers hold. */
import type { ClockReading } from "@xenoservers/market";
import type { ChannelEnd } from "../http/channels.ts";

export interface LinkFleet {
  /** `clock`: the server's as it was measured when it logged in. */
  linked(server: string, clock: ClockReading): void;
  unlinked(server: string): void;
  /** Whether another broker that runs holds the server's link. */
  isElsewhere(server: string): boolean;
  /** A channel's other end at the broker that holds the server's link, for one whose near end is `near`; else why there is none. */
  reach(server: string, near: NearEnd): Promise<ChannelEnd | string>;
}

/** The end of a channel that is linked to this broker. */
export interface NearEnd {
  /** What it was sent and has not read. */
  readonly unreadBytes: number;
}

export const NOT_CONNECTED = "the server is not connected";

/** Of a broker that is the only one. */
export const NO_FLEET: LinkFleet = {
  linked() {},
  unlinked() {},
  isElsewhere: () => false,
  reach: async () => NOT_CONNECTED,
};
