/**
 * The crypto port in JavaScript. WebCrypto has the same functions, but answers later, and a lease is folded in one go. Who controls the
 * inputs: anyone, keys and signatures; what OpenSSL takes for right is right here, and nothing else (the contract plays odd points).
 */
import { ed25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256, sha512 } from "@noble/hashes/sha2.js";
import { concatBytes, equalBytes, fromHex, toHex, utf8 } from "../bytes.ts";
import type { Crypto, Signer } from "../crypto.ts";
import { RightSignatures } from "./right-signatures.ts";
import { isSmallOrder } from "./small-order.ts";
import type { RunningHash } from "./system.ts";

const { Point } = ed25519;
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
const right = new RightSignatures();

function littleEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] ?? 0);
  return value;
}

/**
 * RFC 8032's check without its cofactor, as OpenSSL does it: S is below the order, and S·B − k·A is written as R is. The library's own
 * check multiplies by the cofactor, and so takes some signatures that OpenSSL refuses.
 */
function isSignature(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const r = signature.subarray(0, KEY_BYTES);
  const s = littleEndian(signature.subarray(KEY_BYTES));
  const order = Point.Fn.ORDER;
  if (s >= order) return false;
  const key = Point.fromBytes(publicKey, true);
  const k = littleEndian(sha512(concatBytes(r, publicKey, message))) % order;
  const first = s === 0n ? Point.ZERO : Point.BASE.multiplyUnsafe(s);
  const second = k === 0n ? Point.ZERO : key.multiplyUnsafe(k);
  return equalBytes(first.subtract(second).toBytes(), r);
}

export const webCrypto: Crypto = {
  sha256: (bytes) => sha256(bytes),
  hmacSha256: (key, bytes) => hmac(sha256, key, bytes),
  verify(publicKey, message, signature) {
    if (!/^[0-9a-f]{64}$/.test(publicKey) || signature.length !== SIGNATURE_BYTES) return false;
    if (isSmallOrder(publicKey) || isSmallOrder(toHex(signature.subarray(0, KEY_BYTES)))) return false;
    const id = toHex(sha256(concatBytes(utf8(publicKey), signature, message)));
    try {
      return right.isRight(id, () => isSignature(fromHex(publicKey) ?? new Uint8Array(), message, signature));
    } catch {
      return false;
    }
  },
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
};

/** A signer from a 32-byte seed. */
export function createSigner(seed: Uint8Array): Signer {
  const secret = new Uint8Array(seed);
  return { publicKey: toHex(ed25519.getPublicKey(secret)), sign: (message) => ed25519.sign(message, secret) };
}

export function startSha256(): RunningHash {
  const hash = sha256.create();
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.clone().digest() };
}
