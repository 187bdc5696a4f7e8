/**
 * The channel's primitives on Node's own OpenSSL: no module of another's has to be built for a machine. Other runtimes of Node's programs
 * have other libraries behind `node:crypto` (Bun: BoringSSL, no ChaCha20-Poly1305 there and no HMAC of BLAKE2b): what they lack is done
 * by what they have, or in JavaScript.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  getCipherInfo,
  randomBytes,
  type KeyObject,
} from "node:crypto";
import { letGo } from "../bytes.ts";
import { pureCipher } from "./pure-cipher.ts";
import { TAG_BYTES, type ChannelCrypto } from "./system.ts";

/** DER headers of RFC 8410 before the 32 raw key bytes. */
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const KEY_BYTES = 32;

const CIPHER = "chacha20-poly1305";
const OPTIONS = { authTagLength: TAG_BYTES } as const;
/** What is shorter is done in JavaScript before OpenSSL has begun; all, where there is none that knows the cipher. */
const SHORT_BYTES = getCipherInfo(CIPHER) ? 1_024 : Infinity;
/** What BLAKE2b takes in at a time (RFC 7693). */
const BLOCK_BYTES = 128;

/** A channel's key seals packet after packet, and nobody changes it: OpenSSL is handed it once. */
const handed = new WeakMap<Uint8Array, KeyObject>();

/** Handed over raw each time, a key costs more than sealing half a packet with it. */
function cipherKey(key: Uint8Array): KeyObject {
  const there = handed.get(key);
  if (there) return there;
  const made = createSecretKey(key);
  handed.set(key, made);
  return made;
}

function der(prefix: Uint8Array, key: Uint8Array): Buffer {
  if (key.length !== KEY_BYTES) throw new TypeError("an X25519 key has 32 bytes");
  return Buffer.concat([prefix, key]);
}

const secretOf = (key: Uint8Array): KeyObject => createPrivateKey({ key: der(PKCS8_PREFIX, key), format: "der", type: "pkcs8" });

function blake2b(...parts: Uint8Array[]): Buffer {
  const hash = createHash("blake2b512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** RFC 2104, on the hash alone. */
function hmacBlake2b(key: Uint8Array, bytes: Uint8Array): Buffer {
  const block = new Uint8Array(BLOCK_BYTES);
  block.set(key.length > BLOCK_BYTES ? blake2b(key) : key);
  const inner = blake2b(
    block.map((byte) => byte ^ 0x36),
    bytes,
  );
  return blake2b(
    block.map((byte) => byte ^ 0x5c),
    inner,
  );
}

export const nodeChannelCrypto: ChannelCrypto = {
  keyPair(secretKey = new Uint8Array(randomBytes(KEY_BYTES))) {
    const spki = createPublicKey(secretOf(secretKey)).export({ format: "der", type: "spki" });
    return { publicKey: new Uint8Array(spki.subarray(SPKI_PREFIX.length)), secretKey: new Uint8Array(secretKey) };
  },
  sharedSecret(secretKey, publicKey) {
    const other = createPublicKey({ key: der(SPKI_PREFIX, publicKey), format: "der", type: "spki" });
    return diffieHellman({ privateKey: secretOf(secretKey), publicKey: other });
  },
  blake2b: (bytes) => blake2b(bytes),
  hmacBlake2b,
  seal(into, plain, also, nonce, key) {
    if (plain.length < SHORT_BYTES) return pureCipher.seal(into, plain, also, nonce, key);
    const cipher = createCipheriv(CIPHER, cipherKey(key), nonce, OPTIONS);
    if (also) cipher.setAAD(also, { plaintextLength: plain.length });
    const sealed = cipher.update(plain);
    cipher.final();
    into.set(sealed);
    into.set(cipher.getAuthTag(), plain.length);
    letGo(sealed);
  },
  open(into, sealed, also, nonce, key) {
    if (into.length < SHORT_BYTES) return pureCipher.open(into, sealed, also, nonce, key);
    const decipher = createDecipheriv(CIPHER, cipherKey(key), nonce, OPTIONS);
    if (also) decipher.setAAD(also, { plaintextLength: into.length });
    decipher.setAuthTag(sealed.subarray(into.length));
    const plain = decipher.update(sealed.subarray(0, into.length));
    decipher.final();
    into.set(plain);
    letGo(plain);
  },
};
