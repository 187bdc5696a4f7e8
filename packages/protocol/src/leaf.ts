/**
 * What a document looks like in the public log: public kinds stand there whole, everything else as a salted commitment that only its
 * parties can open (PROTOCOL section 7).
 */
import { canonicalBytes } from "./canonical.ts";
import { bytesOfHex, concatBytes, fromHex, toHex, utf8 } from "./bytes.ts";
import type { Crypto, Signer } from "./crypto.ts";
import { KIND_TABLE } from "./documents/table.ts";
import type { Envelope } from "./documents/parts.ts";
import type { Kind } from "./documents/schemas.ts";
import { leafHash } from "./merkle.ts";
import { z } from "zod";
import { zId, zKey } from "./documents/parts.ts";

/** The bytes of a leaf. `at` is the broker's time of acceptance; `salt` is 32 bytes of hex. */
export function leafBytes(crypto: Crypto, document: { id: string; kind: Kind; envelope: Envelope }, at: number, salt: string): Uint8Array {
  if (KIND_TABLE[document.kind].public) return canonicalBytes({ at, document: document.envelope });
  const commitment = toHex(crypto.sha256(concatBytes(utf8("xenoservers commitment "), bytesOfHex(salt), bytesOfHex(document.id))));
  return canonicalBytes({ at, commitment });
}

export const leafHashOf = (crypto: Crypto, document: { id: string; kind: Kind; envelope: Envelope }, at: number, salt: string): string =>
  toHex(leafHash(crypto, leafBytes(crypto, document, at, salt)));

/** The broker's word that a leaf will be in the log by a time: evidence against it when it is not. */
export const zPromise = z.strictObject({ origin: z.string(), leaf: zId, mergeBy: z.int(), keyid: zKey, sig: z.string() });
export type Promised = z.infer<typeof zPromise>;

const promiseText = (origin: string, leaf: string, mergeBy: number): Uint8Array =>
  utf8(`xenoservers promise\n${origin}\n${leaf}\n${mergeBy}\n`);

export function signPromise(signer: Signer, origin: string, leaf: string, mergeBy: number): Promised {
  return { origin, leaf, mergeBy, keyid: signer.publicKey, sig: toHex(signer.sign(promiseText(origin, leaf, mergeBy))) };
}

export function verifyPromise(crypto: Crypto, receiptKey: string, promise: Promised): boolean {
  const signature = fromHex(promise.sig);
  return (
    promise.keyid === receiptKey &&
    signature !== null &&
    crypto.verify(receiptKey, promiseText(promise.origin, promise.leaf, promise.mergeBy), signature)
  );
}
