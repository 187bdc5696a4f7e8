/**
 * A result's bytes sealed for its customer, to be kept by a broker that cannot read them. What is sealed:
 *
 *   header's length (4 bytes, big-endian), header (canonical JSON), files, stdout, stderr
 *
 * Files stand in the order in which their digests first occur in the header's tree, each digest once. It is cut into parts of one size,
 * the last as long as what is left; each part is an encapsulated key (32 bytes) and a ciphertext of its own: HPKE (RFC 9180, base mode,
 * DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM) to the channel key of the order, bound to the lease, the result and the part's
 * place. Who controls the inputs: the server, every byte that is opened: the digests that it signed in its result say whether they are
 * the right ones.
 */
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";
import * as z from "zod/mini";
import { concatBytes, fromHex, toHex, utf8 } from "./bytes.ts";
import { canonicalBytes, parseCanonical } from "./canonical.ts";
import { zInputTree, type InputEntry } from "./channel/channel-messages.ts";
import type { Crypto } from "./crypto.ts";
import { openHpke } from "./hpke-open.ts";
import { JOB_LIMITS } from "./job-fit.ts";
import { RESULT_BYTES_MAX, SEALED_PART_BYTES_MAX, SEAL_BYTES } from "./result-fit.ts";

const KEY_BYTES = 32;
const LENGTH_BYTES = 4;
/** Twice what the longest list of files takes: a server must not make its customer read a text of a gigabyte. */
const HEADER_BYTES_MAX = 2 * JOB_LIMITS.treeBytes;
const PART_BYTES = SEALED_PART_BYTES_MAX - SEAL_BYTES;

/** What the seal is bound to: bytes of one result are never taken for those of another. */
interface SealContext {
  lease: string;
  result: string;
}

/** What a result consists of. */
export interface ResultShape {
  tree: readonly InputEntry[];
  stdoutSize: number;
  stderrSize: number;
}

export interface ResultBytes {
  tree: readonly InputEntry[];
  /** By digest. */
  files: ReadonlyMap<string, Uint8Array>;
  stdout: Uint8Array;
  stderr: Uint8Array;
}

const zSize = z.int().check(z.gte(0), z.lte(RESULT_BYTES_MAX));
const zHeader = z.strictObject({ tree: zInputTree.shape.entries, stdoutSize: zSize, stderrSize: zSize });

/** Made by whoever seals: a bundle that opens alone has nothing of it. */
const suiteOf = (): CipherSuite => new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() });
const infoOf = ({ lease, result }: SealContext, part: number): Uint8Array =>
  utf8(`xenoservers sealed result\n${lease}\n${result}\n${part}\n`);

/** The size of each distinct file of a tree, in the order in which they are sealed. */
export function filesOf(tree: readonly InputEntry[]): Map<string, number> {
  return new Map(tree.flatMap((entry) => (entry.kind === "file" ? [[entry.digest, entry.size] as const] : [])));
}

/** Whether the same bytes stand in it with different sizes, of which one is a lie. */
export function hasTwoSizes(tree: readonly InputEntry[]): boolean {
  const sizes = filesOf(tree);
  return tree.some((entry) => entry.kind === "file" && sizes.get(entry.digest) !== entry.size);
}

/** Gathers pieces of any size and gives them out in parts. */
class Parts {
  #part: Uint8Array = new Uint8Array(PART_BYTES);
  #length = 0;

  *take(piece: Uint8Array): Generator<Uint8Array> {
    for (let at = 0; at < piece.length;) {
      const fits = piece.subarray(at, at + PART_BYTES - this.#length);
      this.#part.set(fits, this.#length);
      this.#length += fits.length;
      at += fits.length;
      if (this.#length === PART_BYTES) yield this.rest();
    }
  }

  rest(): Uint8Array {
    const part = this.#part.subarray(0, this.#length);
    [this.#part, this.#length] = [new Uint8Array(PART_BYTES), 0];
    return part;
  }

  get isEmpty(): boolean {
    return this.#length === 0;
  }
}

/**
 * The sealed parts of a result, one after the other. `bytes`: each distinct file of the tree in its order, then stdout and stderr, in
 * pieces of any size. `channelKey`: the order's, hex; yields nothing where that is no key.
 */
export async function* sealResult(
  channelKey: string,
  context: SealContext,
  { tree, stdoutSize, stderrSize }: ResultShape,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const key = fromHex(channelKey);
  if (key?.length !== KEY_BYTES) return;
  const suite = suiteOf();
  const recipientPublicKey = await suite.kem.deserializePublicKey(key);
  let count = 0;
  const sealed = async (plain: Uint8Array): Promise<Uint8Array> => {
    const { enc, ct } = await suite.seal({ recipientPublicKey, info: infoOf(context, count++) }, plain);
    return concatBytes(new Uint8Array(enc), new Uint8Array(ct));
  };
  const header = canonicalBytes({ tree, stdoutSize, stderrSize });
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, header.length);
  const parts = new Parts();
  for (const piece of [length, header]) for (const part of parts.take(piece)) yield sealed(part);
  for await (const piece of bytes) for (const part of parts.take(piece)) yield sealed(part);
  if (!parts.isEmpty) yield sealed(parts.rest());
}

/** What a server sealed is not well-formed, or not for this key. */
class NotSealed extends Error {}

/** Reads on from part to part as they are asked for. */
class PlainReader {
  readonly #open: (part: number) => Promise<Uint8Array>;
  #next = 0;
  #part: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(open: (part: number) => Promise<Uint8Array>) {
    this.#open = open;
  }

  async take(size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size;) {
      if (this.#at === this.#part.length) await this.#turn();
      const piece = this.#part.subarray(this.#at, this.#at + size - at);
      bytes.set(piece, at);
      at += piece.length;
      this.#at += piece.length;
    }
    return bytes;
  }

  /** Only the last part may be short. */
  async #turn(): Promise<void> {
    if (this.#next > 0 && this.#part.length < PART_BYTES) throw new NotSealed();
    [this.#part, this.#at] = [await this.#open(this.#next++), 0];
    if (this.#part.length === 0) throw new NotSealed();
  }

  get isAtEnd(): boolean {
    return this.#at === this.#part.length;
  }
}

/** As openSealed, of parts that are opened. */
export async function readSealed(crypto: Crypto, opened: (part: number) => Promise<Uint8Array>): Promise<ResultBytes | null> {
  try {
    return await readPlain(crypto, new PlainReader(opened));
  } catch (error) {
    if (error instanceof NotSealed) return null;
    throw error;
  }
}

async function readPlain(crypto: Crypto, plain: PlainReader): Promise<ResultBytes> {
  const length = new DataView((await plain.take(LENGTH_BYTES)).buffer).getUint32(0);
  if (length > HEADER_BYTES_MAX) throw new NotSealed();
  const header = zHeader.safeParse(parseCanonical(await plain.take(length)));
  if (!header.success) throw new NotSealed();
  const { tree, stdoutSize, stderrSize } = header.data;
  if (hasTwoSizes(tree)) throw new NotSealed();
  const sizes = filesOf(tree);
  const whole = sizes.values().reduce((sum, size) => sum + size, length + stdoutSize + stderrSize);
  if (whole > RESULT_BYTES_MAX) throw new NotSealed();
  const files = new Map<string, Uint8Array>();
  for (const [digest, size] of sizes) {
    const bytes = await plain.take(size);
    if (toHex(crypto.sha256(bytes)) !== digest) throw new NotSealed();
    files.set(digest, bytes);
  }
  const [stdout, stderr] = [await plain.take(stdoutSize), await plain.take(stderrSize)];
  if (!plain.isAtEnd) throw new NotSealed();
  return { tree, files, stdout, stderr };
}

/**
 * What was sealed for this key; null where it was not, or is not well-formed. `part` fetches them one after the other, and what it throws
 * goes through. Files have the digests of their names; whoever opens it still compares the tree and both streams with the digests in the
 * signed result.
 */
export async function openSealed(
  crypto: Crypto,
  secretKey: Uint8Array,
  context: SealContext,
  part: (part: number) => Promise<Uint8Array>,
): Promise<ResultBytes | null> {
  const open = async (which: number): Promise<Uint8Array> => {
    const sealed = await part(which);
    if (sealed.length < SEAL_BYTES || sealed.length > SEALED_PART_BYTES_MAX) throw new NotSealed();
    const message = { key: sealed.subarray(0, KEY_BYTES), info: infoOf(context, which), sealed: sealed.subarray(KEY_BYTES) };
    const plain = await openHpke(secretKey, message);
    if (plain === null) throw new NotSealed();
    return plain;
  };
  return readSealed(crypto, open);
}
