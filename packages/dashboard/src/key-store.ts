/**
 * What this browser keeps between visits: one key of the market whose page it is, and the market's pinned keys. A key is made here, or
 * comes as a capped token; a party's own root key from elsewhere has no way in. Who controls the input: whoever can write to this
 * browser's storage of this origin.
 */
import { samePins, toHex, zPins, type MarketPins } from "@xenoservers/protocol";
import { InputError, parseCiToken, zSeed } from "@xenoservers/sdk";

export type Kept = { kind: "own"; seed: string; pins: MarketPins } | { kind: "token"; token: string };
type Place = Pick<Storage, "getItem" | "setItem" | "removeItem">;

const NAME = "xenoservers-page-1";

/** Null: nothing is kept, or what is kept cannot be read. */
export function parseKept(text: string | null): Kept | null {
  try {
    const value: unknown = JSON.parse(text ?? "");
    if (typeof value !== "object" || value === null) return null;
    const [kind, token] = [Reflect.get(value, "kind"), Reflect.get(value, "token")];
    if (kind === "token" && typeof token === "string") {
      parseCiToken(token);
      return { kind, token };
    }
    const seed = zSeed.safeParse(Reflect.get(value, "seed"));
    const pins = zPins.safeParse(Reflect.get(value, "pins"));
    return kind === "own" && seed.success && pins.success ? { kind, seed: seed.data, pins: pins.data } : null;
  } catch {
    return null;
  }
}

const NOTHING_KEPT = "this browser keeps nothing for this page: allow it to, and try again; nothing was registered";

/** What keeps nothing: a browser that is told to throws where it is only looked for. */
const NOWHERE: Place = {
  getItem: () => null,
  setItem: () => {
    throw new Error("no storage");
  },
  removeItem: () => {},
};

export function placeHere(): Place {
  try {
    return localStorage;
  } catch {
    return NOWHERE;
  }
}

export const readKept = (place: Place): Kept | null => parseKept(place.getItem(NAME));

/** The same key of the same market. */
export function isSameKey(one: Kept | null, other: Kept | null): boolean {
  if (one?.kind === "own" && other?.kind === "own") return one.seed === other.seed && samePins(one.pins, other.pins);
  if (one?.kind === "token" && other?.kind === "token") return one.token === other.token;
  return one === null && other === null;
}

/** Another key, which another tab has kept since, stays. */
export function forget(place: Place, kept: Kept): void {
  if (isSameKey(readKept(place), kept)) place.removeItem(NAME);
}

/** A key that is used and not kept would be lost, and so would another that is kept: throws InputError. */
export function keep(place: Place, kept: Kept): void {
  const other = readKept(place);
  if (other !== null && !isSameKey(other, kept))
    throw new InputError("another tab has given this page a key: forget that one first; nothing was registered");
  try {
    place.setItem(NAME, JSON.stringify(kept));
  } catch (cause) {
    throw new InputError(NOTHING_KEPT, { cause });
  }
}

/** Whether what another tab has changed is what this page keeps. */
export const isAboutKept = ({ key }: Pick<StorageEvent, "key">): boolean => key === null || key === NAME;

export const newSeed = (): string => toHex(crypto.getRandomValues(new Uint8Array(32)));

/** The token, if it is one of this very market. Throws InputError. */
export function tokenFor(typed: string, pins: MarketPins): string {
  const token = parseCiToken(typed);
  if (!samePins(token.pins, pins))
    throw new InputError("this token is of another market, or the broker shows other keys than it pins: it was not used");
  return typed.trim();
}
