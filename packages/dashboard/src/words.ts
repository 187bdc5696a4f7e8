/** How the page puts money, times, sizes and what strangers wrote. Who controls the inputs: anyone; all of it becomes text. */
import { formatMoney } from "@xenoservers/market";
import { CONTROL, dateText, visible } from "@xenoservers/protocol";

const LONGEST = 300;

/** What somebody else chose, as it may be shown in a line. */
export function said(text: string, longest = LONGEST): string {
  const cut = text.length > longest ? `${text.slice(0, longest)}…` : text;
  return visible(cut);
}

const MOVES = new RegExp(`(?![\\n\\t])${CONTROL.source}`, "gu");

/** What a job printed: lines stay lines and tabs stay tabs, all else that would move or hide something is spelt out. */
export const printed = (text: string): string => text.replaceAll("\r\n", "\n").replaceAll(MOVES, visible);

export const money = (nanos: bigint | string, currency: string): string => `${formatMoney(BigInt(nanos))} ${said(currency, 20)}`;

export const countOf = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60 ? `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** To the second, and said to be in UTC. */
export const when = (ms: number): string =>
  dateText(ms)
    .replace("T", " ")
    .replace(/\.\d+Z$/, " UTC");

const AGES = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "min"],
] as const;

export function ago(ms: number, now: number): string {
  const [unitMs, unit] = AGES.find(([each]) => now - ms >= each) ?? [0, ""];
  return unitMs === 0 ? "now" : `${Math.floor((now - ms) / unitMs)} ${unit} ago`;
}

const MIB_PER_GIB = 1_024;
export const mebibytes = (mib: number): string => (mib >= MIB_PER_GIB ? `${Number((mib / MIB_PER_GIB).toFixed(1))} GiB` : `${mib} MiB`);

const KIB = 1_024;
export function bytesText(size: number): string {
  if (size < KIB) return countOf(size, "byte");
  if (size < KIB * KIB) return `${(size / KIB).toFixed(1)} KiB`;
  const mib = size / KIB / KIB;
  return mib < MIB_PER_GIB ? `${mib.toFixed(1)} MiB` : `${(mib / MIB_PER_GIB).toFixed(1)} GiB`;
}

export function gigaFuel(fuel: bigint): string {
  const hundredths = fuel / 10_000_000n;
  if (hundredths >= 10_000n) return `${hundredths / 100n} Gfuel`;
  return hundredths === 0n && fuel > 0n ? `${fuel} fuel` : `${hundredths / 100n}.${String(hundredths % 100n).padStart(2, "0")} Gfuel`;
}
