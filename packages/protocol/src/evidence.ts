/**
 * Evidence files: what convicts a party by signatures alone, on a machine that never saw the market. A file carries what it stands on: the
 * broker's keys in its operator's name, and the epochs of the log. Who controls the input: whoever hands over the file.
 */
import * as z from "zod/mini";
import { zEnvelope, zId, zTime } from "./documents/parts.ts";
import { zPromise } from "./leaf.ts";

const NOTE_CHARS_MAX = 4_000;
const LEAF_CHARS_MAX = 200_000;
/** 32 bytes each: a log up to this size is carried whole. */
const EVIDENCE_LEAVES_MAX = 200_000;
const PROOF_HASHES_MAX = 64;
/** A party's first document, and every grant, rotation and revocation on the way to one key. */
const GRANTS_MAX = 256;
const KEY_SETS_MAX = 16;
const EPOCHS_MAX = 256;
const WITNESSES_MAX = 64;

/** What a market says of itself that evidence stands on. */
export const zHistory = z.strictObject({
  /** The operator's `market-keys`. */
  keySets: z.array(zEnvelope).check(z.maxLength(KEY_SETS_MAX)),
  /** The broker's `epoch` documents, with the times of their leaves. */
  epochs: z.array(z.strictObject({ envelope: zEnvelope, at: zTime })).check(z.maxLength(EPOCHS_MAX)),
  /** The operator's `witness` documents. */
  witnesses: z.array(zEnvelope).check(z.maxLength(WITNESSES_MAX)),
});
export type MarketHistory = z.infer<typeof zHistory>;

export const EVIDENCE_FORMAT = "xenoservers-evidence-1";
const zNote = z.string().check(z.maxLength(NOTE_CHARS_MAX));
const base = {
  format: z.literal(EVIDENCE_FORMAT),
  /** Without one, nothing ties a key to its market but the verifier's own pins. */
  keySets: z._default(zHistory.shape.keySets, []),
  epochs: z._default(z.array(zEnvelope).check(z.maxLength(EPOCHS_MAX)), []),
};

/** Where a document stands in a log that the broker signed. */
const zPlace = z.strictObject({
  checkpoint: zNote,
  at: zTime,
  /** Empty for a public document. */
  salt: z.string().check(z.maxLength(64)),
  index: z.int().check(z.gte(0)),
  proof: z.array(zId).check(z.maxLength(PROOF_HASHES_MAX)),
});
export type Place = z.infer<typeof zPlace>;

export const zEvidence = z.discriminatedUnion("kind", [
  /** Two checkpoints of one log and size with different roots; or one, and the epoch document that says otherwise of the log it follows. */
  z.strictObject({ ...base, kind: z.literal("fork"), first: zNote, second: z.union([zNote, zEnvelope]) }),
  /**
   * Two documents of one signer, who may say only one of them. `grants`: the public documents that give a party's key its role. `place`: of
   * the earlier one, where they are of two epochs.
   */
  z.strictObject({
    ...base,
    kind: z.literal("contradiction"),
    first: zEnvelope,
    second: zEnvelope,
    grants: z._default(z.array(zEnvelope).check(z.maxLength(GRANTS_MAX)), []),
    place: z._default(z.nullable(zPlace), null),
  }),
  /** Two leases opened for one slot of an order: purchase order and opening of each. */
  z.strictObject({ ...base, kind: z.literal("sold-twice"), documents: z.tuple([zEnvelope, zEnvelope, zEnvelope, zEnvelope]) }),
  /** A promised leaf that is not in the log before a leaf that was accepted after the promise had run out. */
  z.strictObject({
    ...base,
    kind: z.literal("broken-promise"),
    promise: zPromise,
    checkpoint: zNote,
    /** Hashes of all leaves of the checkpoint's log, in order. */
    leaves: z.array(zId).check(z.minLength(1), z.maxLength(EVIDENCE_LEAVES_MAX)),
    later: z.strictObject({ index: z.int().check(z.gte(0)), leaf: z.string().check(z.maxLength(LEAF_CHARS_MAX)) }),
  }),
  /** A checkpoint of an epoch of which less, or nothing, was restored in `epoch`. `witnesses`: the operator's documents that name them. */
  z.strictObject({
    ...base,
    kind: z.literal("loss"),
    checkpoint: zNote,
    epoch: zEnvelope,
    witnesses: z._default(zHistory.shape.witnesses, []),
  }),
]);
export type Evidence = z.infer<typeof zEvidence>;
export type EvidenceOf<K extends Evidence["kind"]> = Extract<Evidence, { kind: K }>;
