/**
 * What is counted of a daemon while it runs, and where it is shown: at once, so that a port in use is said before anything is made ready. A
 * fault that lasts is a few lines of its log with counts, for each lease.
 */
import { Faults } from "@xenoservers/protocol/faults";
import type { Timers } from "@xenoservers/protocol/link";
import { serveMetrics, type MetricsPlace, type MetricsServer } from "@xenoservers/protocol/metrics-page";
import type { VmDriver } from "../drivers/qemu/vm-driver.ts";
import type { RoomRules } from "../lease/kept-room.ts";
import type { XenoServer } from "../server.ts";
import { createServerMetrics } from "./metrics.ts";

type Log = (what: string, facts: Record<string, unknown>) => void;

interface Counted {
  server: Pick<XenoServer, "state">;
  vms: Pick<VmDriver, "imageBytes"> | null;
  freeBytes: RoomRules["freeBytes"];
}

export class Counting {
  /** Null while it starts: then there are no figures. */
  of: Counted | null = null;
  readonly log: Log;
  readonly #metrics: ReturnType<typeof createServerMetrics>;
  readonly #timers: Timers;
  #heardAt: number | null = null;

  constructor(log: Log, timers: Timers) {
    this.#timers = timers;
    this.#metrics = createServerMetrics({
      ...{ state: () => this.#started.server.state, heardAt: () => this.#heardAt, now: () => timers.now() },
      imageBytes: async () => (await this.#started.vms?.imageBytes()) ?? 0,
      freeBytes: () => this.#started.freeBytes(),
    });
    const told = new Faults(
      { error: (facts, what) => log(what, { ...facts }), info: () => {} },
      () => {},
      () => timers.now(),
    );
    this.log = (what, facts) => {
      this.#metrics.logged(what, facts);
      const { error, ...whose } = facts;
      if (error === undefined) log(what, facts);
      else told.failed(what, error, whose, `${what} ${String(facts["lease"] ?? "")}`);
    };
  }

  get #started(): Counted {
    if (this.of === null) throw new Error("the daemon starts");
    return this.of;
  }

  heard(): void {
    this.#heardAt = this.#timers.now();
  }

  async serve(place: MetricsPlace | undefined): Promise<MetricsServer | null> {
    return place ? serveMetrics(this.#metrics.registry, place) : null;
  }
}
