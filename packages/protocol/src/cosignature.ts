/**
 * Witness cosignatures on checkpoints: C2SP tlog-cosignature v1, as lines of the same signed note. A witness signs only what extends what
 * it has signed before. Who controls the inputs of verify: whoever hands over the note.
 */
import { bytesOfHex, concatBytes, equalBytes, fromBase64, toBase64, utf8 } from "./bytes.ts";
import type { Crypto, Signer } from "./crypto.ts";

export interface Witness {
  name: string;
  /** Ed25519, hex. */
  key: string;
}

/** Signature type 0x04: Ed25519 over a time and the checkpoint's body. */
const COSIGNATURE_V1 = 4;
const TIME_BYTES = 8;
const KEY_HASH_BYTES = 4;
const SIGNATURE_BYTES = 64;

function keyHash(crypto: Crypto, { name, key }: Witness): Uint8Array {
  return crypto.sha256(concatBytes(utf8(`${name}\n`), new Uint8Array([COSIGNATURE_V1]), bytesOfHex(key))).subarray(0, KEY_HASH_BYTES);
}

/** The note's text up to and with the line end before the empty line. */
function bodyOf(note: string): string {
  return note.slice(0, note.indexOf("\n\n") + 1);
}

const message = (body: string, seconds: number): Uint8Array => utf8(`cosignature/v1\ntime ${seconds}\n${body}`);

/** The line to append to the checkpoint's note. */
export function cosign(crypto: Crypto, signer: Signer, name: string, note: string, seconds: number): string {
  const time = new Uint8Array(TIME_BYTES);
  new DataView(time.buffer).setBigUint64(0, BigInt(seconds));
  const signature = signer.sign(message(bodyOf(note), seconds));
  return `\u2014 ${name} ${toBase64(concatBytes(keyHash(crypto, { name, key: signer.publicKey }), time, signature))}\n`;
}

/** The line of this witness when the note carries a right one; null otherwise. */
export function cosignatureOf(crypto: Crypto, witness: Witness, note: string): { line: string; seconds: number } | null {
  const body = bodyOf(note);
  const expected = keyHash(crypto, witness);
  for (const line of note.slice(body.length + 1).split("\n")) {
    if (!line.startsWith(`\u2014 ${witness.name} `)) continue;
    const bytes = fromBase64(line.slice(line.lastIndexOf(" ") + 1));
    if (bytes?.length !== KEY_HASH_BYTES + TIME_BYTES + SIGNATURE_BYTES || !equalBytes(bytes.subarray(0, KEY_HASH_BYTES), expected))
      continue;
    const seconds = Number(new DataView(bytes.buffer, bytes.byteOffset + KEY_HASH_BYTES, TIME_BYTES).getBigUint64(0));
    if (Number.isSafeInteger(seconds) && crypto.verify(witness.key, message(body, seconds), bytes.subarray(KEY_HASH_BYTES + TIME_BYTES)))
      return { line: `${line}\n`, seconds };
  }
  return null;
}

/** How many of so many witnesses must have signed. */
export const quorumOf = (witnesses: number): number => Math.floor(witnesses / 2) + 1;
