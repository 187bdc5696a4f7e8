/** Other contents for a document: fields changed to what a cheat would want, or to anything. */
import { END_REASONS } from "@xenoservers/market";
import type { AnyDocument } from "@xenoservers/protocol";
import type { Rng } from "./rng.ts";
import { EPOCH, type Edit, type Play } from "./script.ts";

const NUMBER = /^(0|[1-9]\d*)$/;
const HEX = /^[0-9a-f]{64}$/;

function otherNumber(rng: Rng, value: number): number {
  return rng.pick([
    0,
    1,
    value + 1,
    Math.max(0, value - 1),
    2 * value,
    Math.floor(value / 2),
    value + rng.between(-60_000, 60_000),
    rng.below(100_000),
  ]);
}

function otherText(rng: Rng, value: string, ids: readonly string[]): string {
  if (HEX.test(value)) return rng.chance(0.8) ? rng.pick(ids) : rng.hex(32);
  if (NUMBER.test(value))
    return rng.pick(["0", "1", `${BigInt(value) * 2n}`, `${BigInt(value) + 1n}`, `${BigInt(value) / 2n}`, `${rng.below(1_000_000_000)}`]);
  return rng.pick([...END_REASONS, "on-result", "by-interval", "market", "mine", "owner", "nobody", value]);
}

function otherValue(rng: Rng, value: unknown, ids: readonly string[]): unknown {
  if (typeof value === "number") return otherNumber(rng, value);
  if (typeof value === "string") return otherText(rng, value, ids);
  if (typeof value === "boolean") return !value;
  if (value === null) return rng.pick([rng.pick(ids), 0, "0"]);
  if (Array.isArray(value))
    return rng.chance(0.5) ? [] : value.map((each: unknown) => (rng.chance(0.5) ? otherValue(rng, each, ids) : each));
  if (typeof value !== "object") return value;
  const entries = Object.entries(value);
  const [changed] = entries.length === 0 ? [""] : rng.pick(entries);
  return Object.fromEntries(entries.map(([key, each]: [string, unknown]) => [key, key === changed ? otherValue(rng, each, ids) : each]));
}

/** One field of it, changed. */
export function anyEdit(rng: Rng, document: AnyDocument, play: Play): Edit {
  const ids = play.filed.map((each) => each.document.id);
  const [key, value]: [string, unknown] = rng.pick(Object.entries(document.payload).filter(([name]) => name !== "origin"));
  return { [key]: otherValue(rng, value, ids) };
}

/** A second copy that says the same: only what its signer has seen of the log is another. */
export const againEdit = (rng: Rng): Edit => ({ seen: { epoch: EPOCH, size: rng.below(1_000_000), root: rng.hex(32) } });
