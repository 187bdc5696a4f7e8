/**
 * One lie: one field of one document is another, or all that another end takes, signed again with its signer's own key; or one byte of it
 * is another, and the signature is none. Drawn among all that an honest case of the same seed said.
 */
import { BLAMES, END_REASONS, RESULT_REASONS } from "@xenoservers/market";
import { fromBase64, schemaOf, toBase64, type Envelope, type Kind } from "@xenoservers/protocol";
import { Rng } from "../../packages/verify/src/testing/rng.ts";
import type { Actor } from "./actors.ts";

export type Liar = Actor | "broker";

/** The fields that are other than they should be. */
export type Told = Readonly<Record<string, unknown>>;

/** Which document it is: of a kind, the how manieth that its signer says. */
export interface Place {
  by: Liar;
  kind: Kind;
  nth: number;
}

export interface Lie extends Place {
  /** Whether who is refused then says what is right, or falls silent. */
  repents: boolean;
  /** Null: the bytes are damaged instead. */
  tell(payload: object, ids: readonly string[]): Told | null;
  damage(envelope: Envelope): Envelope;
}

const HEX = /^([ps a]_)?[0-9a-f]{40,}$/;
const NUMBER = /^(0|[1-9]\d*)$/;

function otherDigit(rng: Rng, text: string): string {
  const at = rng.between(text.length - 40, text.length - 1);
  const digit = (Number.parseInt(text.charAt(at), 16) ^ (1 << rng.below(4))).toString(16);
  return text.slice(0, at) + digit + text.slice(at + 1);
}

const otherNumber = (rng: Rng, value: bigint): bigint => {
  const some = [0n, 1n, value + 1n, value - 1n, value * 2n, value / 2n, value ^ (1n << BigInt(rng.below(16))), value + 60_000n];
  return rng.pick(some);
};

function otherText(rng: Rng, kind: Kind, value: string, ids: readonly string[]): string {
  if (HEX.test(value)) return rng.chance(0.6) || ids.length === 0 ? otherDigit(rng, value) : rng.pick(ids);
  if (NUMBER.test(value)) return otherNumber(rng, BigInt(value)).toString();
  const reasons: readonly string[] = kind === "result" ? RESULT_REASONS : END_REASONS;
  return rng.pick([...reasons, ...BLAMES, "on-result", "by-interval", "isolated", "replicated", "time-limit", "budget", `${value}x`]);
}

function otherValue(rng: Rng, kind: Kind, value: unknown, ids: readonly string[]): unknown {
  if (typeof value === "number") return Number(otherNumber(rng, BigInt(value)));
  if (typeof value === "string") return otherText(rng, kind, value, ids);
  if (typeof value === "boolean") return !value;
  if (value === null) return rng.pick([0, 1, "1", rng.hex(32)]);
  if (Array.isArray(value)) {
    const at = rng.below(value.length + 1);
    const changed: unknown[] = value.map((each: unknown, i) => (i === at ? otherValue(rng, kind, each, ids) : each));
    return at === value.length ? changed.slice(0, -1) : changed;
  }
  if (typeof value !== "object") return value;
  const entries: [string, unknown][] = Object.entries(value);
  const at = rng.below(entries.length);
  return Object.fromEntries(entries.map(([key, each], i) => [key, i === at ? otherValue(rng, kind, each, ids) : each]));
}

/** What nobody states by it: where its signer had looked, and whose market it is. */
const SAYS_NOTHING = ["seen"];
const TRIES = 24;

/** One field changed so that it is still a document of its kind; null where that did not come about. */
function toldBy(rng: Rng, kind: Kind, payload: object, ids: readonly string[], field: string | null): Told | null {
  const entries: [string, unknown][] = Object.entries(payload).filter(([name]) => !SAYS_NOTHING.includes(name));
  for (let tries = 0; tries < TRIES; tries++) {
    const [name, value] = entries.find(([each]) => each === field) ?? rng.pick(entries);
    const changed = { [name]: otherValue(rng, kind, value, ids) };
    const parsed = schemaOf(kind).safeParse({ ...payload, ...changed });
    if (parsed.success && JSON.stringify(changed[name]) !== JSON.stringify(value)) return changed;
  }
  return null;
}

function damaged(rng: Rng, envelope: Envelope): Envelope {
  const bytes = fromBase64(envelope.payload) ?? new Uint8Array(1);
  const at = rng.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << rng.below(7));
  return { ...envelope, payload: toBase64(bytes) };
}

/** What of a document is to be other, and what it is then; by chance where that is not said. `told`: all that is other. */
export interface Wanted {
  field: string | null;
  told?: Told;
}

/** `isDamage`: its bytes are damaged instead. */
export function lieAt(place: Place, seed: number, { field, told }: Wanted, isDamage: boolean): Lie {
  const draw = (): Rng => new Rng(seed ^ 0x11e5);
  return {
    ...place,
    // a stop that nobody hears is made again: the guest would run on
    repents: place.kind === "stop" || draw().chance(0.5),
    tell: (payload, ids) => (isDamage ? null : (told ?? toldBy(draw(), place.kind, payload, ids, field))),
    damage: (envelope) => damaged(draw(), envelope),
  };
}

/** What convicts is lied about more than what is refused at once. */
const WEIGHTS: Partial<Record<Kind, number>> = { result: 6, trace: 4, commitment: 2, claim: 2, "trace-request": 2, dispute: 2 };

/** A kind that its signer says, by its weight, then which of them. */
export function drawPlace(rng: Rng, said: readonly Place[]): Place {
  const kinds = [...new Map(said.map((each) => [`${each.by} ${each.kind}`, each])).values()];
  const weighted = kinds.flatMap((each) => Array.from({ length: WEIGHTS[each.kind] ?? 1 }, () => each));
  const { by, kind } = rng.pick(weighted);
  return rng.pick(said.filter((each) => each.by === by && each.kind === kind));
}
