/** What a broker's log shows: checkpoints, cosignatures, proofs; held against a small log that is worked out by hand. */
import {
  bytesOfHex,
  cosign,
  cosignatureOf,
  leafHash,
  logOrigin,
  parseLogOrigin,
  signCheckpoint,
  toHex,
  verifyCheckpoint,
  verifyConsistency,
  verifyInclusion,
  verifyPromise,
  signPromise,
} from "@xenoservers/protocol";
import { zPromise } from "../../../packages/protocol/src/leaf.ts";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { smallLog } from "../../../packages/verify/src/testing/merkle.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { bentLine } from "../mutate/text.ts";
import { ACCEPTED, REFUSED, bytesOf, demand, textOf, type Target } from "../target.ts";

const signer = createSigner(new Uint8Array(32).fill(3));
const witness = createSigner(new Uint8Array(32).fill(4));
const NAMED = { name: "w.example", key: witness.publicKey };
const ORIGIN = logOrigin("test/market", "e1".repeat(16));
const LEAVES = Array.from({ length: 7 }, (_, i) => leafHash(crypto, new Uint8Array([i])));
const log = smallLog(crypto, LEAVES);
const note = signCheckpoint(crypto, signer, { origin: ORIGIN, size: log.size, root: log.root });
const cosigned = note + cosign(crypto, witness, NAMED.name, note, 1_700_000_000);

const checkpoint: Target = {
  name: "checkpoint",
  covers: [
    "protocol/src/checkpoint.ts#verifyCheckpoint",
    "protocol/src/checkpoint.ts#parseLogOrigin",
    "protocol/src/cosignature.ts#cosignatureOf",
  ],
  corpus: async () => [note, cosigned].map(bytesOf),
  mutate: (input, random, others) => (random.chance(0.6) ? bentLine : bentBytes)(input, random, others),
  play(input) {
    const text = textOf(input);
    const read = verifyCheckpoint(crypto, signer.publicKey, text);
    const word = cosignatureOf(crypto, NAMED, text);
    parseLogOrigin(text.slice(0, text.indexOf("\n")));
    demand(
      !read || (read.size === log.size && read.root === log.root && read.origin === ORIGIN),
      "a checkpoint is right that nobody signed",
    );
    demand(
      !word || (word.seconds === 1_700_000_000 && text.startsWith(note.slice(0, note.indexOf("\n\n")))),
      "a witness signed what it did not",
    );
    return read || word ? ACCEPTED : REFUSED;
  },
};

interface Proof {
  index: number;
  size: number;
  proof: string[];
  root: string;
  old: number;
  oldRoot: string;
}
const isHex = (text: unknown): text is string => typeof text === "string" && /^[0-9a-f]{64}$/.test(text);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;

/** As the schemas let it through. */
function proofIn(input: Uint8Array): Proof | null {
  let value: Partial<Record<keyof Proof, unknown>> | null;
  try {
    value = JSON.parse(textOf(input));
  } catch {
    return null;
  }
  const { index, size, proof, root, old, oldRoot } = value ?? {};
  if (!isCount(index) || !isCount(size) || !isCount(old) || !isHex(root) || !isHex(oldRoot)) return null;
  return Array.isArray(proof) && proof.every(isHex) ? { index, size, proof, root, old, oldRoot } : null;
}

const rootOf = (size: number): string => smallLog(crypto, LEAVES.slice(0, size)).root;

const proofs: Target = {
  name: "proof",
  covers: ["protocol/src/merkle.ts#verifyInclusion", "protocol/src/merkle.ts#verifyConsistency"],
  corpus: async () =>
    LEAVES.map((_, index) =>
      bytesOf(
        JSON.stringify({ index, size: log.size, proof: log.proofOf(index), root: log.root, old: index + 1, oldRoot: rootOf(index + 1) }),
      ),
    ),
  mutate: bentJson,
  play(input) {
    const read = proofIn(input);
    if (!read) return REFUSED;
    const { index, size, proof, root, old, oldRoot } = read;
    const hashes = proof.map(bytesOfHex);
    const holding = LEAVES.filter((leaf) => verifyInclusion(crypto, leaf, index, size, hashes, bytesOfHex(root)));
    for (const leaf of holding)
      demand(
        size !== log.size || root !== log.root || toHex(LEAVES[index] ?? new Uint8Array()) === toHex(leaf),
        "a leaf is where it is not",
      );
    const follows = verifyConsistency(crypto, old, bytesOfHex(oldRoot), size, bytesOfHex(root), hashes);
    if (follows && size === log.size && root === log.root && old > 0) demand(oldRoot === rootOf(old), "a log follows one that it does not");
    return holding.length > 0 || follows ? ACCEPTED : "proves-nothing";
  },
};

const PROMISE = signPromise(signer, { origin: "test/market", epoch: "e1".repeat(16), size: 1, leaf: "ab".repeat(32), mergeBy: 1_500 });
const promise: Target = {
  name: "promise",
  covers: ["protocol/src/leaf.ts#verifyPromise"],
  corpus: async () => [bytesOf(JSON.stringify(PROMISE))],
  mutate: bentJson,
  play(input) {
    let value: unknown;
    try {
      value = JSON.parse(textOf(input));
    } catch {
      return REFUSED;
    }
    const read = zPromise.safeParse(value);
    if (!read.success) return REFUSED;
    if (!verifyPromise(crypto, signer.publicKey, read.data)) return "bad-signature";
    demand(JSON.stringify(read.data) === JSON.stringify(PROMISE), "a promise is right that nobody signed");
    return ACCEPTED;
  },
};

export const LOG_TARGETS: readonly Target[] = [checkpoint, proofs, promise];
