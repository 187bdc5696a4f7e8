/** Digests by which an image's parts are named, and by which hash each is looked at. Who controls the inputs: whoever made the image. */
import { toHex } from "@xenoservers/protocol";
import { HASH_NAMES, startHash, type HashName } from "@xenoservers/protocol/hashes";

/** By which servers know blobs. */
export const OURS = "sha256";

/** What a part may be fetched by: the hashes that registries have (image-spec, descriptor.md), and how many digits a digest of each has. */
const DIGITS: ReadonlyMap<string, number> = new Map([
  ["sha256", 64],
  ["sha512", 128],
]);

/** What keeps it from being a digest by which a part is fetched, in words; null where it is one. */
export function digestProblem(text: string): string | null {
  const { algorithm, hex } = partsOf(text);
  const digits = DIGITS.get(algorithm);
  if (digits === undefined) return "only digests of sha256 and sha512 are known here";
  if (text === `${algorithm}:${hex}` && hex.length === digits && /^[0-9a-f]+$/.test(hex)) return null;
  return `a digest of ${algorithm} has ${digits} digits of 0-9 and a-f`;
}

export const isDigest = (text: unknown): text is string => typeof text === "string" && digestProblem(text) === null;

/** The hash that a digest is of, and its value. */
export function partsOf(digest: string): { algorithm: string; hex: string } {
  const [algorithm = "", hex = ""] = digest.split(":");
  return { algorithm, hex };
}

/** The hash that a digest is of; ours where there is none, or one that nobody knows: such a digest is met by nothing. */
export function hashLike(digest: string | null | undefined): HashName {
  const { algorithm } = partsOf(digest ?? "");
  return HASH_NAMES.find((name) => name === algorithm) ?? OURS;
}

export function hashOf(bytes: Uint8Array, name: HashName = OURS): string {
  const hash = startHash(name);
  hash.update(bytes);
  return `${name}:${toHex(hash.digest())}`;
}
