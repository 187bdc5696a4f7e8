/** ChaCha20-Poly1305 in JavaScript: on every platform. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import type { ChannelCrypto } from "./system.ts";

export const pureCipher: Pick<ChannelCrypto, "seal" | "open"> = {
  seal: (into, plain, also, nonce, key) => void chacha20poly1305(key, nonce, also ?? undefined).encrypt(plain, into),
  open: (into, sealed, also, nonce, key) => void chacha20poly1305(key, nonce, also ?? undefined).decrypt(sealed, into),
};
