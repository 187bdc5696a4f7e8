/**
 * A page's market with machines and images: `@xenoservers/sdk/machines`, an entry of its own, so that a page that leases none loads none of
 * it. Who controls the inputs: the page; the broker, every byte of its answers.
 */
import type { MarketClient } from "../client.ts";
import type { Callable } from "../facade/market.ts";
import { holdMachine } from "../machine/hold.ts";
import { NOTHING_BEYOND } from "./beyond.ts";
import { hereOf } from "./here.ts";
import { Machine } from "./machine.ts";
import { planWithMachines } from "./machine-plan.ts";
import { Market as PageMarket, type ConnectOptions, type PageOptions } from "./market.ts";

/** The market, with machines: `const market = await Market.connect({ token })`. */
export class Market extends PageMarket {
  /** As the market without machines. */
  static override async connect(options: ConnectOptions): Promise<Market> {
    return (await super.connect(options)) as Market;
  }

  /** The same by a client that is there already, with a key that the page holds. */
  static override of(client: MarketClient, { beyond = NOTHING_BEYOND }: PageOptions = {}): Market {
    const isLoaded = beyond !== NOTHING_BEYOND;
    return new Market(client, { ...hereOf(client, isLoaded), plan: (input) => planWithMachines(input, isLoaded) }, beyond);
  }

  /** The hands on a machine or image that runs: programs, files, ports, snapshots. Let go of it with `close`. */
  async machine(lease: string, { signal }: Callable = {}): Promise<Machine> {
    const bound = await this.bound(lease, signal);
    const view = await this.lease(bound.po.id, signal ? { signal } : {});
    const { held, close } = holdMachine(this.client, view, bound, (handlers, from) => this.open(bound, null, handlers, from));
    return new Machine(held, close);
  }
}

export { Machine } from "./machine.ts";
export type { ConnectOptions } from "./market.ts";
export type { ExecResult, ProgramOptions, StartOptions } from "../machine/any-machine.ts";
export type { GuestEntry } from "../guest/files.ts";
export type { Moving } from "../machine/machine-files.ts";
export type { WebProgram } from "../guest/web-program.ts";
export type { ByteStreams } from "../guest/web-streams.ts";
export type { Given, HeldBytes, ReadProgress } from "../given-bytes.ts";
export type { RunInput } from "../facade/run-input.ts";
