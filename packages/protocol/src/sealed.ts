/**
 * A result's bytes sealed for its customer, to be kept by a broker that cannot read them: HPKE (RFC 9180, base mode,
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM) to the channel key of the order, bound to the lease and the result.
 *
 *   encapsulated key (32 bytes), then the ciphertext of:
 *   header's length (4 bytes, big-endian), header (canonical JSON), files, stdout, stderr
 *
 * Files stand in the order in which their digests first occur in the header's tree, each digest once. Who controls the inputs: the
 * server, every byte that is opened: the digests that it signed in its result say whether they are the right ones.
 */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import { z } from "zod";
import { concatBytes, fromHex, toHex, utf8 } from "./bytes.ts";
import { canonicalBytes, parseCanonical } from "./canonical.ts";
import { zInputTree, type InputEntry } from "./channel/channel-messages.ts";
import type { Crypto } from "./crypto.ts";

/** What a broker keeps for one lease. */
export const SEALED_BYTES_MAX = 16 * 1024 * 1024;

const KEY_BYTES = 32;
const TAG_BYTES = 16;
const LENGTH_BYTES = 4;

/** What the seal is bound to: bytes of one result are never taken for those of another. */
interface SealContext {
  lease: string;
  result: string;
}

export interface ResultBytes {
  tree: readonly InputEntry[];
  /** By digest. */
  files: ReadonlyMap<string, Uint8Array>;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

const zSize = z.int().min(0).max(SEALED_BYTES_MAX);
const zHeader = z.strictObject({ tree: zInputTree.shape.entries, stdoutSize: zSize, stderrSize: zSize });
const zFiles = z.map(z.string(), zSize);

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
const infoOf = ({ lease, result }: SealContext): Uint8Array => utf8(`xenoservers sealed result\n${lease}\n${result}\n`);

/** The size of each distinct file of a tree, in the order in which they are sealed. */
export function filesOf(tree: readonly InputEntry[]): Map<string, number> {
  return new Map(tree.flatMap((entry) => (entry.kind === "file" ? [[entry.digest, entry.size] as const] : [])));
}

/** How many bytes a result comes to when it is sealed. */
export function sealedSizeOf(tree: readonly InputEntry[], stdoutSize: number, stderrSize: number): number {
  const header = canonicalBytes({ tree, stdoutSize, stderrSize }).length;
  const files = filesOf(tree).values();
  return KEY_BYTES + TAG_BYTES + LENGTH_BYTES + header + stdoutSize + stderrSize + files.reduce((sum, size) => sum + size, 0);
}

/** `channelKey`: the order's, hex. Null where that is no key. */
export async function sealResult(
  channelKey: string,
  context: SealContext,
  { tree, files, stdout, stderr }: ResultBytes,
): Promise<Uint8Array | null> {
  const key = fromHex(channelKey);
  if (key?.length !== KEY_BYTES) return null;
  const header = canonicalBytes({ tree, stdoutSize: stdout.length, stderrSize: stderr.length });
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, header.length);
  const parts = filesOf(tree)
    .keys()
    .map((digest) => files.get(digest) ?? new Uint8Array(0));
  const plain = concatBytes(length, header, ...parts, stdout, stderr);
  const recipientPublicKey = await suite.kem.deserializePublicKey(key);
  const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoOf(context) }, plain);
  return concatBytes(new Uint8Array(enc), new Uint8Array(ct));
}

/** Cuts what was sealed into its parts; null where sizes do not add up or a file has another digest than its name. */
function parsePlain(crypto: Crypto, plain: Uint8Array): ResultBytes | null {
  if (plain.length < LENGTH_BYTES) return null;
  let at = LENGTH_BYTES + new DataView(plain.buffer, plain.byteOffset).getUint32(0);
  if (at > plain.length) return null;
  const header = zHeader.safeParse(parseCanonical(plain.subarray(LENGTH_BYTES, at)));
  if (!header.success) return null;
  const { tree, stdoutSize, stderrSize } = header.data;
  const sizes = zFiles.safeParse(filesOf(tree));
  if (!sizes.success) return null;
  const next = (size: number): Uint8Array => plain.subarray(at, (at += size));
  const files = new Map([...sizes.data].map(([digest, size]) => [digest, next(size)] as const));
  const [stdout, stderr] = [next(stdoutSize), next(stderrSize)];
  if (at !== plain.length) return null;
  return [...files].every(([digest, bytes]) => toHex(crypto.sha256(bytes)) === digest) ? { tree, files, stdout, stderr } : null;
}

/**
 * What was sealed for this key; null where it was not, or is not well-formed. Files have the digests of their names; whoever opens it
 * still compares the tree and both streams with the digests in the signed result.
 */
export async function openSealed(
  crypto: Crypto,
  secretKey: Uint8Array,
  context: SealContext,
  sealed: Uint8Array,
): Promise<ResultBytes | null> {
  if (sealed.length < KEY_BYTES + TAG_BYTES) return null;
  try {
    const recipientKey = await suite.kem.deserializePrivateKey(secretKey);
    const opening = { recipientKey, enc: sealed.slice(0, KEY_BYTES), info: infoOf(context) };
    return parsePlain(crypto, new Uint8Array(await suite.open(opening, sealed.slice(KEY_BYTES))));
  } catch {
    return null;
  }
}
