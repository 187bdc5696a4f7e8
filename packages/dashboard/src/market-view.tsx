/** For anybody: what the market is, how it does, and what it offers. */
import { useCallback, type ReactNode } from "react";
import { fingerprintOf, pinsOf } from "@xenoservers/sdk";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { systemCrypto } from "@xenoservers/protocol/system";
import { checkedLog, type CheckedLog } from "./checkpoint.ts";
import { OffersView } from "./offers-view.tsx";
import { Facts } from "./parts.tsx";
import { Unread } from "./problem.tsx";
import { healthNow, readPublic } from "./public-reads.ts";
import { useReading } from "./use-reading.ts";
import { ago, said, when } from "./words.ts";

const EVERY_MS = 10_000;
const PERCENT_BASIS = 100;
const ROOT_SHOWN = 16;

function LogFacts({ log, now }: { log: CheckedLog; now: number }): ReactNode {
  const { checkpoint, witnesses } = log;
  const signed = witnesses.filter(({ at }) => at !== null);
  return (
    <>
      {checkpoint.size} entries, root <code>{checkpoint.root.slice(0, ROOT_SHOWN)}…</code>, signed by the broker
      <br />
      {witnesses.length === 0 ? "no witnesses are named" : `cosigned by ${signed.length} of ${witnesses.length} witnesses: `}
      {witnesses.map(({ name, at }) => `${said(name)} (${at === null ? "not this one" : ago(at, now)})`).join(", ")}
    </>
  );
}

export function MarketView({ market }: { market: MarketInfo }): ReactNode {
  const health = useReading(healthNow, EVERY_MS);
  const { origin, keys, witnesses } = market;
  // what the checkpoint is checked by is what these say
  const about = JSON.stringify({ origin, keys, witnesses });
  const readLog = useCallback(
    async (signal: AbortSignal) => checkedLog(systemCrypto, JSON.parse(about) as MarketInfo, await readPublic("checkpoint", null, signal)),
    [about],
  );
  const log = useReading(readLog, EVERY_MS);
  const { feeBasisPoints, announcedFee, currency, now } = market;
  const announced = announcedFee && `, ${announcedFee.basisPoints / PERCENT_BASIS} % from ${when(announcedFee.effectiveAt)} on`;
  return (
    <>
      <h1>A market for computers</h1>
      <p className="lead">Owners lease their machines, customers rent them by the second. Neither has to trust the other.</p>
      <section aria-labelledby="state">
        <h2 id="state">How it stands</h2>
        <Facts
          of={[
            [
              "health",
              health.value !== null ? (
                <span className="bad">not ready: {said(health.value)}</span>
              ) : health.error !== null ? (
                <span className="bad">the broker does not answer</span>
              ) : (
                <span className="good">serving</span>
              ),
            ],
            ["log", log.value ? <LogFacts log={log.value} now={now} /> : log.error === null ? "…" : "no checkpoint can be read"],
            ["fee", `${feeBasisPoints / PERCENT_BASIS} % of what is paid${announced ?? ""}`],
            ["money", said(currency, 20)],
            ["fingerprint", <code key="fingerprint">{fingerprintOf(systemCrypto, pinsOf(market))}</code>],
          ]}
        />
        <Unread reading={log} what="The log’s checkpoint" />
      </section>
      <OffersView currency={currency} />
    </>
  );
}
