/** A delegated key as one string: for CI, for another device. Bounded by what was granted, revocable, and a secret. */
import { SCOPES } from "@xenoservers/market";
import { fromBase64, parseUtf8, toBase64, utf8, zAccount, zAddresses, zParty, zPins } from "@xenoservers/protocol";
import * as z from "zod/mini";
import { InputError } from "./errors.ts";

export const zSeed = z.string().check(z.regex(/^[0-9a-f]{64}$/));

/** What its holder needs to know of a key that was granted. */
const zDelegated = z.strictObject({
  party: zParty,
  role: z.enum(["device", "ci"]),
  /** What it is for, as its owner called it. */
  label: z.string().check(z.maxLength(64)),
  scopes: z.array(z.enum(SCOPES)).check(z.minLength(1)),
  /** The only account it acts in; null: all of its party's. */
  account: z.nullable(zAccount),
  /** The only label of leases it acts on; null: any. */
  leaseLabel: z.nullable(z.string().check(z.maxLength(64))),
  expiresAt: z.nullable(z.int()),
});

const zCiToken = z.strictObject({ url: zAddresses, pins: zPins, seed: zSeed, key: zDelegated });
export type CiToken = z.infer<typeof zCiToken>;
const PREFIX = "xeno-ci-";

/** For addresses and shells: no letter that either reads. */
const toBase64Url = (bytes: Uint8Array): string => toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const fromBase64Url = (text: string): Uint8Array | null =>
  fromBase64(text.replaceAll("-", "+").replaceAll("_", "/") + "=".repeat((4 - (text.length % 4)) % 4));

export const formatCiToken = (token: CiToken): string => PREFIX + toBase64Url(utf8(JSON.stringify(token)));

/** `typed`: as secrets are handed on, with blanks and line ends around it. */
export function parseCiToken(typed: string): CiToken {
  const text = typed.trim();
  try {
    const bytes = text.startsWith(PREFIX) ? fromBase64Url(text.slice(PREFIX.length)) : null;
    if (bytes) return zCiToken.parse(JSON.parse(parseUtf8(bytes) ?? ""));
  } catch {
    // said below
  }
  if (text.startsWith("xeno-enrol-")) throw new InputError("this token enrols a machine: use it there with `xeno serve --enrol TOKEN`");
  throw new InputError("this is not a token; make one with `xeno token create`");
}
