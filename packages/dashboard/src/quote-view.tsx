/** What was quoted, and the one button that orders it. */
import type { ReactNode } from "react";
import { ifServerVanishes, meteringOf, runsAlike, trustLine } from "@xenoservers/market";
import { driverOf, type PreparedRun } from "@xenoservers/sdk";
import { Facts, Id } from "./parts.tsx";
import { AT_ONCE } from "./several.ts";
import { duration, gigaFuel, mebibytes, money, said } from "./words.ts";

interface QuoteViewProps {
  run: PreparedRun;
  available: bigint;
  /** So many of them, one for each file. */
  runs: number;
  currency: string;
  /** Its server was chosen, not found. */
  isChosen?: boolean;
  isBusy: boolean;
  order(): void;
}

export function QuoteView({ run, available, runs, currency, isChosen = false, isBusy, order }: QuoteViewProps): ReactNode {
  const { wanted, quoted } = run;
  const { offer, quote } = quoted;
  const { resources } = wanted;
  const byFuel = meteringOf(wanted.terms) === "fuel";
  const most = quote.holdNanos * BigInt(runs);
  // what those hold that run at once, which is all that is needed at a time
  const left = available - quote.holdNanos * BigInt(Math.min(runs, AT_ONCE));
  return (
    <section aria-labelledby="quote" className="note">
      <h2 id="quote">What it costs</h2>
      <Facts
        of={[
          [
            "server",
            <span key="server">
              {isChosen ? "" : "the cheapest that fits: "}
              <Id of={offer.server} />, {said(offer.sandbox, 80)}
            </span>,
          ],
          ["room", `${resources.vcpu} vCPU, ${mebibytes(resources.memoryMib)} memory, ${mebibytes(resources.diskMib)} disk`],
          ["rate", `${money(quote.ratePerHourNanos, currency)} an hour${byFuel ? " of its work" : ", by the second that it runs"}`],
          [
            "at most",
            <span key="most">
              <strong>{money(most, currency)}</strong>
              {runs > 1 && ` for ${runs} runs, ${AT_ONCE} at once; ${money(quote.holdNanos, currency)} each by this quote`}
            </span>,
          ],
          ["bound", byFuel ? `${gigaFuel(quote.fuelMax)} of work, ${duration(quote.durationMsMax)}` : duration(quote.durationMsMax)],
          ["wallet", left < 0n ? `holds ${money(available, currency)}: not enough` : `${money(left, currency)} left while it runs`],
          ["trust", trustLine(wanted.assurance, runsAlike(driverOf(wanted), wanted.assurance))],
          ["if it vanishes", `you pay ${ifServerVanishes(wanted.terms)}`],
        ]}
      />
      <button type="button" className="primary" onClick={order} disabled={isBusy || left < 0n}>
        {isBusy ? "Ordering" : runs > 1 ? `Order ${runs} runs` : "Order and run"}
      </button>
    </section>
  );
}
