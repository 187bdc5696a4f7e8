/**
 * What a document looks like in the public log: public kinds stand there whole, everything else as a salted commitment that only its
 * parties can open (PROTOCOL section 7).
 */
import { invariant } from "@xenoservers/market";
import { canonicalBytes } from "./canonical.ts";
import { bytesOfHex, concatBytes, fromHex, toHex, utf8 } from "./bytes.ts";
import type { Crypto, Signer } from "./crypto.ts";
import { KIND_TABLE } from "./documents/table.ts";
import type { Envelope } from "./documents/parts.ts";
import type { Kind } from "./documents/schemas.ts";
import { leafHash } from "./merkle.ts";
import * as z from "zod/mini";
import { zEpoch, zId, zKey } from "./documents/parts.ts";

/** `envelope`: null of what is not public, where only its id is at hand. */
interface LeafDocument {
  id: string;
  kind: Kind;
  envelope: Envelope | null;
}

/** The bytes of a leaf. `at` is the broker's time of acceptance; `salt` is 32 bytes of hex. */
export function leafBytes(crypto: Crypto, document: LeafDocument, at: number, salt: string): Uint8Array {
  if (KIND_TABLE[document.kind].public) {
    invariant(document.envelope !== null, "what is public is at hand");
    return canonicalBytes({ at, document: document.envelope });
  }
  const commitment = toHex(crypto.sha256(concatBytes(utf8("xenoservers commitment "), bytesOfHex(salt), bytesOfHex(document.id))));
  return canonicalBytes({ at, commitment });
}

export const leafHashOf = (crypto: Crypto, document: LeafDocument, at: number, salt: string): string =>
  toHex(leafHash(crypto, leafBytes(crypto, document, at, salt)));

/**
 * The broker's word that a leaf will be in this epoch of the log by a time: evidence against it when it is not. `size`: of the log when it
 * was given; what stands before has been accepted earlier, whatever its clock said.
 */
export const zPromise = z.strictObject({
  origin: z.string(),
  epoch: zEpoch,
  size: z.int().check(z.gte(0)),
  leaf: zId,
  mergeBy: z.int(),
  keyid: zKey,
  sig: z.string(),
});
export type Promised = z.infer<typeof zPromise>;
type Given = Omit<Promised, "keyid" | "sig">;

const promiseText = ({ origin, epoch, size, leaf, mergeBy }: Given): Uint8Array =>
  utf8(`xenoservers promise\n${origin}\n${epoch}\n${size}\n${leaf}\n${mergeBy}\n`);

export function signPromise(signer: Signer, given: Given): Promised {
  return { ...given, keyid: signer.publicKey, sig: toHex(signer.sign(promiseText(given))) };
}

export function verifyPromise(crypto: Crypto, receiptKey: string, promise: Promised): boolean {
  const signature = fromHex(promise.sig);
  return promise.keyid === receiptKey && signature !== null && crypto.verify(receiptKey, promiseText(promise), signature);
}
