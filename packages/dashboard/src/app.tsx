/** The frame: which market this is, where one can go, and what is there. */
import { useEffect, useRef, useSyncExternalStore, type ReactNode } from "react";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { BrokenWordError, pinsOf, samePins } from "@xenoservers/sdk";
import type { Access } from "./access.ts";
import type { Entered } from "./entered.ts";
import { EnterView } from "./enter-view.tsx";
import { LeaseView } from "./lease-view.tsx";
import { LeasesView } from "./leases-view.tsx";
import { MarketView } from "./market-view.tsx";
import { linkTo, placeOf, type Place, type PlainPlace } from "./place.ts";
import { Problem, Unread, Waiting } from "./problem.tsx";
import { readPublic } from "./public-reads.ts";
import { RunView } from "./run-view.tsx";
import { ServersView } from "./servers-view.tsx";
import { useReading } from "./use-reading.ts";
import { WalletView } from "./wallet-view.tsx";
import { said } from "./words.ts";

const MARKET_EVERY_MS = 10_000;

const NAMES: Readonly<Record<PlainPlace, string>> = {
  market: "Market",
  run: "Run",
  leases: "Leases",
  wallet: "Wallet",
  servers: "Servers",
  enter: "Key",
};
const IN_ORDER = ["market", "run", "leases", "wallet", "servers", "enter"] as const satisfies readonly PlainPlace[];

const OTHER_KEYS = "the broker shows other keys than those whose fingerprint was confirmed here; nothing is asked of it with your key";

const heard = (listener: () => void): (() => void) => {
  addEventListener("hashchange", listener);
  return () => removeEventListener("hashchange", listener);
};
const hashNow = (): string => location.hash;

const isHere = (each: PlainPlace, { at }: Place): boolean => each === at || (each === "leases" && at === "lease");

function Navigation({ place }: { place: Place }): ReactNode {
  return (
    <nav aria-label="Main">
      {IN_ORDER.map((each) => (
        <a key={each} href={linkTo(each)} aria-current={isHere(each, place) ? "page" : undefined}>
          {NAMES[each]}
        </a>
      ))}
    </nav>
  );
}

interface ShownProps {
  place: Place;
  market: MarketInfo;
  access: Access | null;
  enter(access: Access): void;
  leave(): void;
}

function Shown({ place, market, access, enter, leave }: ShownProps): ReactNode {
  const { currency } = market;
  if (place.at === "market") return <MarketView market={market} />;
  if (place.at === "enter" || access === null)
    return <EnterView market={market} access={access} enter={enter} leave={leave} isAsked={place.at !== "enter"} />;
  if (!samePins(pinsOf(market), access.pins))
    return <Problem error={new BrokenWordError(OTHER_KEYS)} what="This is not the market that you entered" />;
  switch (place.at) {
    case "run":
      return <RunView key={access.client.identity.signer.publicKey} access={access} currency={currency} />;
    case "leases":
      return <LeasesView access={access} currency={currency} />;
    case "lease":
      return <LeaseView key={place.lease} access={access} lease={place.lease} currency={currency} />;
    case "wallet":
      return <WalletView access={access} currency={currency} />;
    case "servers":
      return <ServersView access={access} currency={currency} />;
  }
}

const readMarket = (signal: AbortSignal): Promise<MarketInfo> => readPublic("market", null, signal);

export function App({ entered }: { entered: Entered }): ReactNode {
  const place = placeOf(useSyncExternalStore(heard, hashNow));
  const reading = useReading(readMarket, MARKET_EVERY_MS);
  const { value: market, error } = reading;
  const access = useSyncExternalStore(entered.subscribe, entered.now);
  const main = useRef<HTMLElement>(null);
  const where = place.at === "lease" ? place.lease : place.at;
  const before = useRef(where);
  useEffect(() => {
    // whoever uses a keyboard, or hears the page, goes on where the new view begins
    if (before.current !== where) main.current?.focus();
    before.current = where;
  }, [where]);
  return (
    <>
      <header className="top">
        <a className="name" href={linkTo("market")}>
          Xenoservers
        </a>
        {market && <span className="market">{said(market.origin, 80)}</span>}
        <Navigation place={place} />
      </header>
      <main ref={main} tabIndex={-1}>
        <Unread reading={reading} what="The market cannot be read" />
        {!market && error === null && <Waiting what="Reading the market" />}
        {market && <Shown place={place} market={market} access={access} enter={entered.enter} leave={entered.leave} />}
      </main>
      <footer>
        <p>
          The broker whose market this is served this page, and could serve another. Keep a key here that is worth no more than you would
          lend it: one made here, or a token with a cap. Who does not trust the broker uses <code>xeno</code>, or a page from elsewhere.
        </p>
        <p>
          <a href="/api/openapi.json">API</a> · <a href="/log/checkpoint">checkpoint</a>
        </p>
      </footer>
    </>
  );
}
