/** The crypto port on node:crypto. */
import { createHash, createHmac, createPrivateKey, createPublicKey, randomBytes, sign, verify, type KeyObject } from "node:crypto";
import { toHex } from "./bytes.ts";
import type { Crypto, Signer } from "./crypto.ts";
import { RightSignatures } from "./system/right-signatures.ts";
import { isSmallOrder } from "./system/small-order.ts";

/** DER headers of RFC 8410 before the 32 raw key bytes. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

const KEYS_CACHED_MAX = 10_000;
const publicKeys = new Map<string, KeyObject>();

function publicKeyOf(hex: string): KeyObject {
  let key = publicKeys.get(hex);
  if (!key) {
    key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, Buffer.from(hex, "hex")]), format: "der", type: "spki" });
    if (publicKeys.size >= KEYS_CACHED_MAX) publicKeys.clear();
    publicKeys.set(hex, key);
  }
  return key;
}

const right = new RightSignatures();

function isRight(publicKey: string, message: Uint8Array, signature: Uint8Array): boolean {
  const id = createHash("sha256").update(publicKey).update(signature).update(message).digest("base64");
  return right.isRight(id, () => verify(null, message, publicKeyOf(publicKey), signature));
}

export const nodeCrypto: Crypto = {
  sha256: (bytes) => createHash("sha256").update(bytes).digest(),
  hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
  verify(publicKey, message, signature) {
    if (!/^[0-9a-f]{64}$/.test(publicKey) || signature.length !== 64) return false;
    if (isSmallOrder(publicKey) || isSmallOrder(toHex(signature.subarray(0, 32)))) return false;
    try {
      return isRight(publicKey, message, signature);
    } catch {
      return false;
    }
  },
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
};

/** A signer from a 32-byte seed. */
export function createSigner(seed: Uint8Array): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return { publicKey: toHex(spki.subarray(SPKI_PREFIX.length)), sign: (message) => new Uint8Array(sign(null, message, key)) };
}
