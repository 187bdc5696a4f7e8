const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };

/** Reads what a person types: `90s`, `10m`, `2h` or `1.5d`, as milliseconds. Null when it is no duration. */
export function parseDuration(text: string): number | null {
  const [, count, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|min|h|d)$/.exec(text) ?? [];
  const unitMs = UNITS[unit ?? ""];
  return count === undefined || unitMs === undefined ? null : Math.round(Number(count) * unitMs);
}
