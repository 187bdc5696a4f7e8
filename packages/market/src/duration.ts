const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads what a person types: `90s`, `10m`, `2h` or `1.5d`, as milliseconds. Null when it is no duration. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h|d)$/.exec(text) ?? [];
  const unitMs = UNITS[unit ?? ""];
  return count === undefined || unitMs === undefined ? null : Math.round(Number(count) * unitMs);
}

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 86_400_000;

/** How far apart two times are, for people: in the largest unit of which there are two, and seconds with a tenth. */
export function spanWords(ms: number): string {
  const span = Math.abs(ms);
  if (span < 2 * MINUTE_MS) return `${(span / 1_000).toFixed(1)} s`;
  if (span < 2 * HOUR_MS) return `${Math.round(span / MINUTE_MS)} min`;
  return span < 2 * DAY_MS ? `${Math.round(span / HOUR_MS)} h` : `${Math.round(span / DAY_MS)} days`;
}
