/** The channel's primitives in JavaScript: a browser's own answer later, and a packet's keystream is needed at once. */
import { x25519 } from "@noble/curves/ed25519.js";
import { blake2b } from "@noble/hashes/blake2.js";
import { hmac } from "@noble/hashes/hmac.js";
import { pureCipher } from "./pure-cipher.ts";
import type { ChannelCrypto } from "./system.ts";

export const webChannelCrypto: ChannelCrypto = {
  keyPair: (secretKey = x25519.utils.randomSecretKey()) => ({
    publicKey: x25519.getPublicKey(secretKey),
    secretKey: new Uint8Array(secretKey),
  }),
  sharedSecret: (secretKey, publicKey) => x25519.getSharedSecret(secretKey, publicKey),
  blake2b: (bytes) => blake2b(bytes, { dkLen: 64 }),
  hmacBlake2b: (key, bytes) => hmac(blake2b, key, bytes),
  ...pureCipher,
};
