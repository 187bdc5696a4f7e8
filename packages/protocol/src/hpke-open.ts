/**
 * Opens one message of HPKE (RFC 9180, base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM): that half of the standard, for
 * whoever has the key. Who controls the inputs: whoever sealed, or says so: every byte but the secret key.
 */
import { channelCrypto, systemCrypto } from "#system";
import { concatBytes, utf8 } from "./bytes.ts";

const NOTHING = new Uint8Array(0);
const VERSION = utf8("HPKE-v1");
/** The numbers of the algorithms (RFC 9180, section 7). */
const KEM_SUITE = concatBytes(utf8("KEM"), new Uint8Array([0x00, 0x20]));
const SUITE = concatBytes(utf8("HPKE"), new Uint8Array([0x00, 0x20, 0x00, 0x01, 0x00, 0x01]));
const BASE_MODE = new Uint8Array([0]);
const [SECRET_BYTES, KEY_BYTES, NONCE_BYTES] = [32, 16, 12];

const extract = (suite: Uint8Array, salt: Uint8Array, label: string, from: Uint8Array): Uint8Array =>
  systemCrypto.hmacSha256(salt, concatBytes(VERSION, suite, utf8(label), from));

/** Of at most one block of the hash. */
const expand = (suite: Uint8Array, secret: Uint8Array, label: string, info: Uint8Array, length: number): Uint8Array =>
  systemCrypto
    .hmacSha256(secret, concatBytes(new Uint8Array([0, length]), VERSION, suite, utf8(label), info, new Uint8Array([1])))
    .subarray(0, length);

/** `key`: as it was encapsulated. Null where it is no point that adds something. */
function sharedSecret(secretKey: Uint8Array, key: Uint8Array): Uint8Array | null {
  try {
    const { publicKey } = channelCrypto.keyPair(secretKey);
    const secret = extract(KEM_SUITE, NOTHING, "eae_prk", channelCrypto.sharedSecret(secretKey, key));
    return expand(KEM_SUITE, secret, "shared_secret", concatBytes(key, publicKey), SECRET_BYTES);
  } catch {
    return null;
  }
}

interface Message {
  key: Uint8Array;
  info: Uint8Array;
  sealed: Uint8Array;
}

/** Null where it was not sealed for this key with this info. */
export async function openHpke(secretKey: Uint8Array, { key, info, sealed }: Message): Promise<Uint8Array | null> {
  const shared = sharedSecret(secretKey, key);
  if (shared === null) return null;
  const hashes = [extract(SUITE, NOTHING, "psk_id_hash", NOTHING), extract(SUITE, NOTHING, "info_hash", info)];
  const context = concatBytes(BASE_MODE, ...hashes);
  const secret = extract(SUITE, shared, "secret", NOTHING);
  const iv = expand(SUITE, secret, "base_nonce", context, NONCE_BYTES).slice();
  const raw = expand(SUITE, secret, "key", context, KEY_BYTES).slice();
  const { subtle } = globalThis.crypto;
  const opener = await subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  return subtle.decrypt({ name: "AES-GCM", iv }, opener, sealed.slice()).then(
    (plain) => new Uint8Array(plain),
    () => null,
  );
}
