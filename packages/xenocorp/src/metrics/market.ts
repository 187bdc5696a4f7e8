/**
 * The market's figures for Prometheus: leases, money, queues. What is live and what waits is asked of the database when somebody looks, in
 * one query that reads nothing that is over; money is what the latest proof of the books found. A figure that cannot be had is left out:
 * an old one would be believed.
 */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Figures } from "../store/store.ts";

export interface Market {
  /** Of the database, as it is now. */
  figures(): Promise<Figures>;
  /** Broker time. */
  now(): number;
}

/** What is counted as it happens. */
export interface MarketCounts {
  /** A lease came into another state; with its reason, where it ended. */
  leaseMoved(state: string, reason: string | null): void;
  /** What the proof of the books came to. */
  books(balanced: boolean, pots: ReadonlyMap<string, bigint>): void;
}

const NANOS = 1e9;

/** Whoever looks at the same time shares one question; null where it has no answer. */
function shared(figures: Market["figures"]): () => Promise<Figures | null> {
  let asked: Promise<Figures | null> | null = null;
  return () =>
    (asked ??= figures()
      .then(
        (found) => found,
        () => null,
      )
      .finally(() => (asked = null)));
}

type Shown = (gauge: Gauge, figures: Figures) => void;

export function watchMarket(registry: Registry, { figures, now }: Market): MarketCounts {
  const registers = [registry];
  const ask = shared(figures);
  const gauge = (name: string, help: string, labelNames: string[], show: Shown): Gauge =>
    new Gauge({
      ...{ name: `xeno_market_${name}`, help, labelNames, registers },
      async collect() {
        const found = await ask();
        this.reset();
        if (found !== null) show(this, found);
        else if (labelNames.length === 0) this.remove(); // which a reset has left at 0
      },
    });
  gauge("leases", "Live leases by state", ["state"], (shown, { leases }) => {
    for (const [state, count] of leases) shown.set({ state }, count);
  });
  gauge("timers_due", "Timers whose time has come and that no broker has run (at most 10,000 are counted)", [], (shown, { due }) =>
    shown.set(due.count),
  );
  gauge("timers_late_seconds", "How long the oldest of them waits", [], (shown, { due: { since } }) =>
    shown.set(since === null ? 0 : Math.max(0, now() - since) / 1_000),
  );
  gauge("log_pending", "Documents that wait for their place in the log (at most 10,000 are counted)", [], (shown, { unlogged }) =>
    shown.set(unlogged),
  );
  gauge(
    "notes",
    "Notes between the market's brokers that are kept until all have read them (at most 10,000 are counted)",
    [],
    (shown, { notes }) => shown.set(notes),
  );
  const reachable = new Gauge({
    ...{ name: "xeno_broker_database_up", help: "1 where the database answered just now", registers },
    async collect() {
      reachable.set((await ask()) === null ? 0 : 1);
    },
  });
  const moves = new Counter({
    ...{ name: "xeno_broker_lease_moves_total", help: "Leases that this broker brought into a state", labelNames: ["state"], registers },
  });
  const ended = new Counter({
    ...{ name: "xeno_broker_leases_ended_total", help: "Leases that this broker ended, by reason", labelNames: ["reason"], registers },
  });
  return {
    leaseMoved(state, reason) {
      moves.inc({ state });
      if (reason !== null) ended.inc({ reason });
    },
    books: watchBooks(registry),
  };
}

function watchBooks(registry: Registry): MarketCounts["books"] {
  const registers = [registry];
  const balanced = new Gauge({ name: "xeno_books_balanced", help: "1 while the books balance, as the latest proof found", registers });
  const money = new Gauge({
    ...{
      name: "xeno_market_money_credits",
      help: "Money by whose and state, as the latest proof found: pending is to be paid out of windows",
    },
    ...{ labelNames: ["of", "state"], registers },
  });
  return (fine, pots) => {
    balanced.set(fine ? 1 : 0);
    for (const [pot, nanos] of pots) {
      const [of = "", state = ""] = pot.split("/");
      money.set({ of, state }, Number(nanos) / NANOS);
    }
  };
}
