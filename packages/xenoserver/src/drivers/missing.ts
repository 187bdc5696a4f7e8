/** In place of a driver that this server no longer has: what an earlier daemon began with it has failed with its host. */
import type { Driver } from "@xenoservers/market";
import type { Timers } from "@xenoservers/protocol/link";
import type { GuestDriver, GuestEnding, RunningGuest } from "./driver.ts";

export function missingDriver(name: Driver, timers: Timers): GuestDriver {
  const why = `this server has no driver ${name} any more`;
  const nothing = async (): Promise<void> => {};
  const empty = async (): Promise<Uint8Array> => new Uint8Array(0);
  const ended = (): GuestEnding => ({ kind: "host-failure", detail: why, endedMonotonicMs: timers.now() });
  return {
    ...{ name, engine: "none", sandbox: { strength: "weak", why }, assurances: [] },
    capabilities: {
      console: false,
      network: false,
      snapshots: false,
      screens: false,
      breakpoints: false,
      runs: false,
      images: false,
      filesInMemory: false,
    },
    holds: [],
    offered: () => ({}),
    problemWith: () => why,
    neededBlobs: async () => [],
    isSegment: () => false,
    prepare: () => Promise.reject(new Error(why)),
    adopt: async (token): Promise<RunningGuest> => ({
      ...{ token, ended: Promise.resolve(ended()), onChange: () => {}, release: () => {} },
      ...{ readStream: empty, readOutput: empty, stop: nothing, pause: nothing, resume: nothing, kill: nothing, dispose: nothing },
    }),
    monotonicMs: () => timers.now(),
    makeRoom: nothing,
    close: nothing,
  };
}
