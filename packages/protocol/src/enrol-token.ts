/**
 * What an owner hands to a machine so that it may join as a server of theirs: the market's address and keys to pin, the owner's party,
 * and the seed of a one-time key that may grant one server key and nothing else. A secret until used.
 */
import * as z from "zod/mini";
import { parseUtf8, utf8, fromBase64, toBase64 } from "./bytes.ts";
import { zAddresses } from "./addresses.ts";
import { zParty, zPins } from "./documents/parts.ts";

const zEnrolToken = z.strictObject({
  url: zAddresses,
  pins: zPins,
  party: zParty,
  seed: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
});
type EnrolToken = z.infer<typeof zEnrolToken>;

const PREFIX = "xeno-enrol-";

export const formatEnrolToken = (token: EnrolToken): string => PREFIX + toBase64(utf8(JSON.stringify(token)));

export function parseEnrolToken(text: string): EnrolToken | null {
  const bytes = text.startsWith(PREFIX) ? fromBase64(text.slice(PREFIX.length).trim()) : null;
  try {
    const parsed = zEnrolToken.safeParse(JSON.parse((bytes && parseUtf8(bytes)) ?? ""));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
