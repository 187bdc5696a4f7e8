/** Checkpoints: C2SP tlog-checkpoint bodies in C2SP signed-note form. Who controls the inputs of parse/verify: the broker. */
import { bytesOfHex, concatBytes, equalBytes, fromBase64, fromHex, toBase64, toHex, utf8 } from "./bytes.ts";
import type { Crypto, Signer } from "./crypto.ts";
import { zEpoch } from "./documents/parts.ts";

export interface Checkpoint {
  origin: string;
  size: number;
  /** 32 bytes, hex. */
  root: string;
}

const LOG = "/log/";
/** The name of one run of a market's log in its checkpoints. */
export const logOrigin = (marketOrigin: string, epoch: string): string => `${marketOrigin}${LOG}${epoch}`;

/** The market and the epoch that a log's name says; null where it is no log's. */
export function parseLogOrigin(origin: string): { market: string; epoch: string } | null {
  const at = origin.lastIndexOf(LOG);
  const epoch = zEpoch.safeParse(origin.slice(at + LOG.length));
  return at > 0 && epoch.success ? { market: origin.slice(0, at), epoch: epoch.data } : null;
}

/** Signature type 0x01: Ed25519 over the note's text. */
const ED25519 = 1;

function keyHash(crypto: Crypto, name: string, publicKey: string): Uint8Array {
  return crypto.sha256(concatBytes(utf8(`${name}\n`), new Uint8Array([ED25519]), bytesOfHex(publicKey))).subarray(0, 4);
}

const bodyOf = ({ origin, size, root }: Checkpoint): string => `${origin}\n${size}\n${toBase64(bytesOfHex(root))}\n`;

export function signCheckpoint(crypto: Crypto, signer: Signer, checkpoint: Checkpoint): string {
  const body = bodyOf(checkpoint);
  const signature = concatBytes(keyHash(crypto, checkpoint.origin, signer.publicKey), signer.sign(utf8(body)));
  return `${body}\n\u2014 ${checkpoint.origin} ${toBase64(signature)}\n`;
}

/** The checkpoint when the note is signed by `publicKey` under the name of its own origin; null otherwise. */
export function verifyCheckpoint(crypto: Crypto, publicKey: string, note: string): Checkpoint | null {
  const match = /^([^\n]{1,200})\n(0|[1-9]\d{0,15})\n([A-Za-z0-9+/=]{44})\n\n((?:\u2014 [^\n]+\n)+)$/.exec(note);
  if (!match || fromHex(publicKey)?.length !== 32) return null;
  const [, origin = "", size, rootText = "", signatures = ""] = match;
  const root = fromBase64(rootText);
  if (!root || root.length !== 32) return null;
  const checkpoint: Checkpoint = { origin, size: Number(size), root: toHex(root) };
  const expectedHash = keyHash(crypto, origin, publicKey);
  for (const line of signatures.trimEnd().split("\n")) {
    const at = line.lastIndexOf(" ");
    if (line.slice(2, at) !== origin) continue;
    const bytes = fromBase64(line.slice(at + 1));
    if (
      bytes?.length === 68 &&
      equalBytes(bytes.subarray(0, 4), expectedHash) &&
      crypto.verify(publicKey, utf8(bodyOf(checkpoint)), bytes.subarray(4))
    )
      return checkpoint;
  }
  return null;
}
