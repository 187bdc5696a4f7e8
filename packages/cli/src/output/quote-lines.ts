/** A quote for people and programs: server, rate, hold, worst cost, what is trusted to whom, what is paid when. */
import { DRIVERS, ifServerVanishes, priceVectorOf, runsAlike, trustLine } from "@xenoservers/market";
import type { MarketInfo } from "@xenoservers/protocol/link";
import { type MarketClient, type Quoted, type Wanted, driverOf, mib, shortId, spendableIn } from "@xenoservers/sdk";
import { heldText } from "./held.ts";
import { worstLines } from "./terms-lines.ts";
import { yellow } from "./terminal.ts";
import { duration, gigaFuel, money, when } from "./ui.ts";

export interface Shown {
  server: string;
  ratePerHourNanos: string;
  holdNanos: string;
  worstNanos: string;
  /** Null where this key may not look at the wallet, or a batch pays. */
  walletAfterNanos: string | null;
  /** How many of them the money that is there now is enough for; null where this key may not look. */
  atOnce: number | null;
  durationMsMax: number;
  trust: string;
  ifServerVanishes: string;
  feeBasisPoints: number;
}

/** Of the machine: how it runs, how fast its one core is, what holds its neighbours off, what it may reach. */
function machineLine({ accel, vmScore, cpuScore, limits }: Quoted["offer"], { egress = "none", egressMibMax = 0 }: Wanted): string {
  const how = accel === "kvm" ? "by hardware (KVM)" : yellow("EMULATED in software: slow");
  const names = egress === "public" ? "public addresses" : [...egress].join(", ");
  const reach = egress === "none" ? "no network out" : `out to ${names}, at most ${mib(egressMibMax)}`;
  return `machine  ${how}, score ${vmScore} (the server itself ${cpuScore}); limits by ${limits}; ${reach}`;
}

const dearestFirst = (all: readonly bigint[]): bigint[] => [...all].sort((a, b) => (a < b ? 1 : -1));

/** The dearest that the broker could draw of these, with what is kept for one audit of them all. */
function holdOf(quotes: readonly Quoted[], replicas: number): bigint {
  const [reserve = 0n] = dearestFirst(quotes.map(({ quote }) => quote.auditReserveNanos));
  const works = dearestFirst(quotes.map(({ quote }) => quote.workNanos));
  return works.slice(0, replicas).reduce((sum, each) => sum + each, reserve);
}

const percent = (basisPoints: number): string => `${basisPoints / 100} %`;

function feeLine({ feeBasisPoints, announcedFee }: MarketInfo): string {
  const next = announcedFee ? `; ${percent(announcedFee.basisPoints)} from ${when(announcedFee.effectiveAt)}` : "";
  return `fee      ${percent(feeBasisPoints)} of what you pay goes to the broker, out of the owner's part${next}`;
}

const bound = (is: boolean): string => (is ? " (what your budget pays for)" : "");

function holdLine({ quote }: Quoted, wanted: Wanted, shown: Shown, currency: string): string {
  const fuel = wanted.terms === "on-result" ? `${gigaFuel(quote.fuelMax)}${bound(quote.fuelBound === "budget")} and ` : "";
  const time = `${duration(quote.durationMsMax)}${bound(quote.timeBound === "budget")}`;
  return `hold     ${money(shown.holdNanos, currency)} for at most ${fuel}${time}; what is not used comes back`;
}

const COUNTED_MAX = 1_000_000n;
const countedTo = (count: bigint): number => Number(count < COUNTED_MAX ? count : COUNTED_MAX);

const WORST = /^worst +/;
function worstLine({ worstNanos, walletAfterNanos, atOnce }: Shown, currency: string): string {
  const wallet = walletAfterNanos === null ? "" : `; wallet after that ${money(walletAfterNanos, currency)}`;
  const many = atOnce === null ? "" : atOnce === 0 ? "; there is not enough for one" : `; enough for ${atOnce} of these at once`;
  return `worst    ${money(worstNanos, currency)}${wallet}${many}`;
}

interface QuoteLines {
  shown: Shown;
  /** Server, price and terms, and among them the one line that each run changes: what is left then. */
  lines: readonly string[];
  worst: string;
  /** All of that in one line, for whoever has seen the terms. */
  brief: string;
}

/** The first, what else the broker may draw, and what all of it can cost. */
export async function quoteLines(
  client: MarketClient,
  quotes: readonly [Quoted, ...Quoted[]],
  wanted: Wanted,
  currency: string,
): Promise<QuoteLines> {
  const market = await client.market();
  const [first, ...more] = quotes;
  const { offer, quote, isBusy } = first;
  const driver = driverOf(wanted);
  const replicas = wanted.replicas ?? 1;
  const holdNanos = holdOf(quotes, replicas);
  const looks = client.identity.scopes.includes("read");
  // what a batch holds is no wallet's any more
  const available =
    looks && wanted.batch === undefined ? spendableIn(await client.read("accounts"), wanted.account ?? client.identity.account) : null;
  const shown: Shown = {
    server: offer.server,
    ratePerHourNanos: quote.ratePerHourNanos.toString(),
    holdNanos: holdNanos.toString(),
    worstNanos: holdNanos.toString(),
    walletAfterNanos: available === null ? null : (available - holdNanos).toString(),
    atOnce: available === null || holdNanos === 0n ? null : countedTo(available / holdNanos),
    durationMsMax: quote.durationMsMax,
    trust: trustLine(wanted.assurance, runsAlike(driver, wanted.assurance)),
    ifServerVanishes: ifServerVanishes(wanted.terms),
    feeBasisPoints: market.feeBasisPoints,
  };
  const { vcpu, memoryMib, diskMib } = wanted.resources;
  const room = isBusy ? "  (no room now)" : "";
  const size = `${vcpu} vCPU, ${mib(memoryMib)} memory, ${mib(diskMib)} disk`;
  const atRate = `${money(shown.ratePerHourNanos, currency)}/h`;
  const ending = { terms: wanted.terms, holdNanos, cancellationNanos: quote.cancellationNanos, price: priceVectorOf(offer.price) };
  const worst = worstLine(shown, currency);
  return {
    ...{ shown, worst },
    lines: [
      `server   ${shortId(offer.server)}  ${size}  ${atRate}  sandbox ${offer.sandbox}${room}`,
      `held by  ${heldText(offer.holds[driver] ?? [])} (by the owner's word)`,
      ...(DRIVERS[driver].can.acceleration ? [machineLine(offer, wanted)] : []),
      ...more.map(
        ({ offer: other }) => `     or  ${shortId(other.server)} of another owner  ${money(other.priceNanosPerHour, currency)}/h`,
      ),
      ...(replicas > 1 ? [`replicas ${replicas} of these ${quotes.length} owners, drawn by the broker; all of them in one hold`] : []),
      holdLine(first, wanted, shown, currency),
      worst,
      feeLine(market),
      `trust    ${shown.trust}`,
      `terms    ${wanted.terms}; if the server vanishes you pay ${shown.ifServerVanishes}`,
      ...worstLines(ending, currency),
    ],
    brief: `quote    on terms that you know (-v shows them): ${shortId(offer.server)} at ${atRate}, at worst ${worst.replace(WORST, "")}`,
  };
}
