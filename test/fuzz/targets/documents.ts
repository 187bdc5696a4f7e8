/** Documents, receipts and evidence: anyone's bytes, and bytes that somebody with right keys signed. */
import {
  canonicalBytes,
  equalBytes,
  fromBase64,
  fromHex,
  jsonIn,
  parseCanonical,
  parseDocument,
  parseDocumentOf,
  parseUtf8,
  preAuthEncoding,
  toBase64,
  toHex,
} from "@xenoservers/protocol";
import { createSigner, nodeCrypto as crypto } from "@xenoservers/protocol/node";
import { isEvidence, verifyEvidence, verifyReceipt } from "@xenoservers/verify";
import { receiptOf } from "../../../packages/verify/src/testing/script.ts";
import { STORY_NAMES, storyOf, type Story } from "../../../packages/verify/src/testing/stories.ts";
import { evidenceOf } from "./evidence-corpus.ts";
import { bentDocuments } from "../mutate/documents.ts";
import { bentBytes } from "../mutate/bytes.ts";
import { bentJson } from "../mutate/json.ts";
import { ACCEPTED, REFUSED, bytesOf, demand, textOf, type Target } from "../target.ts";

const STORY_SEED = 17;
/** One of every end that a lease may have. */
const stories: Story[] = STORY_NAMES.map((name) => storyOf({ crypto, createSigner }, name, STORY_SEED));
const story = storyOf({ crypto, createSigner }, "completed by interval", STORY_SEED);
const signers = new Map(stories.flatMap(({ cast }) => Object.values(cast.signers).map((signer) => [signer.publicKey, signer] as const)));
const receipts = stories.map(({ cast, play, lease }) => receiptOf(cast, lease, play.filed));
const envelopes = receipts.flatMap(({ documents, leaves }) => [...documents, ...leaves].map(({ envelope }) => envelope));
const mutate = bentDocuments(signers);
const jsonOf = (values: readonly unknown[]): Uint8Array[] => values.map((value) => bytesOf(JSON.stringify(value)));

/** As the platform reads bytes; null where they are no text. */
function decoded(input: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input);
  } catch {
    return null;
  }
}

/** What JSON says of bytes; undefined where they are none. */
const plain = (input: Uint8Array): unknown => jsonIn(decoded(input) ?? "");

const canonical: Target = {
  name: "canonical",
  covers: ["protocol/src/canonical.ts#parseCanonical", "protocol/src/bytes.ts#parseUtf8"],
  corpus: async () => envelopes.map(({ payload }) => fromBase64(payload) ?? new Uint8Array()),
  mutate: (input, random, others) => (random.chance(0.7) ? bentJson : bentBytes)(input, random, others),
  play(input) {
    const text = parseUtf8(input);
    demand(text === decoded(input), "a text is read in two ways");
    const value = parseCanonical(input);
    if (value === null) return REFUSED;
    demand(equalBytes(canonicalBytes(value), input), "what was read as canonical is written in another way");
    return ACCEPTED;
  },
};

const encodings: Target = {
  name: "encodings",
  covers: ["protocol/src/bytes.ts#fromHex", "protocol/src/bytes.ts#fromBase64"],
  corpus: async () =>
    jsonOf(envelopes.slice(0, 40).flatMap(({ payload, signatures: [{ keyid, sig }] }) => [payload.slice(0, 200), keyid, sig])),
  mutate: bentJson,
  play(input) {
    const value = plain(input);
    const text = typeof value === "string" ? value : textOf(input);
    const [hex, base64] = [fromHex(text), fromBase64(text)];
    demand(hex === null || (toHex(hex) === text && Buffer.from(text, "hex").equals(hex)), "hex is read in two ways");
    demand(base64 === null || (toBase64(base64) === text && Buffer.from(text, "base64").equals(base64)), "base64 is read in two ways");
    return (hex ?? base64) ? ACCEPTED : REFUSED;
  },
};

const document: Target = {
  name: "document",
  covers: ["protocol/src/documents/envelope.ts#parseDocument", "protocol/src/documents/envelope.ts#parseDocumentOf"],
  corpus: async () => jsonOf(envelopes),
  mutate,
  play(input) {
    const parsed = parseDocument(crypto, plain(input));
    if (!parsed.ok) return parsed.code;
    const { id, kind, payload, envelope } = parsed.document;
    demand(equalBytes(canonicalBytes(payload), fromBase64(envelope.payload) ?? new Uint8Array()), "a payload is read as another one");
    const encoding = preAuthEncoding(envelope.payloadType, canonicalBytes(payload));
    demand(id === toHex(crypto.sha256(encoding)), "an id is not that of what was read");
    const again = parseDocumentOf(crypto, kind, JSON.parse(JSON.stringify(envelope)));
    demand(again.ok && again.document.id === id, "a document that was read is refused the second time");
    return ACCEPTED;
  },
};

const receipt: Target = {
  name: "receipt",
  covers: [
    "verify/src/receipt/receipt.ts#verifyReceipt",
    "verify/src/facts/facts.ts#parseFact",
    "verify/src/receipt/opened.ts#openDocuments",
  ],
  corpus: async () => jsonOf(receipts),
  mutate,
  play(input) {
    const { ok, lines } = verifyReceipt(crypto, story.cast.pins, plain(input));
    demand(!ok || lines.every(({ status }) => status !== "failed"), "a receipt is right that has a failed line");
    return ok ? ACCEPTED : (lines.find(({ status }) => status === "failed")?.check ?? REFUSED);
  },
};

const evidence: Target = {
  name: "evidence",
  covers: ["verify/src/evidence/evidence.ts#verifyEvidence", "verify/src/evidence/evidence.ts#isEvidence"],
  corpus: async () => jsonOf(evidenceOf(story)),
  mutate,
  play(input) {
    const value = plain(input);
    const { ok, lines } = verifyEvidence(crypto, value, story.cast.pins);
    demand(!ok || isEvidence(value), "what is no evidence proves something");
    return ok ? ACCEPTED : (lines.find(({ status }) => status === "failed")?.check ?? "claimed");
  },
};

export const DOCUMENT_TARGETS: readonly Target[] = [canonical, encodings, document, receipt, evidence];
